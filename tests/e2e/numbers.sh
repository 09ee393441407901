#!/bin/sh
# SPDX-License-Identifier: MIT
# Numbers that are none: where training notices them, what it keeps, what it says of them. And the
# hash of a run's last checkpoint, which is the same however the run was done.
. "$2/tests/e2e/lib.sh"

model() { # BODY of a model of x, t and y; LR
    cat <<END
nnd 1
model Net {
  input x: f32[N, 2]
  target t: index(2)[N]
  y = x |> linear(8) |> relu |> linear(2)
$1
}
data points { source = blobs() }
optimizer fragile(lr) { p' = p - lr * g / (if t < 5 then 1 else 0) }
train Net on points { batch = 16; epochs = 2; optimizer = $2 }
END
}

# --- A division by zero from the seventh step on
model '  scale = mean(x ^ 2) * (if step >= 6 then 0 else 1)
  z = y / scale
  output z
  loss cross_entropy(z, t)' 'sgd(lr = 0.1)' >zero.nnd
ok "a loss that is none ends the run at once" fails 1 'not a number at step 7, in epoch 1' \
    "$nnc" train zero.nnd --jit tcc --save-every 2
ok "it says which checkpoint is good" grep -q 'out/zero.safetensors holds step 6, which was good' err.log
ok "and what may help" grep -q -e '--lr 0.01, it is 0.1.*clip = global_norm(1).*--trap-nan' err.log
kept_step() { head -c 2000 "out/$1.safetensors" | grep -a -o "\"step\":\"$2\""; }
ok "the checkpoint is that of step 6" kept_step zero 6
trapped() { # NAME PATTERN OPTION...: the report, on standard output, says PATTERN
    net=$1 wanted=$2
    shift 2
    "$nnc" train "$net.nnd" --jit tcc --trap-nan --out trap "$@" >"$net.out" 2>"$net.err"
    [ $? -eq 1 ] && grep -E -- "$wanted" "$net.out"
}
ok "--trap-nan names the step" trapped zero '^step 7, in epoch 1, makes numbers that are none'
ok "the operator and its line" grep -q '^zero.nnd:7:7: error: div: f32\[N, 2\], 32 infinite' zero.out
ok "what it had" grep -q '^zero.nnd:7:7: note: of broadcast: f32\[N, 2\], 32 zero, from 0 to 0' zero.out
ok "the parameters that it reached" grep -q '^  linear_2.weight: 16 of 16 elements; before, from -' zero.out
ok "and the examples" grep -qE '^its examples:( train:[0-9]+){16}$' zero.out
ok "as JSON" sh -c "'$nnc' train zero.nnd --jit tcc --trap-nan --json --out trap | grep '\"event\":\"trap\",\"step\":7,\"report\":\"step 7'"
sed 's/batch = 16/batch = 16; accumulate = 4/' zero.nnd >chunks.nnd
ok "a batch in chunks is taken as a whole" trapped chunks '^chunks.nnd:7:7: error: div'

# --- A learning rate at which it explodes
model '  output y
  loss mean(y ^ 2) * cross_entropy(y, t)' 'sgd(lr = 1e6)' >explode.nnd
ok "an exploding run ends" fails 1 'not a number at step 3|infinite at step' "$nnc" train explode.nnd --jit tcc
ok "where a float is too small" trapped explode 'explode.nnd:5:.* infinite'

# --- What an example of the data does
model '  z = log(x + 1.5)
  output y
  loss cross_entropy(y, t) + mean(z)' 'sgd(lr = 0.1)' >example.nnd
sed -i 's/blobs()/blobs(radius = 0.9)/' example.nnd
ok "one example makes it" trapped example 'in the examples train:[0-9]+$' --seed 3
blamed=$(grep -oE 'in the examples train:[0-9]+' example.out | grep -oE '[0-9]+$')
ok "it is one of the batch" grep -q " train:$blamed\b" example.out

# --- A value of a table that is none
(echo a,b,y && seq 60 | sed 's/.*/&,0.5,1/' && echo 1e39,0.1,1) >table.csv
cat >table.nnd <<'END'
nnd 1
model Line { input x: f32[N, 2]; target y: f32[N, 1]; p = linear(x, 1); output p; loss mse(p, y) }
data table { source = csv("table.csv") }
train Line on table { optimizer = sgd(lr = 1e-4) }
END
ok "a number that no float holds is found in its file" \
    fails 1 "table.csv:62:1: '1e39' is no number" "$nnc" train table.nnd --jit tcc --out none

# --- Parameters that the last step spoils, after a loss that is a number
model '  output y
  loss cross_entropy(y, t)' 'fragile(lr = 0.1)' >late.nnd
ok "steps before are good" "$nnc" train late.nnd --jit tcc --steps 4
ok "a step that spoils the parameters is not written" \
    fails 1 'after step 5 .* elements of linear_[12].*out/late.safetensors holds step 4' \
    "$nnc" train late.nnd --jit tcc --resume --steps 5
ok "the good one is still there" kept_step late 4
ok "--trap-nan finds it in the same step" trapped late '^step 5, in epoch 1'
ok "in the optimizer" grep -qE '^late.nnd:10:.*error: div' late.out

# --- A built program has no compiler, and says what it sees
ok "builds" "$nnc" build zero.nnd -o zero
ok "its trap names step and parameters" sh -c './zero train --trap-nan --out built >built.out; [ $? -eq 1 ] && grep "^step 7" built.out && grep "linear_2.weight: 16 of 16" built.out'

# --- What is sound is not trapped
ok "a network with a border of -inf trains" "$nnc" train "$e2e/tiny.nnd" --jit tcc --trap-nan --steps 3 --out sound

# --- The hash
train() { "$nnc" train "$e2e/tiny.nnd" --steps 9 --json "$@"; }
ok "a run's hash" sh -c "'$nnc' train '$e2e/tiny.nnd' --steps 9 --json --out hash >hash.json"
hash=$(grep -o '"hash":"[0-9a-f]*"' hash.json | cut -d'"' -f4)
ok "is printed" [ ${#hash} -eq 16 ]
for threads in 1 2 3 4; do
    ok "is the same for $threads threads" train --threads "$threads" --expect-hash "$hash" --out "t$threads"
done
ok "for objects that were compiled anew" env NNC_CACHE="$work/fresh" "$nnc" train "$e2e/tiny.nnd" --steps 9 \
    --expect-hash "$hash" --out fresh
ok "for a run that stops" train --steps 4 --out two
ok "and goes on" train --resume --expect-hash "$hash" --out two
ok "for a built program" sh -c "'$nnc' build '$e2e/tiny.nnd' -o tiny && ./tiny train --steps 9 --expect-hash $hash --out built"
ok "with --trap-nan" train --trap-nan --expect-hash "$hash" --out trapped
ok "another seed has another, which is an error" fails 1 "is [0-9a-f]{16}, not $hash as expected" \
    "$nnc" train "$e2e/tiny.nnd" --steps 9 --seed 2 --expect-hash "$hash" --out other
ok "a hash that is none is usage" fails 2 "16 hexadecimal digits" "$nnc" train "$e2e/tiny.nnd" --expect-hash abc
plan
