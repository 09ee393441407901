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
ok "its start says so" sh -c "grep event...start bf16.json | grep -q '\"precision\":\"bf16\"'"
ok "and that of the other, too" sh -c "grep event...start f32.json | grep -q '\"precision\":\"f32\"'"
ok "the loss falls" less "$(field bf16.json epoch loss)" 2.2
ok "as far as in f32, about" less "$(field bf16.json epoch loss)" "$(field f32.json epoch loss | awk '{ print 1.4 * $1 }')"
ok "one thread" train narrow single --epochs 20 --lr 0.01 --threads 1
ok "and two give the same bits" same_checkpoint bf16 single
differ() { same_checkpoint "$1" "$2"; [ $? -eq 1 ]; }
ok "others than in f32" differ bf16 f32
sed 's/precision = bf16/precision = tf32/' narrow.nnd >rounding.nnd
ok "trains in tf32" train rounding tf32 --epochs 20 --lr 0.01
ok "its start says so, too" sh -c "grep event...start tf32.json | grep -q '\"precision\":\"tf32\"'"
same_loss() { [ "$(field "$1.json" epoch loss)" = "$(field "$2.json" epoch loss)" ]; }
ok "which changes nothing where there is no GPU" same_loss tf32 f32
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

# Adam's first moment after one step is a tenth of the gradient.
rounded() { "$nnc" verify narrow.nnd | grep "rounding to bf16: train, $1 " | awk '{ print $(NF - 3) }'; }
ok "gradients are those of f32 but for 3 %" less "$(rounded adam.m)" 0.03
ok "and are not the same" less 1e-5 "$(rounded adam.m)"

# --- What is kept is f32
ok "a checkpoint holds numbers of f32" sh -c "head -c 4096 bf16/*.safetensors | grep -q F32"
ok "and no others" not sh -c "head -c 4096 bf16/*.safetensors | grep -q BF16"
ok "trains half of the way" train narrow resumed --epochs 10 --lr 0.01 --threads 3
ok "and, resumed, the other" train narrow resumed --resume --epochs 20 --lr 0.01 --threads 1
ok "to the same bits" same_checkpoint resumed bf16

sed 's/precision = bf16/&; budget = 500 kB/' narrow.nnd >tight.nnd
ok "one epoch" train narrow brief --epochs 1
ok "with a budget, too" train tight tight --epochs 1
ok "it learns the same" near "$(field tight.json epoch loss)" "$(field brief.json epoch loss)" 0.01

# --- Other processors
levels=
for level in x86-64 x86-64-v2 x86-64-v3 x86-64-v4; do
    "$nnc" train narrow.nnd --steps 1 --march $level --out probe >/dev/null 2>&1 && levels="$levels $level"
done
for level in $levels; do
    ok "trains for $level" train narrow "$level" --epochs 1 --march "$level"
    ok "to nearly the same loss" near "$(field "$level.json" epoch loss)" "$(field brief.json epoch loss)" 0.01
done
if [ -n "$levels" ]; then
    ok "is built for several" "$nnc" build narrow.nnd --march portable -o portable
    ok "and trains with the least" sh -c "NNC_MARCH=x86-64 ./portable train --epochs 1 --out least >/dev/null"
    ok "as nnc does" same_checkpoint least x86-64
fi

# With an instruction for pairs. Where this processor has none, the code is looked at; what it computes
# is tested with the instruction written in C (tests/diff/test_products.c).
if ! "$nnc" build narrow.nnd --march cooperlake -o pairs >pairs.log 2>&1; then
    skip "pairs are multiplied by one instruction" "$(head -n 1 pairs.log)"
elif ! command -v objdump >/dev/null; then
    skip "pairs are multiplied by one instruction" "no objdump here"
else
    ok "pairs are multiplied by one instruction" sh -c "objdump -d pairs | grep -q vdpbf16ps"
    ok "and rounded by one" sh -c "objdump -d pairs | grep -q vcvtne2*ps2bf16"
    if ./pairs train --epochs 1 --json --out pairs_out >pairs.json 2>pairs.err; then
        ok "trains with it" near "$(field pairs.json epoch loss)" "$(field brief.json epoch loss)" 0.01
    else
        ok "it is said that this processor has it not" grep -q 'compiled for x86-64-v4+bf16' pairs.err
    fi
fi
if command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null; then
    there() { qemu-aarch64 -L /usr/aarch64-linux-gnu ./there train --json --threads "$1" --out "there$1" >"there$1.json"; }
    ok "is built for another machine" env CC=aarch64-linux-gnu-gcc "$nnc" build narrow.nnd --march armv8-a -o there
    ok "and trains there" there 2
    ok "one thread gives the same bits" sh -c "qemu-aarch64 -L /usr/aarch64-linux-gnu ./there train --threads 1 --out there1 >/dev/null &&
        cmp there1/*.safetensors there2/*.safetensors"
    ok "trains here as long" train narrow here
    ok "to nearly the same loss" near "$(field there2.json epoch loss)" "$(field here.json epoch loss)" 0.01
else
    skip "another machine" "no aarch64-linux-gnu-gcc and qemu-aarch64 here"
fi

sed 's/precision = bf16/precision = f16/' narrow.nnd >wrong.nnd
ok "another precision is an error" fails 1 'f16' "$nnc" check wrong.nnd
sed 's/precision = bf16/precision = 16/' narrow.nnd >wrong.nnd
ok "so is a number" fails 1 'precision is f32, tf32 or bf16' "$nnc" check wrong.nnd

echo "1..$number"
