#!/bin/sh
# SPDX-License-Identifier: MIT
# Readers of texts and files under libFuzzer, with the sanitizers for addresses and undefined
# behaviour. What was found lies in build-fuzz/found; new inputs in build-fuzz/new/TARGET.
#
#     scripts/fuzz.sh                    each target for 60 seconds
#     scripts/fuzz.sh 1200 csv json      two of them, twenty minutes each
#     scripts/fuzz.sh keep csv           what is new into tests/fuzz/corpus/csv, as little as will do
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
build=${NNC_FUZZ_BUILD:-$top/build-fuzz}
seconds=${1:-60}
[ $# -gt 0 ] && shift

[ -d "$build" ] || CC=clang meson setup "$build" "$top" -Dfuzz=enabled -Dtests=disabled \
    -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
ninja -C "$build" tests/fuzz/fuzz
fuzz=$build/tests/fuzz/fuzz
corpus=$top/tests/fuzz/corpus
[ $# -gt 0 ] || set -- $(ls "$corpus")
mkdir -p "$build/found"

for target; do
    new=$build/new/$target
    mkdir -p "$new"
    if [ "$seconds" = keep ]; then
        rm -rf "$build/kept"
        mkdir -p "$build/kept"
        "$fuzz" --target="$target" -merge=1 -use_counters=0 -max_len=2048 "$build/kept" "$corpus/$target" "$new"
        rm -rf "${corpus:?}/$target"
        mv "$build/kept" "$corpus/$target"
        continue
    fi
    case $target in
    nnd | elaborate | compile | graph | expr) words=nnd ;;
    *) words=file ;;
    esac
    "$fuzz" --target="$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=4096 -print_final_stats=1 -artifact_prefix="$build/found/$target-" \
        -dict="$top/tests/fuzz/dictionary/$words.dict" "$new" "$corpus/$target"
done
