#!/bin/sh
# SPDX-License-Identifier: MIT
# --device cuda and --target cuda, with CUDA on the CPU (tests/cuda_host) in nvcc's place: training is that of the
# processor but for rounding, its bits are the same in any order that a GPU may take, and what is missing is said.
. "$(dirname "$0")/lib.sh"
shim=$source/tests/cuda_host/nvcc
if ! command -v g++ >/dev/null; then
    skip "CUDA" "no C++ compiler"
    plan
    exit
fi
export NVCC="$shim"
cp "$e2e/tiny.nnd" .

train() { # OUT OPTIONS...
    out=$1
    shift
    "$nnc" train tiny.nnd --epochs 1 --limit 88 --json --out "$out" "$@" >"$out.json"
}
on_gpu() { train "$@" --device cuda --march sm_80; }

ok "training on the processor" train cpu
ok "and on a GPU" on_gpu gpu
ok "the report says what it runs on" grep -q '"device":"CUDA on the CPU, sm_90' gpu.json
ok "the loss is the same" near "$(field gpu.json epoch loss)" "$(field cpu.json epoch loss)" 1e-5
ok "and on the test examples" near "$(field gpu.json result loss)" "$(field cpu.json result loss)" 1e-4
ok "copies as late as allowed, threads in another order" env CUDA_HOST=late,strict,shuffle=5 \
    "$nnc" train tiny.nnd --epochs 1 --limit 88 --quiet --out late --device cuda --march sm_80
ok "give the same checkpoint" cmp gpu/tiny.safetensors late/tiny.safetensors
ok "a run that ends amid the epoch" on_gpu part --steps 3
ok "and is resumed" on_gpu part --resume
ok "gives the same checkpoint" cmp gpu/tiny.safetensors part/tiny.safetensors

ok "verify: each kernel is as the oracle" "$nnc" verify tiny.nnd --device cuda --march sm_80
ok "eval" "$nnc" eval tiny.nnd --checkpoint gpu/tiny.safetensors --device cuda --march sm_80
"$nnc" predict tiny.nnd --checkpoint gpu/tiny.safetensors test:3 --device cuda --march sm_80 2>/dev/null | tail -n 1 >on_gpu
"$nnc" predict tiny.nnd --checkpoint gpu/tiny.safetensors test:3 | tail -n 1 >on_cpu
ok "predict says the same" cmp on_gpu on_cpu

# said OPTIONS PATTERN ARGUMENT...: training is refused with those words.
said() {
    options=$1 pattern=$2
    shift 2
    CUDA_HOST=$options fails 1 "$pattern" "$nnc" train tiny.nnd "$@"
}
ok "too little memory" said memory=1000000 "with a batch of 16 .* a batch of about [0-9]+ would fit" \
    --device cuda --march sm_80
ok "a GPU of another kind" said no-image,capability=75 "code is for sm_80: .* --march sm_75" \
    --device cuda --march sm_80
ok "an old driver" said driver=11080 "driver here is for CUDA 11.8" --device cuda --march sm_80
ok "no such GPU" said "" "--march sm_20: GPUs are sm_75" --device cuda --march sm_20
ok "no CUDA compiler" env NVCC=/nowhere/nvcc sh -c '"$1" train tiny.nnd --device cuda --march sm_80 2>&1 |
    grep -q "named by \$NVCC, ./nowhere/nvcc., is not to be found"' - "$nnc"

# A driver that has a GPU of its own invention.
cat >driver.c <<'END'
#include <string.h>
int cuInit(unsigned flags) { return (int)flags; }
int cuDeviceGetCount(int *count) { return *count = 1, 0; }
int cuDeviceGet(int *device, int ordinal) { return *device = ordinal, 0; }
int cuDeviceGetName(char *name, int size, int device) { return strncpy(name, "Test", (unsigned)size), device; }
int cuDeviceGetAttribute(int *value, int which, int device) { return *value = which == 75 ? MAJOR : 0, device; }
END
for major in 8 6; do
    mkdir -p driver$major
    ${CC:-cc} -shared -fPIC -DMAJOR=$major -o driver$major/libcuda.so.1 driver.c
done
with() { # DRIVER ARGUMENT...
    driver=$1
    shift
    LD_LIBRARY_PATH=$PWD/driver$driver "$nnc" train tiny.nnd --limit 16 --epochs 1 --out with "$@" 2>&1
}
ok "auto takes the GPU that is there" sh -c 'echo "$1" | grep -q "CUDA on the CPU"' - "$(with 8 --device auto)"
ok "and the processor where it is too small" sh -c 'echo "$1" | grep -q "on the processor: Tiny takes" &&
    echo "$1" | grep -q "parameters.* cpu (native"' - "$(CUDA_HOST=memory=100000 with 8 --device auto)"
ok "or too old" sh -c 'echo "$1" | grep -q "on the processor: Test is sm_60"' - "$(with 6 --device auto)"
ok "or not there" sh -c 'echo "$1" | grep -q "on the processor: there is no NVIDIA"' - "$(with 0 --device auto)"

# --- Programs
same_values() { # as training has: the names of plans differ, before the tensors
    for of in gpu "$1"; do
        tail -c 18000 $of/tiny.safetensors >$of.values
    done
    cmp gpu.values "$1.values"
}
ok "a program is built" "$nnc" build tiny.nnd --target cuda --march sm_80,sm_90 -o tiny
ok "and trains" ./tiny train --epochs 1 --limit 88 --out built
ok "with the same bits" same_values built
ok "source is written" "$nnc" emit tiny.nnd --target cuda --march sm_80 -o emitted
ok "which a Makefile builds" make -s -j2 -C emitted NVCC="$shim"
ok "to a program that trains" ./emitted/tiny train --epochs 1 --limit 88 --out made
ok "with the same bits" same_values made

# --- With nvcc itself, and no GPU
real=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null)
if [ -z "$real" ]; then
    skip "nvcc links the program" "no nvcc"
else
    ok "nvcc links the program" env NVCC="$real" "$nnc" build tiny.nnd --target cuda --march sm_90 -o linked
    if ! ls /dev/nvidia0 >/dev/null 2>&1; then
        ok "which says that there is no GPU" fails 1 "there is no NVIDIA (driver|GPU) here" ./linked train
    fi
fi
plan
