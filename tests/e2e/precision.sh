#!/bin/sh
# SPDX-License-Identifier: MIT
# precision = bf16 from outside: it learns as f32 does, in less memory, the same bits on any number of threads.
. "$2/tests/e2e/lib.sh"

sed 's/^  batch = .*/&; precision = bf16/' "$e2e/tiny.nnd" >narrow.nnd
cp "$e2e/tiny.nnd" wide.nnd

train() { # FILE OUT OPTION...
    file=$1 out=$2
    shift 2
    "$nnc" train "$file.nnd" --json --out "$out" "$@" >"$out.json"
}

same_checkpoint() { cmp "$1"/*.safetensors "$2"/*.safetensors; }

ok "trains in f32" train wide f32 --epochs 20 --lr 0.01
ok "trains in bf16" train narrow bf16 --epochs 20 --lr 0.01 --threads 2
ok "its start says so" sh -c "head -n 1 bf16.json | grep -q '\"precision\":\"bf16\"'"
ok "and that of the other, too" sh -c "head -n 1 f32.json | grep -q '\"precision\":\"f32\"'"
ok "the loss falls" less "$(field bf16.json epoch loss)" 2.2
ok "as far as in f32, about" less "$(field bf16.json epoch loss)" "$(field f32.json epoch loss | awk '{ print 1.4 * $1 }')"
ok "one thread" train narrow single --epochs 20 --lr 0.01 --threads 1
ok "and two give the same bits" same_checkpoint bf16 single
differ() { same_checkpoint "$1" "$2"; [ $? -eq 1 ]; }
ok "others than in f32" differ bf16 f32
ok "with libtcc" train narrow tcc --epochs 1 --jit tcc
ok "a checkpoint is evaluated in either" sh -c "'$nnc' eval narrow.nnd --checkpoint bf16/*.safetensors &&
    '$nnc' eval wide.nnd --checkpoint bf16/*.safetensors"
ok "predicts" sh -c "'$nnc' predict narrow.nnd --checkpoint bf16/*.safetensors test:0"
ok "is built" "$nnc" build narrow.nnd -o narrow
ok "and the program gives the same bits" sh -c "./narrow train --epochs 20 --lr 0.01 --out built >/dev/null"
ok "as nnc" same_checkpoint bf16 built
ok "each kernel is right" "$nnc" verify narrow.nnd
ok "and with libtcc" "$nnc" verify narrow.nnd --jit tcc
ok "the error is shown" sh -c "'$nnc' verify narrow.nnd | grep -q 'rounding to bf16: .*loss'"
ok "explains what it saves" sh -c "'$nnc' explain narrow.nnd | grep -q 'precision bf16'"
ok "in JSON" sh -c "'$nnc' explain narrow.nnd --json | head -n 1 | grep -q '\"precision\":\"bf16\"'"

sed 's/precision = bf16/precision = f16/' narrow.nnd >wrong.nnd
ok "another precision is an error" fails 1 'f16' "$nnc" check wrong.nnd
sed 's/precision = bf16/precision = 16/' narrow.nnd >wrong.nnd
ok "so is a number" fails 1 'precision is f32 or bf16' "$nnc" check wrong.nnd

echo "1..$number"
