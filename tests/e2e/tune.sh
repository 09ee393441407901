#!/bin/sh
# SPDX-License-Identifier: MIT
# nnc tune: what it measures, who takes what was found, and what becomes of files that are not its own.
. "$2/tests/e2e/lib.sh"
export NNC_CACHE="$work/cache"
cat >conv.nnd <<'END'
nnd 1
model Small(classes = 10) {
  input  image: f32[N, 3, 32, 32]
  target label: index(classes)[N]
  logits = image
    |> conv2d(8, kernel = 3, stride = 2) |> relu
    |> conv2d(8, kernel = 3) |> relu
    |> global_avg_pool
    |> linear(classes) as head
  output logits
  loss   cross_entropy(logits, label)
}
data pictures {
  source = shapes(train = 640, test = 96)
}
train Small on pictures {
  batch = 16; epochs = 1; shuffle = true; seed = 1
  optimizer = adam(lr = 1e-3)
}
END
site='conv2d 3x3 8->8 to 13x13, batch 16'

says() { # PATTERN COMMAND...: succeeds, and says so
    pattern=$1
    shift
    "$@" >out.log 2>&1 || { cat out.log && return 1; }
    grep -qE -- "$pattern" out.log || { cat out.log && return 1; }
}
silent() { # PATTERN COMMAND...: succeeds, and says no such thing
    pattern=$1
    shift
    "$@" >out.log 2>&1 || { cat out.log && return 1; }
    ! grep -E -- "$pattern" out.log
}

ok "nothing was measured, and nothing is said of it" silent tuned "$nnc" train conv.nnd --steps 1
stop() { # before the first candidate is compiled
    rm -rf cache
    "$nnc" tune conv.nnd --rounds 100 >stopped.log 2>&1 &
    run=$!
    for _ in $(seq 200); do
        grep -q compiling stopped.log && break
        sleep 0.05
    done
    kill -INT "$run"
    wait "$run" && grep -q '^stopped' stopped.log && grep -q '^0 sites measured' stopped.log
}
ok "Ctrl-C ends it with what was found until then" stop
ok "tunes" says "^$site" "$nnc" tune conv.nnd --rounds 1 --threads 2
file=$(echo cache/tuned-*.json)
ok "and keeps it in a file of JSON" python3 -c "import json, sys
sites = {s['site']: s for s in json.load(open('$file'))['sites']}
s = sites['$site']
assert s['takes'] in ('product', 'F(4)', 'F(2)'), s
assert all(c['seconds'] > 0 for c in s['candidates'])"
ok "a second time, as JSON" says '"event":"tune","sites":[1-9].*"file":' "$nnc" tune conv.nnd --rounds 1 --json

# --- Who takes it

takes() { # CANDIDATE: the site alone, as if that had been the fastest
    cat >"$file" <<END
{"version":1,"target":"any","sites":[{"site":"$site","takes":"$1","candidates":[
 {"name":"$1","seconds":0.001},{"name":"product","seconds":0.002}]}]}
END
}
plan_of() { "$nnc" train conv.nnd --steps 1 --json --out plan "$@" | grep -o '"plan":"[0-9a-f]*"'; }
takes 'F(2)'
ok "training says that it takes it" says ', tuned: 1 choice$' "$nnc" train conv.nnd --steps 5
ok "explain says so, too" says "^ *conv2d 3x3 .*: F\(2\), measured 1.00 ms; product 2.00 ms\$" "$nnc" explain conv.nnd
by_whom() { "$nnc" explain conv.nnd --json | grep -q "\"site\":\"$site\",\"takes\":\"F(2)\",\"by\":\"tuned\""; }
ok "and its JSON by whom" by_whom
ok "it computes the same" says ' 0 off$' "$nnc" verify conv.nnd
ok "evaluation takes it" says ', tuned: 1 choice$' "$nnc" eval conv.nnd --checkpoint out/*.safetensors
ok "or not" silent tuned "$nnc" train conv.nnd --steps 1 --out other --no-tuned
other_plan() { [ "$(plan_of)" != "$(plan_of --no-tuned)" ]; }
ok "it is another plan" other_plan
ok "which a run that is resumed says" says 'plan' "$nnc" train conv.nnd --resume --no-tuned --steps 10
takes 'F(4)'
one_thread() {
    "$nnc" train conv.nnd --steps 5 --out one --threads 1 && "$nnc" train conv.nnd --steps 5 --out two --threads 2 &&
        cmp one/*.safetensors two/*.safetensors
}
ok "any number of threads takes the same" one_thread
ok "another batch does not" silent tuned "$nnc" train conv.nnd --steps 1 --out other --batch 8

# --- Files from strangers

takes 'F(6)'
ok "a candidate that there is not is not taken" silent 'tuned|warning' "$nnc" train conv.nnd --steps 1 --out other
left_out() { # TEXT: a file of it is left out, with a warning
    printf '%s' "$1" >"$file"
    says 'warning: .*left out' "$nnc" train conv.nnd --steps 1 --out other && ! grep -q tuned: out.log
}
ok "text is no such file" left_out 'hello'
ok "nor an empty one" left_out ''
ok "nor half of one" left_out '{"version":1,"sites":[{"site":"a","takes":"b"}'
ok "nor one without names" left_out '{"version":1,"sites":[{"candidates":[{"seconds":1}]}]}'
ok "nor one with times that are none" \
    left_out '{"version":1,"sites":[{"site":"a","takes":"b","candidates":[{"name":"c","seconds":-1}]}]}'
ok "nor one of another version" left_out '{"version":2,"sites":[]}'
ok "nor one that is deep" left_out "$(printf '[%.0s' $(seq 5000))"
takes 'F(2)'
chmod 666 "$file"
ok "one that others may write to is left out" says 'warning: .*others may write' "$nnc" train conv.nnd --steps 1 --out other
ok "tuning writes a good one again" says 'kept in' "$nnc" tune conv.nnd --rounds 1
ok "which is taken" says 'tuned: [1-9]' "$nnc" train conv.nnd --steps 1 --out other
ok "libtcc leaves nothing to choose" fails 1 'nothing to choose' "$nnc" tune conv.nnd --jit tcc
ok "tunes products that become weights tile by tile" says "sites measured" \
    env NNC_CACHE="$work/other" "$nnc" tune "$2/examples/simplenet.nnd" --rounds 1
plan
