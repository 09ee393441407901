#!/bin/sh
# SPDX-License-Identifier: MIT
# The training loop from outside: validation, the best epoch, expectations, kills.
. "$2/tests/e2e/lib.sh"
sed 's/test = 96)/test = 96); validation = 0.1/
     s/epochs = 2;/epochs = 8; best = val.accuracy; patience = 3;/
     s/lr = 1e-3/lr = 5e-3/' "$e2e/tiny.nnd" >loop.nnd

ok "trains" "$nnc" train loop.nnd --json --out whole
ok "builds the program" "$nnc" build loop.nnd -o loop
ok "which trains the same" sh -c './loop train --json --out built >built.json && cmp whole/loop.safetensors built/loop.safetensors'
ok "and has the same best epoch" cmp whole/loop.best.safetensors built/loop.best.safetensors
ok "measures what is held out" less 0 "$(field built.json epoch accuracy)"
ok "the result is that of the best checkpoint" sh -c "./loop eval --checkpoint built/loop.best.safetensors --json |
    grep -o '\"test\":{[^}]*}' >eval.txt && grep -F -f eval.txt built.json | grep -q result"

killed() { # N: a run that is killed again and again, and ends with the same bits
    draw=$1 out=killed$1
    ./loop train --out "$out" --steps 1 || return 1 # something to go on from
    for _ in 1 2; do
        draw=$((draw * 1103515245 % 2147483648 + 12345))
        ./loop train --out "$out" --resume --save-every $((draw / 8 % 7 + 1)) &
        run=$!
        sleep "0.$((draw / 65536 % 25 + 2))"
        kill -KILL "$run"
        wait "$run"
    done
    ./loop train --out "$out" --resume && cmp whole/loop.safetensors "$out/loop.safetensors" &&
        cmp whole/loop.best.safetensors "$out/loop.best.safetensors"
}
all_killed() { for i in 1 2 3 4 5 6 7 8 9 10; do killed "$i" || return 1; done; }
ok "killed at twenty times, it ends with the same bits" all_killed

stop() { # a run that would take long is stopped after its first report
    ./loop train --epochs 100000 --out "a place" --report-every 10 --json >stopped.json 2>stopped.err &
    run=$!
    for _ in $(seq 200); do
        grep -q '"event":"step"' stopped.json && break
        sleep 0.1
    done
    kill -TERM "$run"
    wait "$run"
    [ $? -eq 130 ]
}
sed 's/patience = 3/patience = 100000/' loop.nnd >long.nnd
"$nnc" build long.nnd -o loop
ok "SIGTERM ends it with status 130" stop
going_on() {
    eval "$(sed 's/.*to go on: //' stopped.err) --steps 1" >going.json
    grep '"event":"resume","checkpoint":"a place/long.safetensors"' going.json
}
ok "and the command that it gives goes on" going_on

# --- Files of figures
logged() { # OUT OPTION...
    out=$1
    shift
    set -- --report-every 10 --json --out "$out" --log "$out.jsonl" --log "$out.csv" --tensorboard "$out.events" "$@"
    exec ./loop train "$@" >"$out.json"
}
sh_logged() { (logged "$@"); }
"$nnc" build loop.nnd -o loop
ok "writes figures in three forms" sh_logged figures
ok "the JSON lines are those of --json" cmp figures.json figures.jsonl
events=figures.events/events.out.tfevents.Tiny
python3 "$e2e/tfevents.py" $events >figures.txt 2>tfevents.err || cat tfevents.err
same_figures() { # CSV and the event file hold the losses and scores of the JSON lines
    python3 - <<'END'
import csv, json
lines = [json.loads(line) for line in open("figures.jsonl")]
table = list(csv.DictReader(open("figures.csv")))
events = {(int(s), tag): v for s, tag, v in (line.split() for line in open("figures.txt"))}
count = 0
for event in ("step", "epoch"):
    rows = [row for row in table if row["event"] == event]
    says = [line for line in lines if line["event"] == event]
    assert len(rows) == len(says) > 3, (event, len(rows), len(says))
    for row, line in zip(rows, says):
        figures = {event + "/loss": (line["loss"], row["loss"])}
        for name, value in line.get("val", {}).items():
            figures["val/" + name] = (value, row["val." + name])
        for tag, (value, cell) in figures.items():
            assert float(cell) == value, (tag, cell, value)
            error = abs(float(events[line["step"], tag]) - value)  # of a float
            assert error <= 1e-7 * abs(value), (tag, value)
            count += 1
result = [row for row in table if row["event"] == "result"]
assert len(result) == 1 and float(result[0]["test.loss"]) == lines[-2]["test"]["loss"], result
assert count > 20
END
}
ok "all of them hold the same figures" same_figures
many() { # as many metrics as there may be, each a value of its own
    awk -v count="$1" '{ print } /metric accuracy/ { for (i = 2; i <= count; i++) printf "  metric m%d = mean(logits) + %d\n", i, i }' \
        loop.nnd >many.nnd
    "$nnc" train many.nnd --jit tcc --quiet --steps 45 --epochs 1 --out many --tensorboard many.events &&
        python3 "$e2e/tfevents.py" many.events/events.out.tfevents.Tiny >many.txt && grep 'val/m31 ' many.txt
}
ok "of thirty-one metrics, too" many 31
ok "thirty-two are an error" fails 1 'at most 31 metrics' many 32
continued() { # a killed and resumed run leaves the same rows, each once
    sh_logged again --steps 1 || return 1
    logged again --resume --save-every 7 &
    run=$!
    for _ in $(seq 100); do
        grep -q '"event":"epoch","epoch":2' again.jsonl 2>/dev/null && break
        sleep 0.05
    done
    kill -KILL "$run"
    wait "$run"
    printf '{"event":"step","epoch":99' >>again.jsonl # half a line, and half a record
    printf 'step,99,1' >>again.csv
    head -c 21 figures.events/events.out.tfevents.Tiny >>again.events/events.out.tfevents.Tiny
    sh_logged again --resume || return 1
    for run in figures again; do
        grep -v '^result' $run.csv | cut -d, -f 1-3 >$run.rows
        grep '^epoch' $run.csv | cut -d, -f 1-4,7- >$run.epochs
        python3 "$e2e/tfevents.py" $run.events/events.out.tfevents.Tiny >$run.all || return 1
        cut -d' ' -f 1,2 <$run.all >$run.tags
    done
    cmp figures.rows again.rows && cmp figures.epochs again.epochs && cmp figures.tags again.tags
}
ok "a resumed run goes on in them, without a step twice" continued
ok "a name that says no form is an error" fails 1 '\.jsonl or \.csv' ./loop train --log figures.txt
other_columns() {
    echo 'event,epoch,step,speed' >other.csv
    fails 1 'other columns' ./loop train --resume --out figures --log other.csv
}
ok "a table of another run is left alone" other_columns

expecting() { # EXPECTATION
    sed "s/batch = 16;/batch = 16; $1;/" loop.nnd >expecting.nnd
    "$nnc" train expecting.nnd --jit tcc --epochs 1 --out expecting
}
ok "an expectation that is met" expecting 'expect val.loss < 100; expect test.accuracy >= 0'
ok "one that is not" fails 1 'not met: 1 of 2 .*test.accuracy > 1' expecting 'expect val.loss < 100; expect test.accuracy > 1'
ok "names it in a line" grep -q 'expect test.accuracy > 1: NOT MET, it is 0' out.log
ok "and leaves the checkpoint" "$nnc" eval expecting.nnd --jit tcc --checkpoint expecting/expecting.safetensors
ok "more validation than there is" fails 1 'validation = 640 takes 640 of the 640' \
    sh -c "sed 's/validation = 0.1/validation = 640/' loop.nnd >none.nnd; '$nnc' train none.nnd --jit tcc"
plan
