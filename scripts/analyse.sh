#!/bin/sh
# SPDX-License-Identifier: MIT
# Static analysis of compiler, runtime and frontends: a table, and status 1 where something is neither
# mended nor justified (scripts/analyse.known). Installs what is missing, where apt has it.
#
#     scripts/analyse.sh                 all of them: some minutes
#     scripts/analyse.sh cppcheck tidy   some: gcc clang tidy cppcheck
set -eu
cd "$(dirname "$0")/.."
build=${NNC_ANALYSE_BUILD:-build-analyse}

scripts/install-deps.sh analyse
[ -f "$build/build.ninja" ] || meson setup "$build" -Dtests=disabled
ninja -C "$build" compiler/embedded_runtime.c frontends/embedded_std.c
exec python3 scripts/analyse.py "$build" "$@"
