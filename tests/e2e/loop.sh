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
        figures = {event + "/loss": (line["loss"], row["loss"]),
                   event + "/lr": (line["lr"], row["lr"]),
                   event + "/accuracy": (line["train"]["accuracy"], row["train.accuracy"])}
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

# --- Rates and scores of training
sed 's/lr = 5e-3/lr = cosine(5e-3, over = steps, at = step)/' loop.nnd >cosine.nnd
same_rates() { # of each step, in one run and in one that was stopped
    "$nnc" train cosine.nnd --jit tcc --json --report-every 1 --epochs 2 --out cosine --log cosine.csv --set lr.peak=0.01 >/dev/null &&
        "$nnc" train cosine.nnd --jit tcc --report-every 1 --epochs 2 --out parts --log parts.csv --set lr.peak=0.01 --steps 30 >/dev/null &&
        "$nnc" train cosine.nnd --jit tcc --report-every 1 --epochs 2 --out parts --log parts.csv --resume >/dev/null &&
        cmp cosine/cosine.safetensors parts/cosine.safetensors || return 1
    for run in cosine parts; do cut -d, -f 1-4,7- $run.csv >$run.figures; done
    cmp cosine.figures parts.figures && python3 - <<'END'
import csv, math
rows = [row for row in csv.DictReader(open("cosine.csv")) if row["event"] == "step"]
for row in rows:
    rate = 0.005 * (1 + math.cos(math.pi * (int(row["step"]) - 1) / len(rows)))
    assert abs(float(row["lr"]) - rate) <= 1e-8 * rate, (row, rate)
END
}
ok "the learning rate of a report is that of its step" same_rates
ok "a score of training is one that can be expected" fails 1 'not met: 1 of 1 .*train.accuracy > 1' \
    sh -c "sed 's/batch = 16;/batch = 16; expect train.accuracy > 1;/' loop.nnd >trained.nnd; '$nnc' train trained.nnd --jit tcc --epochs 1 --out trained"

# --- Numbers of the data
cat >discs.nnd <<'END'
nnd 1
model Side {
  input  point: f32[N, 2]
  target label: index(2)[N]
  logits = point |> linear(2)
  output logits
  loss   cross_entropy(logits, label)
  metric accuracy(logits, label)
}
data discs { source = blobs(radius = 0.5); validation = 0.2 }
train Side on discs { batch = 16; epochs = 4; optimizer = sgd(lr = 0.5); best = val.accuracy }
END
sed 's/radius = 0.5/radius = 3/' discs.nnd >wide.nnd
wide() { # the radius of the command line is that of the file; a resumed run keeps it
    "$nnc" train wide.nnd --jit tcc --out wide && "$nnc" build discs.nnd -o discs &&
        "$nnc" train discs.nnd --jit tcc --out set --set source.radius=3 --steps 30 &&
        "$nnc" train discs.nnd --jit tcc --out set --resume &&
        ./discs train --set source.radius=3 --out built >/dev/null || return 1
    for run in set/discs built/discs wide/wide; do
        "$nnc" eval wide.nnd --jit tcc --checkpoint $run.safetensors --split val
        "$nnc" show $run.safetensors 'linear_1.*' | grep -v "$run"
    done >wide.txt
    [ "$(grep -c accuracy wide.txt)" -eq 3 ] && [ "$(sort -u wide.txt | grep -c accuracy)" -eq 1 ]
}
ok "numbers of the data can be set" wide
evaluates_wide() {
    ./discs eval --out built --set source.radius=3 --json | sed 's/"checkpoint":"[^"]*"//' >built.eval
    "$nnc" eval wide.nnd --jit tcc --checkpoint wide/wide.safetensors --json | sed 's/"checkpoint":"[^"]*"//' >wide.eval
    grep -q '"test":{' built.eval && cmp built.eval wide.eval
}
ok "for an evaluation, too" evaluates_wide
ok "check lists them" sh -c "'$nnc' check discs.nnd | grep -q '^source.radius .* 0.5$'"
ok "a name that there is not is an error" fails 1 'source.radius' "$nnc" train discs.nnd --set source.radios=1
ok "as is a value that cannot be" fails 1 'radius is to be above 0' "$nnc" train discs.nnd --set source.radius=-1

# --- Numbers of the whole data block
sed 's/^  each image/  augment image { random_crop(image, 2) }\n&/; s/epochs = 8/epochs = 1/' loop.nnd >moved.nnd
sed 's/image, 2)/image, padding = 1)/; s/validation = 0.1/validation = 0.25/' moved.nnd >meant.nnd
hash_of() { # NAME COMMAND...
    name=$1
    shift
    "$@" --json --out "$name" | sed -n 's/.*"hash":"\([^"]*\)".*/\1/p' >"$name.hash"
    test -s "$name.hash"
}
moved() {
    set -- --set validation=0.25 --set augment.random_crop.padding=1
    "$nnc" build moved.nnd -o moved && "$nnc" build meant.nnd -o meant && hash_of own ./moved train &&
        hash_of other ./moved train "$@" && hash_of wanted ./meant train &&
        cmp other.hash wanted.hash && not cmp -s own.hash other.hash &&
        "$nnc" check moved.nnd "$@" | grep -q '^augment.random_crop.padding .* 1$' &&
        "$nnc" check moved.nnd "$@" | grep -q '^validation .* 0.25$'
}
ok "validation and augmentation can be set, as if they stood there" moved
ok "each within its bounds" fails 1 'padding is to be an integer from 0 to 32' ./moved train --set augment.random_crop.padding=99
ok "something has to be held out" fails 1 'holds nothing out' ./moved train --set validation=0
sed 's/best = val.accuracy; patience = 3;//' moved.nnd >plain.nnd
ok "nnc can do without" "$nnc" train plain.nnd --jit tcc --set validation=0 --set source.train=32 --epochs 1 --out without
ok "keys of the train block can be set" sh -c "'$nnc' check moved.nnd --set patience=1 | grep '^patience .* 1$'"
ok "in their range" fails 1 'batch is a whole number from 1' "$nnc" check moved.nnd --set batch=0

# --- Expressions of first values
first() { # VALUE OUT
    sed "s/^  logits = image/  param own: [3] ~ $1\n&/; s/entropy(logits, label)/& + 0 * mean(own)/" loop.nnd >first.nnd
    "$nnc" train first.nnd --jit tcc --out "$2" --set lr=0 --set source.train=32 --epochs 1 >/dev/null &&
        "$nnc" show "$2/first.safetensors" own | tail -n 1 >"$2.values"
}
expressed() {
    first 'normal(0, 1)' plain && first '1 + 0.1 * normal(0, 1)' scaled &&
        paste -d ' ' plain.values scaled.values | awk '{ for (i = 1; i <= 3; i++) {
            d = $(i + 3) - 1 - 0.1 * $i; if (d * d > 1e-9) exit 1 }; exit NF != 6 || $1 == $2 }'
}
ok "a first value is an expression of random numbers" expressed

# --- What is missing is said at once
sed 's/source = blobs(radius = 0.5)/source = idx("nowhere")/' discs.nnd >nowhere.nnd
at_once() { # before anything is compiled
    fails 1 'nowhere' "$nnc" train nowhere.nnd && ! grep -q 'machine code\|C in' out.log &&
        fails 1 'cannot read nothing/discs.safetensors' "$nnc" train discs.nnd --resume --out nothing &&
        fails 1 'cannot read gone' "$nnc" eval discs.nnd --checkpoint gone && ! grep -q 'C in' out.log
}
ok "a file that is missing is said before a compiler runs" at_once
ok "no option is taken for another" fails 2 'no option --epoch; did you mean --epochs' "$nnc" train discs.nnd --epoch 3
ok "nor in a built program" fails 2 'no option --epoch; did you mean --epochs' ./discs train --epoch 3

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
