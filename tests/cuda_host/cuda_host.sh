#!/bin/sh
# SPDX-License-Identifier: MIT
# CUDA on the CPU: kernels that are right give what they should in any order, wrong ones are found. TAP.
#   cuda_host.sh SOURCE_DIR
set -u
here=$(realpath "$1")/tests/cuda_host
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
number=0

result() { # STATUS NAME
    number=$((number + 1))
    [ "$1" -eq 0 ] && echo "ok $number - $2" || echo "not ok $number - $2"
}

# found NAME PATTERN [OPTIONS]: the wrong kernel NAME is told of so.
found() {
    CUDA_HOST=${3:-} ./kernels "$1" >log 2>&1
    grep -qE -- "$2" log
    result $? "$1: $2"
    sed 's/^/# /' log | cut -c 1-200
}

for cxx in g++ clang++; do
    command -v $cxx >/dev/null || continue
    CUDA_HOST_CXX=$cxx "$here/nvcc" -O3 -fmad=false -o kernels "$here/test_cuda_host.cu" >log 2>&1
    result $? "$cxx compiles kernels"
    sed 's/^/# /' log
    for options in "" late late,strict,shuffle=3 strict,shuffle=4; do
        CUDA_HOST=$options ./kernels ok >log 2>&1
        status=$?
        grep -q '^1\.\.' log && ! grep -q '^not ok' log && [ $status -eq 0 ]
        result $? "they are right with $cxx and CUDA_HOST=$options"
        sed 's/^/# /' log
    done
done
if [ $number -eq 0 ]; then
    echo "1..0 # SKIP no C++ compiler"
    exit
fi

found some_sync "some_sync, block \(0, 0, 0\): .* 32 are at a __syncthreads, .* 32 have ended"
found two_syncs "two_syncs, .*different barriers: thread 0 at .*, thread 32 at "
found half_warp "half_warp, .* 16 at a warp's exchange, 48 have ended"
found beyond "beyond, .*thread \(0, 0, 0\) touches 0x[0-9a-f]+, 144 bytes behind the end of device memory of 256"
found beyond "^cudaErrorLaunchFailure"
found unwritten "unwritten, .*which is no device memory"
found threads "^cudaErrorInvalidConfiguration"
found touch "^cudaSuccess"
CUDA_HOST=strict ./kernels touch >log 2>&1
[ $? -gt 128 ]
result $? "with strict, the host that touches device memory is ended"
CUDA_HOST=shuffle=3 ./kernels racing >first 2>&1
CUDA_HOST=shuffle=4 ./kernels racing >second 2>&1
! cmp -s first second
result $? "a race gives something else in another order"
CUDA_HOST=memory=100 ./kernels beyond 2>&1 | grep -q '^cudaErrorMemoryAllocation'
result $? "no more memory than there is"
CUDA_HOST=driver=12000 ./kernels beyond 2>&1 | grep -q '^cudaErrorInsufficientDriver'
result $? "an old driver"
CUDA_HOST=devices=0 ./kernels beyond 2>&1 | grep -q '^cudaErrorNoDevice'
result $? "no device"
echo "1..$number"
