#!/bin/sh
# SPDX-License-Identifier: MIT
# Blocks of products as CUDA, on the CPU, in several orders of their threads. TAP.
#   cuda_product.sh SOURCE_DIR
set -u
here=$(realpath "$1")/tests/cuda_host
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
if ! command -v "${CUDA_HOST_CXX:-g++}" >/dev/null; then
    echo "1..0 # SKIP no C++ compiler"
    exit
fi
"$here/nvcc" -O3 -fmad=false -o products "$here/test_cuda_product.cu" >log 2>&1 || {
    sed 's/^/# /' log
    echo "not ok 1 - blocks of products compile"
    echo "1..1"
    exit
}
number=0
for order in "" late,strict,shuffle=5; do
    CUDA_HOST=$order ./products >log 2>&1
    status=$?
    sed 's/^/# /' log
    grep -q '^1\.\.' log && ! grep -q '^not ok' log && [ $status -eq 0 ]
    result=$?
    number=$((number + 1))
    [ $result -eq 0 ] && echo "ok $number - with CUDA_HOST=$order" ||
        echo "not ok $number - with CUDA_HOST=$order"
done
echo "1..$number"
