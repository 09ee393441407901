#!/bin/sh
# SPDX-License-Identifier: MIT
# A program for another machine: built by a cross-compiler, run under an emulator.
. "$2/tests/e2e/lib.sh"
tiny=$e2e/tiny.nnd
cross=aarch64-linux-gnu-gcc root=/usr/aarch64-linux-gnu

for program in $cross qemu-aarch64; do
    command -v $program >/dev/null && continue
    echo "1..0 # SKIP no $program here (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)"
    exit 0
done

emulated() { qemu-aarch64 -L $root ./there "$@"; }
cross_nnc() { env CC=$cross "$nnc" "$@"; }

ok "builds for another machine" cross_nnc build "$tiny" --march armv8-a -o there
ok "which is another machine's" sh -c "od -An -tx1 -j18 -N2 there | grep -q 'b7 00'"
ok "not several processors' at a time" fails 1 'x86-64-v4 is code for.*aarch64-linux-gnu-gcc. does not compile' cross_nnc build "$tiny" --march portable -o none
if [ "$(uname -m)" != aarch64 ]; then
    ok "nor trains for it here" fails 1 'does not run' cross_nnc train "$tiny" --march armv8-a --jit native --out none
fi
ok "tells what it is for" sh -c "qemu-aarch64 -L $root ./there --help | grep -q 'code for armv8-a'"
train_there() { emulated train --json --threads "$1" --out "there$1" >"there$1.json"; }
ok "trains there" train_there 2
ok "and says for what" grep -q '"target":"armv8-a"' there2.json
ok "on one thread, too" train_there 1
ok "with the same bits" cmp there1/*.safetensors there2/*.safetensors
ok "trains here" sh -c "'$nnc' train '$tiny' --json --out here >here.json"
for name in loss accuracy; do
    ok "with nearly the same $name" near "$(field there2.json epoch $name)" "$(field here.json epoch $name)" 1e-4
done
ok "in the last epoch's test, too" near "$(grep -o '"test":{"loss":[0-9.]*' there2.json | tail -n 1 | cut -d: -f3)" \
    "$(grep -o '"test":{"loss":[0-9.]*' here.json | tail -n 1 | cut -d: -f3)" 1e-4
ok "evaluates what was trained here" emulated eval --checkpoint here/*.safetensors
predict_there() { emulated predict --checkpoint here/*.safetensors test:0 test:1 test:2 >there.txt; }
ok "predicts" predict_there
ok "predicts here" sh -c "'$nnc' predict '$tiny' --checkpoint here/*.safetensors test:0 test:1 test:2 | grep ^test: >here.txt"
ok "the same" cmp there.txt here.txt
plan
