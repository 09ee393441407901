#!/bin/sh
# SPDX-License-Identifier: MIT
# What a machine with an NVIDIA GPU says of nnc: builds it with what such a machine has, compares every kernel
# with the oracle, looks for mistakes with NVIDIA's compute-sanitizer, measures, and prints one table. What
# could not be looked at stands in it, too. Exit status 1: something is wrong; 0: nothing that was looked at is.
#   scripts/gpu-check.sh [MODEL.nnd...]         default: all examples
#   NNC=PATH      this nnc, without building one        NVCC=PATH   the CUDA compiler
#   MARCH=sm_90   instead of what the GPU is            STEPS=N     of a measurement (default: 500)
#   TRAIN=MODEL   that is trained (default: examples/shapes.nnd)
set -u
source=$(realpath "$(dirname "$0")/..")
build=${NNC_GPU_BUILD:-$source/build-gpu}
steps=${STEPS:-500}
march=${MARCH:+--march $MARCH}
trained=${TRAIN:-$source/examples/shapes.nnd}
of=$(basename "$trained" .nnd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
table=$work/table
failed=0

row() { # RESULT CHECK DETAIL
    [ "$1" = FAILED ] && failed=$((failed + 1))
    printf '| %s | %s | %s |\n' "$2" "$1" "$3" | tee -a "$table" >&2
}
show() { sed 's/^/    /' "$1" | tail -n "${2:-8}" >&2; }

# tool NAME: its path, in $PATH or with CUDA.
tool() { command -v "$1" || { [ -x "/usr/local/cuda/bin/$1" ] && echo "/usr/local/cuda/bin/$1"; }; }

# --- What there is
: "${NVCC:=$(tool nvcc)}"
export NVCC
if [ -n "$NVCC" ]; then
    row ok nvcc "$("$NVCC" --version | grep -E 'release|in its place' | head -n 1)"
else
    row missing nvcc "no CUDA compiler: nothing can be looked at"
fi
smi=$(tool nvidia-smi)
if [ -n "$smi" ] && "$smi" --query-gpu=name,driver_version,memory.total --format=csv,noheader >"$work/gpu" 2>&1; then
    row ok GPU "$(head -n 1 "$work/gpu")"
else
    row missing GPU "nvidia-smi finds none; what runs below ran elsewhere"
fi

# --- nnc
if [ -n "${NNC:-}" ]; then
    row ok build "not built: $NNC"
elif command -v meson >/dev/null && command -v ninja >/dev/null; then
    { [ -f "$build/build.ninja" ] || meson setup "$build" "$source" -Dtests=disabled; } >"$work/build" 2>&1 &&
        ninja -C "$build" nnc runtime/libnnc_program.a >>"$work/build" 2>&1
    NNC=$build/nnc
else
    make -C "$source" -f scripts/plain.mk -j4 BUILD="$build" >"$work/build" 2>&1
    NNC=$build/nnc
fi
if [ ! -x "$NNC" ]; then
    row FAILED build "see below"
    show "$work/build" 20
    exit 1
fi
[ -f "$work/build" ] && row ok build "$NNC"

# --- Each kernel against the oracle
[ $# -gt 0 ] || set -- "$source"/examples/*.nnd
for model in "$@"; do
    name=verify\ $(basename "$model")
    # shellcheck disable=SC2086  # no argument where it is empty
    if [ -z "$NVCC" ]; then
        row missing "$name" "no nvcc"
    elif "$NNC" verify "$model" --device cuda $march >"$work/verify" 2>&1; then
        row ok "$name" "$(tail -n 1 "$work/verify"), $(head -n 1 "$work/verify")"
    else
        row FAILED "$name" "$(tail -n 1 "$work/verify")"
        grep -E 'OFF|error' "$work/verify" >"$work/off"
        show "$work/off"
    fi
done

# --- Mistakes in the use of memory
sanitizer=$(tool compute-sanitizer)
for kind in memcheck racecheck initcheck synccheck; do
    if [ -z "$sanitizer" ] || [ -z "$NVCC" ]; then
        row missing "$kind" "no compute-sanitizer"
        continue
    fi
    # shellcheck disable=SC2086
    if "$sanitizer" --tool $kind --error-exitcode 9 "$NNC" train "$trained" --device cuda $march \
        --steps 6 --limit 96 --out "$work/out" >"$work/$kind" 2>&1; then
        row ok "$kind" "6 steps of $of.nnd"
    else
        row FAILED "$kind" "$(grep 'ERROR SUMMARY' "$work/$kind" | tail -n 1)"
        show "$work/$kind"
    fi
done

# --- Training: the losses of the processor, and how long it takes
field() { grep '"event":"epoch"' "$1" | tail -n 1 | grep -o "\"$2\":[-+0-9.e]*" | head -n 1 | cut -d: -f2; }
train() { # NAME OPTIONS...
    name=$1
    shift
    "$NNC" train "$trained" --limit $((steps * 16)) --epochs 1 --json --out "$work/$name" "$@" \
        >"$work/$name.json" 2>"$work/$name.err"
}
near() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(a != "" && b != "" && d * d <= 1e-3 * b * b) }'; }
# shellcheck disable=SC2086
if [ -z "$NVCC" ]; then
    row missing "train $of.nnd" "no nvcc"
elif ! train gpu --device cuda $march; then
    row FAILED "train $of.nnd" "$(tail -n 1 "$work/gpu.err")"
elif ! train cpu; then
    row FAILED "train $of.nnd on the processor" "$(tail -n 1 "$work/cpu.err")"
else
    gpu=$(field "$work/gpu.json" loss) cpu=$(field "$work/cpu.json" loss)
    if near "$gpu" "$cpu"; then result=ok; else result=FAILED; fi
    row $result "train $of.nnd, batch 16" "loss $gpu, $cpu on the processor; $(
        field "$work/gpu.json" examples_per_second) examples/s, $(field "$work/cpu.json" examples_per_second)"
    # shellcheck disable=SC2086
    if train again --device cuda $march && cmp -s "$work/gpu/$of.safetensors" "$work/again/$of.safetensors"; then
        row ok "the same run again" "the same checkpoint, bit for bit"
    else
        row FAILED "the same run again" "another checkpoint"
    fi
    # shellcheck disable=SC2086
    if train large --device cuda --batch 1024 $march; then
        row ok "train $of.nnd, batch 1024" "$(field "$work/large.json" examples_per_second) examples/s"
    else
        row FAILED "train $of.nnd, batch 1024" "$(tail -n 1 "$work/large.err")"
    fi
fi

printf '\n%s, %s\n\n| check | result | |\n| --- | --- | --- |\n' "$(date -u +%Y-%m-%d)" \
    "$(git -C "$source" rev-parse --short HEAD 2>/dev/null)"
cat "$table"
missing=$(grep -c '| missing |' "$table")
printf '\n%s failed, %s missing\n' "$failed" "$missing"
[ "$failed" -eq 0 ]
