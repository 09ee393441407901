#!/bin/sh
# SPDX-License-Identifier: MIT
# From nothing to a trained network: installs, builds, trains on images that need no file, and leaves a
# program that needs nothing.
set -eu
cd "$(dirname "$0")/.."
build=${NNC_BUILD:-build}

scripts/install-deps.sh
[ -f "$build/build.ninja" ] || meson setup "$build" >/dev/null
quiet=--quiet
[ -t 1 ] && quiet= # a terminal sees the progress
# shellcheck disable=SC2086  # no argument where it is empty
ninja -C "$build" $quiet nnc runtime/libnnc_program.a

echo
"$build/nnc" train examples/shapes.nnd --out out
"$build/nnc" build examples/shapes.nnd -o shapes

cat <<END

Trained: out holds the checkpoint. The network is now a program of its own as well, ./shapes, which runs
where neither nnc nor a compiler is installed:

    ./shapes eval    --checkpoint $(ls out/*.safetensors | head -n 1)
    ./shapes predict --checkpoint $(ls out/*.safetensors | head -n 1) test:0
    ./shapes train   --epochs 1

Go on with:

END
shown() { printf '    %-48s %s\n' "$1" "$2"; }
shown 'less docs/TUTORIAL.md' 'from one layer to your own, in half an hour'
shown 'less examples/shapes.nnd' 'the network, in the language'
shown "$build/nnc check examples/shapes.nnd" 'its layers and parameters'
shown "$build/nnc emit examples/shapes.nnd -o shapes-c" 'the C it becomes, with a Makefile'
