#!/bin/sh
# SPDX-License-Identifier: MIT
# Training from outside: reports, resuming, interruption, the same bits.
. "$2/tests/e2e/lib.sh"
tiny=$e2e/tiny.nnd

train() { # OUT OPTION...
    out=$1
    shift
    "$nnc" train "$tiny" --json --out "$out" "$@" >"$out.json"
}

same_checkpoint() { cmp "$1"/*.safetensors "$2"/*.safetensors; }

# --- What it reports
ok "trains" train whole --threads 2
events() { head -n "$1" whole.json | sed 's/^{"event":"\([a-z]*\)".*}$/\1/' | paste -sd ' '; }
ok "the first events are what is done until it starts" test "$(events 3)" = "compile compiled start"
ok "with where the code is from" sh -c "sed -n 2p whole.json | grep -q '\"jit\":\".*\"cached\":[tf]'"
ok "an error comes behind the first" fails 1 'expected' sh -c "echo 'nnd 1
model' >bad.nnd; '$nnc' train bad.nnd --json | tee bad.json; exec '$nnc' train bad.nnd --json"
ok "and nothing else on standard output" sh -c "grep -c . bad.json | grep -qx 1 && grep -q '\"event\":\"compile\"' bad.json"
ok "the last event is the end, with the checkpoint's hash" \
    sh -c "tail -n 1 whole.json | grep -q '\"event\":\"done\".*\"hash\":\"[0-9a-f]'"
ok "trains for longer" train learned --epochs 20 --lr 0.01
ok "the loss falls" less "$(field learned.json epoch loss)" 2.2
ok "every line is JSON" python3 -c 'import json; [json.loads(line) for line in open("whole.json")][3]'
ok "evaluates its checkpoint" sh -c "'$nnc' eval '$tiny' --checkpoint whole/*.safetensors | grep -i accuracy"
ok "predicts examples" sh -c "'$nnc' predict '$tiny' --checkpoint whole/*.safetensors test:0 test:1"
ok "an example out of range is an error" \
    fails 1 '96' "$nnc" predict "$tiny" --checkpoint whole/*.safetensors test:96

# --- The same bits
ok "trains on one thread" train single --threads 1
ok "one thread and two give the same bits" same_checkpoint whole single
ok "another seed trains" train other --threads 1 --seed 2
differ() { same_checkpoint "$1" "$2"; [ $? -eq 1 ]; } # 2: there is none
ok "and gives other bits" differ whole other
ok "with libtcc" train tcc --jit tcc --threads 2
ok "a second run comes from the cache" sh -c "'$nnc' train '$tiny' --steps 1 --out cached | grep -q 'from the cache'"

# --- With less memory
sed 's/batch = 16/batch = 16; budget = 1200 kB/; s/train = 640/train = 650/' "$tiny" >small.nnd
small() { # OUT OPTION...: 650 examples, so that the last batch is smaller
    out=$1
    shift
    "$nnc" train small.nnd --json --out "$out" --jit tcc "$@" >"$out.json"
}
ok "trains in chunks" small small --threads 2
ok "which are smaller than the batch" less "$(field small.json start chunk)" 16
sed 's/budget = 1200 kB//' small.nnd >large.nnd
near_losses() {
    "$nnc" train large.nnd --json --jit tcc --out large >large.json &&
        near "$(field small.json epoch loss)" "$(field large.json epoch loss)" 1e-4
}
ok "with the same losses but for rounding" near_losses
ok "and the same bits from one thread, stopped and resumed" sh -c \
    "'$nnc' train small.nnd --jit tcc --threads 1 --steps 17 --out again &&
     '$nnc' train small.nnd --jit tcc --threads 1 --resume --out again && cmp small/*.safetensors again/*.safetensors"
ok "a built program too" sh -c "'$nnc' build small.nnd -o program && ./program train --steps 2 --out program.out"

sed 's/batch = 16/batch = 16; accumulate = 4/; s/train = 640/train = 650/' "$tiny" >accumulated.nnd
accumulated() {
    "$nnc" train accumulated.nnd --json --jit tcc --out accumulated >accumulated.json &&
        [ "$(field accumulated.json start chunk)" = 4 ] &&
        near "$(field accumulated.json epoch loss)" "$(field large.json epoch loss)" 1e-4
}
ok "a batch in four chunks, if it is asked for" accumulated

sed 's/batch = 16/batch = 16; accumulate = 3/; s/train = 640/train = 650/
     s/optimizer = adam(lr = 1e-3)/minimize loss over "conv*" with adam(lr = 1e-3)\n  minimize loss over "*ea*" with sgd(lr = 0.1)/' \
    "$tiny" >passes.nnd
sed 's/accumulate = 3//' passes.nnd >once.nnd
passes() {
    for net in passes once; do
        "$nnc" train $net.nnd --json --jit tcc --threads 2 --out $net >$net.json || return 1
    done
    near "$(field passes.json epoch loss)" "$(field once.json epoch loss)" 1e-4
}
ok "each minimize goes through the chunks" passes
ok "stopped between and resumed likewise" sh -c \
    "'$nnc' train passes.nnd --jit tcc --threads 1 --steps 17 --out halves &&
     '$nnc' train passes.nnd --jit tcc --threads 1 --resume --out halves && cmp passes/*.safetensors halves/*.safetensors"
ok "and in a built program" sh -c \
    "'$nnc' build passes.nnd -o passing && ./passing train --steps 3 --out passing.out"

# --- Stopping and going on
ok "stops after 25 steps, amid an epoch" train parts --threads 2 --steps 25
ok "resumes" train parts --threads 1 --resume
ok "and ends with the same bits" same_checkpoint whole parts

interrupt() { # SIGNAL: a run that would take long is stopped after its first report
    rm -rf stopped
    "$nnc" train "$tiny" --epochs 100000 --report-every 10 --json --out stopped >stopped.json 2>stopped.err &
    run=$!
    for _ in $(seq 200); do
        grep -q '"event":"step"' stopped.json && break
        sleep 0.1
    done
    kill "-$1" "$run"
    wait "$run"
}
interrupted() { interrupt INT; [ $? -eq 130 ]; }
ok "Ctrl-C ends it with status 130" interrupted
ok "and says how to go on" grep -q -- '--resume' stopped.err
steps=$(grep -o 'step [0-9]*' stopped.err | grep -o '[0-9]*' | head -n 1)
ok "from that step" "$nnc" train "$tiny" --epochs 100000 --resume --out stopped --steps "$((steps + 5))"
ok "the straight run to there" "$nnc" train "$tiny" --epochs 100000 --out straight --steps "$((steps + 5))"
ok "has the same bits" same_checkpoint stopped straight

killed() {
    train killed --epochs 1 || return 1
    cp killed/*.safetensors before
    "$nnc" train "$tiny" --epochs 100000 --out killed --resume --report-every 10 --json >killed.json &
    run=$!
    for _ in $(seq 200); do
        grep -q '"event":"step"' killed.json && break
        sleep 0.1
    done
    kill -KILL "$run"
    wait "$run" 2>/dev/null
    "$nnc" eval "$tiny" --checkpoint killed/*.safetensors
}
ok "kill -9 leaves a checkpoint that is whole" killed

closed_pipe() { # the reader goes away at once; the training does not
    ("$nnc" train "$tiny" --report-every 1 --out piped 2>/dev/null || :) | head -n 1 >/dev/null
    ls piped/*.safetensors
}
ok "a closed pipe does not end the training" closed_pipe
ok "a closed pipe ends a listing quietly" sh -c "'$nnc' graph '$tiny' --stage plan 2>listing.err | head -n 1 && ! [ -s listing.err ]"
ok "leaves nothing but the checkpoint" test "$(ls whole)" = tiny.safetensors

# --- On a terminal
terminal() { # FILE COMMAND...: its output, on a terminal, into FILE
    file=$1
    shift
    python3 -c 'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)' "$@" </dev/null >"$file"
}
waits() { # what takes its time says what it is at, and that goes away
    NNC_CACHE=$work/another terminal seen "$nnc" train "$tiny" --steps 40 --out seen.out && grep -q 'compiling .*tiny.nnd' seen &&
        terminal measured "$nnc" eval "$tiny" --checkpoint seen.out/tiny.safetensors && grep -q 'measuring 96 test examples' measured &&
        tail -n 1 measured | sed 's/.*\[K//' | grep '^test (96 examples): loss'
}
ok "waiting is explained on a terminal" waits
ok "and not in a file" not grep -q 'compiling\|measuring' whole.json
piped() { "$nnc" eval "$tiny" --checkpoint seen.out/tiny.safetensors >piped.log 2>&1 && not grep -q 'compiling\|measuring' piped.log; }
ok "nor in a pipe" piped
plan
