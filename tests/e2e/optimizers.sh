#!/bin/sh
# SPDX-License-Identifier: MIT
# Optimizers and schedules from outside: what a run is told, and what it does when it goes on.
. "$2/tests/e2e/lib.sh"
tiny=$e2e/tiny.nnd

# --- Schedules: numbers of the run, plateaus, values that are set, in a run that is stopped
sed 's/adam(lr = 1e-3)/adam(lr = one_cycle(1e-2) * on_plateau(1, factor = 0.5)); plateau = 1/; s/epochs = 2/epochs = 5/' \
    "$tiny" >schedule.nnd
schedule() { # OUT OPTION...
    out=$1
    shift
    "$nnc" train schedule.nnd --jit tcc --json --out "$out" "$@" >"$out.json"
}
same_schedule() { cmp "$1"/schedule.safetensors "$2"/schedule.safetensors; }
ok "trains with a schedule" schedule scheduled
ok "stops amid the second epoch" schedule pieces --steps 55
ok "and in the fourth" schedule pieces --steps 140 --resume
ok "and goes on" schedule pieces --resume
ok "with the same bits" same_schedule scheduled pieces
ok "a number of the schedule is set" schedule set --set lr.one_cycle.peak=0.02
ok "which makes a difference" sh -c "! cmp -s scheduled/schedule.safetensors set/schedule.safetensors"
set_later() {
    schedule later --steps 10 && schedule later --resume --set lr.one_cycle.peak=0.02 &&
        ! cmp -s scheduled/schedule.safetensors later/schedule.safetensors
}
ok "and can be set when a run goes on" set_later

# --- Fine-tuning: what is frozen has its first values at the end
sed 's/optimizer =/freeze "conv2d_*"; optimizer =/' "$tiny" >frozen.nnd
"$nnc" train frozen.nnd --jit tcc --quiet --steps 1 --out begun
"$nnc" train frozen.nnd --jit tcc --quiet --out frozen
"$nnc" train frozen.nnd --jit tcc --quiet --seed 2 --steps 1 --out seeded
parameters() { # FILE PREFIX: the bytes of the parameters whose names begin so
    python3 - "$1" "$2" <<'END'
import json, struct, sys
file = open(sys.argv[1], "rb").read()
size = struct.unpack("<Q", file[:8])[0]
for name, entry in json.loads(file[8 : 8 + size]).items():
    if name.startswith(sys.argv[2]):
        begin, end = entry["data_offsets"]
        print(name, file[8 + size + begin : 8 + size + end].hex())
END
}
same_parameters() { # PREFIX A B
    parameters "$2/frozen.safetensors" "$1" >a.txt && parameters "$3/frozen.safetensors" "$1" >b.txt &&
        [ -s a.txt ] && cmp a.txt b.txt
}
ok "frozen parameters stay" same_parameters conv2d_ begun frozen
ok "others do not" not same_parameters linear_ begun frozen
ok "another seed gives frozen ones other values" not same_parameters conv2d_ begun seeded
ok "no state is kept for them" sh -c "! grep -aq 'adam.m/conv2d' frozen/frozen.safetensors && grep -aq adam.m/linear frozen/frozen.safetensors"

plan
