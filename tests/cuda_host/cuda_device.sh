#!/bin/sh
# SPDX-License-Identifier: MIT
# The runtime's part for GPUs with CUDA on the CPU: runs, copies and graphs in any order that is allowed, and
# what is said where there is no GPU, another, or too little of its memory. TAP.
#   cuda_device.sh SOURCE_DIR
set -u
source=$(realpath "$1")
here=$source/tests/cuda_host
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
number=0
command -v g++ >/dev/null || { echo "1..0 # SKIP no C++ compiler" && exit; }

result() { # STATUS NAME
    number=$((number + 1))
    [ "$1" -eq 0 ] && echo "ok $number - $2" || echo "not ok $number - $2"
}

# says OPTIONS CASE PATTERN
says() {
    CUDA_HOST=$1 ./device "$2" >log 2>&1
    grep -qE -- "$3" log
    result $? "$3"
    sed 's/^/# /' log | cut -c 1-300
}

for file in error memory; do
    ${CC:-cc} -O1 -I "$source/runtime" -c -o $file.o "$source/runtime/$file.c"
done
"$here/nvcc" -O3 -fmad=false -I"$source/runtime" -o device "$here/test_device.cu" "$source/runtime/cuda.cu" \
    error.o memory.o >log 2>&1
result $? "a program with its device is compiled"
sed 's/^/# /' log
for options in "" late late,strict,shuffle=3 strict,shuffle=4; do
    CUDA_HOST=$options ./device >log 2>&1
    grep -q '^1\.\.' log && ! grep -q '^not ok' log
    result $? "it runs with CUDA_HOST=$options"
    sed 's/^/# /' log
done

says devices=0 large "^there is no NVIDIA GPU here$"
says driver=0 large "^there is no NVIDIA driver here$"
says driver=12040 large "driver here is for CUDA 12.4, and this needs one for CUDA [0-9.]+$"
says no-image,capability=75 large "is sm_75, and this program's code is for sm_90: .* --march sm_75$"
says memory=500000 large "takes 1.0 MB .* a batch of 1000 .* 0.5 MB are free .*: a batch of about [1-9][0-9]* would fit$"
says memory=100 large "no batch would fit$"
says "" predict "kernel predict_k0, test.nnd:7, cannot be launched: unspecified launch failure$"
says late predict "^the GPU has failed: .*: unspecified launch failure$"
says "" fault "kernel between_k0, test.nnd:7, cannot be launched: invalid configuration argument$"
echo "1..$number"
