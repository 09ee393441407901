#!/bin/sh
# SPDX-License-Identifier: MIT
# Mistakes of the user's: a message with the place, the right status, nothing half-written.
. "$2/tests/e2e/lib.sh"
tiny=$e2e/tiny.nnd

edit() { sed "$1" "$tiny" >"$work/edited.nnd" && echo "$work/edited.nnd"; }

# --- The command line
ok "no command is usage" fails 2 'Usage' "$nnc"
ok "an unknown command is named" fails 2 "'trian'.*'train'" "$nnc" trian "$tiny"
ok "an unknown option is usage" fails 2 'there is no option --epoch-count' "$nnc" train "$tiny" --epoch-count 3
ok "a number that is none is usage" fails 2 "epochs.*'many'" "$nnc" train "$tiny" --epochs many
ok "a number out of range is usage" fails 2 "batch.*'0'" "$nnc" train "$tiny" --batch 0
ok "a missing file name is usage" fails 2 'FILE' "$nnc" train
ok "an unknown tier is usage" fails 2 "'nativ'.*'native'" "$nnc" train "$tiny" --jit nativ
ok "an unknown stage is usage" fails 2 "'fusee'" "$nnc" graph "$tiny" --stage fusee
ok "a file alone is no command" fails 2 'nnc train .*trains it' "$nnc" "$tiny"
ok "--set without a value is usage" fails 2 'NAME=VALUE' "$nnc" train "$tiny" --set lr
ok "an unknown --set is named" fails 1 'learning_rate' "$nnc" train "$tiny" --set learning_rate=1
ok "help goes to standard output" "$nnc" train --help

# --- Files
ok "a wrong path" fails 1 'missing.nnd: .*[Nn]o such file' "$nnc" train missing.nnd
ok "a folder for a file" fails 1 'error: /:' "$nnc" check /
head -c 300 /dev/urandom >noise.nnd
ok "bytes that are no text" fails 1 'noise.nnd' "$nnc" check noise.nnd
: >empty.nnd
ok "an empty file" fails 1 'empty.nnd' "$nnc" check empty.nnd

# --- The language
ok "a shape mismatch has place and dimensions" fails 1 'edited.nnd:[0-9]+:[0-9]+: error:.*\[N, ' \
    "$nnc" check "$(edit 's/|> global_avg_pool/|> global_avg_pool |> global_avg_pool/')"
ok "an unknown key is named" fails 1 "edited.nnd:[0-9]+:[0-9]+: error:.*epoch" \
    "$nnc" check "$(edit 's/epochs = 2/epochz = 2/')"
ok "an unknown layer is named" fails 1 'edited.nnd:[0-9]+:[0-9]+: error:.*conv3d' \
    "$nnc" check "$(edit 's/conv2d/conv3d/')"
two_errors() {
    fails 1 'epochz' "$nnc" check "$(edit 's/epochs = 2/epochz = 2/; s/dropout/dropuot/')" &&
        grep -q dropuot "$work/err.log"
}
ok "all errors are shown in one run" two_errors
syntax_errors() {
    fails 1 'edited.nnd' "$nnc" check "$(edit 's/loss   cross/loss   ) cross/; s/metric acc/metric ] acc/')" &&
        [ "$(grep -c ': error:' "$work/err.log")" -ge 2 ]
}
ok "parsing goes on after an error" syntax_errors

# --- The memory that training may take
budget() { edit "s/batch = 16/budget = $1; batch = 16/"; }
place='edited.nnd:[0-9]+:[0-9]+: error:'
ok "a budget without a unit" fails 1 "$place budget is an amount of memory" "$nnc" check "$(budget 256)"
ok "of nothing" fails 1 "$place no training has its memory in 0 MB" "$nnc" check "$(budget '0 MB')"
ok "below nothing" fails 1 "$place budget is an amount of memory" "$nnc" check "$(budget '-3 MB')"
ok "of more than can be counted" fails 1 "$place no training" "$nnc" check "$(budget '1e30 TB')"
ok "a unit that is none" fails 1 'did you mean MB' "$nnc" check "$(budget '256 mb')"
ok "less than the parameters" fails 1 "$place training Tiny takes [0-9.]+ [kM]B at least" \
    "$nnc" train "$(budget '4 kB')"
normed() { sed -i 's/|> global_avg_pool/|> batch_norm |> global_avg_pool/' "$1" && echo "$1"; }
ok "examples that need one another are no chunks" fails 1 'needs what is computed from all of them' \
    "$nnc" check "$(normed "$(budget '200 kB')")"
ok "then there is a batch that fits" fails 1 'batch = [0-9]+ is the largest that fits' \
    "$nnc" check "$(normed "$(budget '600 kB')")"
accumulate() { edit "s/batch = 16/accumulate = $1; batch = 16/"; }
ok "no chunks at all" fails 1 "$place accumulate is a whole number from 1" "$nnc" check "$(accumulate 0)"
ok "more chunks than examples" fails 1 "$place a batch of 16 has no 17 chunks" "$nnc" check "$(accumulate 17)"
ok "chunks of examples that need one another" fails 1 "$place the batch of Tiny cannot be taken in chunks" \
    "$nnc" check "$(normed "$(accumulate 4)")"

# --- Data and checkpoints
folder_model() { edit "s|shapes(.*)|cifar10(\"$1\")|"; }
ok "a data folder that is not there" fails 1 'no-data' \
    "$nnc" train "$(folder_model "$work/no-data")" --jit tcc --out none
ok "nothing is left of that run" not test -e none
mkdir cifar
for i in 1 2 3 4 5; do head -c 307300 /dev/zero >cifar/data_batch_$i.bin; done
head -c 307300 /dev/zero >cifar/test_batch.bin
ok "data of the right size is read" "$nnc" train "$(folder_model "$work/cifar")" --jit tcc --steps 1 --out good
head -c 307299 /dev/zero >cifar/data_batch_3.bin
ok "a truncated data file is named" fails 1 'data_batch_3.bin' \
    "$nnc" train "$(folder_model "$work/cifar")" --jit tcc --steps 1 --out none
ok "nothing is left of that run either" not test -e none/Tiny.safetensors
printf '\143' | dd of=cifar/data_batch_3.bin bs=1 seek=3073 conv=notrunc 2>/dev/null
head -c 307300 cifar/data_batch_1.bin >cifar/data_batch_3.bin
printf '\143' | dd of=cifar/data_batch_3.bin bs=1 seek=3073 conv=notrunc 2>/dev/null
ok "a label out of range is named" fails 1 'data_batch_3.bin.*99' \
    "$nnc" train "$(folder_model "$work/cifar")" --jit tcc --out none

: >a-file
ok "a checkpoint folder that is a file" fails 1 'a-file' "$nnc" train "$tiny" --jit tcc --steps 1 --out a-file
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked && chmod 555 locked
    ok "an unwritable checkpoint folder" fails 1 'locked' "$nnc" train "$tiny" --jit tcc --steps 1 --out locked/out
else
    ok "an unwritable checkpoint folder" fails 1 '/proc' "$nnc" train "$tiny" --jit tcc --steps 1 --out /proc/out
fi
ok "a checkpoint that is not there" fails 1 'gone.safetensors' \
    "$nnc" eval "$tiny" --jit tcc --checkpoint gone.safetensors
"$nnc" train "$tiny" --jit tcc --steps 1 --out out >/dev/null 2>&1
checkpoint=$(ls out/*.safetensors)
size=$(stat -c %s "$checkpoint")
for part in 3 40 $((size / 2)) $((size - 1)); do
    head -c "$part" "$checkpoint" >cut.safetensors
    ok "a checkpoint cut to $part bytes" fails 1 'cut.safetensors' \
        "$nnc" eval "$tiny" --jit tcc --checkpoint cut.safetensors
done
ok "a checkpoint of another network" fails 1 "$(basename "$checkpoint")" \
    "$nnc" eval "$(edit 's/linear(16)/linear(17)/')" --jit tcc --checkpoint "$checkpoint"

# --- The compiler
ok "a C compiler that is not there" fails 1 'no-such-cc' \
    env CC=no-such-cc "$nnc" train "$tiny" --jit native --out none
ok "a C compiler that does not work" fails 1 'does not work' \
    env CC=false "$nnc" train "$tiny" --jit native --out none
ok "building without the runtime says where it was sought" fails 1 'nowhere/libnnc_program.a' \
    env NNC_RUNTIME_DIR=nowhere "$nnc" build "$tiny" -o none
ok "building into a folder that is not there" fails 1 'no-folder/program' "$nnc" build "$tiny" -o no-folder/program
ok "full standard output is an error" fails 1 'standard output' sh -c "'$nnc' graph '$tiny' >/dev/full"
ok "none of these left a program or a checkpoint" sh -c '[ -z "$(find . -path "./none*" -type f)" ]'
plan
