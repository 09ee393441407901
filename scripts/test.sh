#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is needed, builds, runs every test. The last line is `N passed, N failed, N skipped`.
#   test.sh [SUITE...]       unit golden ops diff e2e fuzz; default: all
set -eu
cd "$(dirname "$0")/.."
build=${NNC_TEST_BUILD:-build-test}

scripts/install-deps.sh test
[ -f "$build/build.ninja" ] || meson setup "$build" -Dwerror=true -Dtests=enabled
ninja -C "$build"

suites=
for suite in "$@"; do
    suites="$suites --suite $suite"
done
status=0
# shellcheck disable=SC2086  # a list of words
meson test -C "$build" --print-errorlogs $suites || status=$?

exec python3 scripts/count-tests.py "$build/meson-logs/testlog.json" "$status"
