#!/bin/sh
# SPDX-License-Identifier: MIT
# scripts/gpu-check.sh without a GPU: CUDA on the CPU (tests/cuda_host) in nvcc's place. Its table says what is
# missing, and finds what is wrong.
. "$(dirname "$0")/lib.sh"
if ! command -v g++ >/dev/null; then
    skip "gpu-check.sh" "no C++ compiler"
    plan
    exit
fi
export NVCC="$source/tests/cuda_host/nvcc" NNC="$nnc" MARCH=sm_80 STEPS=1 TRAIN="$e2e/tiny.nnd"
check() { # STATUS ARGUMENT...
    want=$1
    shift
    "$source/scripts/gpu-check.sh" "$@" >table 2>log
    got=$?
    cat table log
    [ $got -eq "$want" ]
}
row() { grep -qE "^\| $1 \| $2 \| .*$3" table; }

ok "it ends well" check 0 "$e2e/tiny.nnd"
ok "kernels were compared" row "verify tiny.nnd" ok "[1-9][0-9]* compared, 0 off"
ok "training was" row "train tiny.nnd, batch 16" ok "loss [0-9.]+, [0-9.]+ on the processor"
ok "and is the same again" row "the same run again" ok "bit for bit"
if ! command -v nvidia-smi >/dev/null; then
    ok "that there is no GPU is said" row GPU missing "nvidia-smi finds none"
fi
printf 'nnd 1\nmodel Wrong { input x: f32[N, 2]\n output y }\n' >wrong.nnd
export STEPS=0
ok "what is wrong is an exit status" check 1 wrong.nnd
ok "and a row" row "verify wrong.nnd" FAILED ""
plan
