#!/bin/sh
# SPDX-License-Identifier: MIT
# Where there is an nvcc, it compiles what is emitted for a GPU, for the oldest one and the newest, and says nothing.
. "$(dirname "$0")/lib.sh"
nvcc=$(PATH=$PATH:/usr/local/cuda/bin command -v nvcc)
if [ -z "$nvcc" ]; then
    skip "nvcc" "it is not here"
    plan
    exit
fi

compiles() { # FILE MARCH
    model=$(basename "$1" .nnd) march=$2
    "$nnc" emit "$1" --target cuda --march "$march" -o "$model.$march" || return 1
    "$nvcc" -std=c++17 -fmad=false -arch="$march" -Xcompiler -Wall,-Wno-unused -c -o "$model.o" \
        "$model.$march/program.cu" >log 2>&1 || { cat log && return 1; }
    ! grep . log
}
ok "layers for the oldest GPU" compiles "$e2e/layers.nnd" sm_75
sed 's/batch = 64;/batch = 64; precision = bf16;/' "$e2e/layers.nnd" >rounded.nnd
ok "and for the newest, in 16 bits" compiles rounded.nnd sm_90a
plan
