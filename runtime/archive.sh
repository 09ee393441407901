#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes libnnc_program.a: what a built program carries. One object that holds the runtime and those parts of static
# libraries that it uses; of its symbols only the runtime's own (nnc_*) can be seen from outside.
#   archive.sh OUTPUT RUNTIME.a OBJCOPY AR CC... -- LIBRARY.a...
set -eu
output=$1 runtime=$2 objcopy=$3 ar=$4
shift 4
compiler=
while [ "$1" != -- ]; do
    compiler="$compiler $1"
    shift
done
shift
object=$output.o
$compiler -r -nostdlib -o "$object" -Wl,--whole-archive "$runtime" -Wl,--no-whole-archive "$@"
"$objcopy" --strip-debug --wildcard --keep-global-symbol='nnc_*' "$object"
rm -f "$output"
"$ar" rcs "$output" "$object"
rm -f "$object"
