#!/bin/sh
# SPDX-License-Identifier: MIT
# Which lines the tests run: builds with counters, runs all suites, prints the share of each folder. What was
# not run is in build-coverage/coverage.txt, file by file. runtime/cuda.cu is for a GPU and not counted.
#
#     scripts/coverage.sh                 all suites: about twenty minutes
#     scripts/coverage.sh unit golden     some; lines that earlier runs counted stay counted
#     scripts/coverage.sh report          what was counted so far
set -eu
cd "$(dirname "$0")/.."
build=${NNC_COVERAGE_BUILD:-build-coverage}

scripts/install-deps.sh analyse
[ -f "$build/build.ninja" ] || meson setup "$build" -Db_coverage=true -Dbuildtype=debug -Doptimization=1 \
    -Dplain_tests=true -Dtests=enabled
suites=
for suite in "$@"; do
    [ "$suite" = report ] || suites="$suites --suite $suite"
done
if [ "${1-}" != report ]; then
    # shellcheck disable=SC2086  # a list of words
    meson test -C "$build" -t 4 $suites || echo "coverage.sh: some tests failed" >&2
fi
gcovr --root . --object-directory "$build" --filter compiler/ --filter runtime/ --filter frontends/ \
    --exclude-directories "$build/runtime/libnnc_program_parts.a.p" \
    --gcov-ignore-parse-errors --txt "$build/coverage.txt" --json-summary "$build/coverage.json" >/dev/null
exec python3 - "$build/coverage.json" <<'END'
import collections, json, os, sys
lines = collections.defaultdict(lambda: [0, 0])
for file in json.load(open(sys.argv[1]))["files"]:
    for folder in (os.path.dirname(file["filename"]), file["filename"].split("/")[0], "all"):
        lines[folder][0] += file["line_covered"]
        lines[folder][1] += file["line_total"]
for folder, (covered, total) in sorted(lines.items()):
    print(f"{folder:24} {covered:6} of {total:6} lines  {100 * covered / max(total, 1):5.1f} %")
END
