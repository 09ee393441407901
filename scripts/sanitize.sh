#!/bin/sh
# SPDX-License-Identifier: MIT
# The tests under sanitizers and valgrind. Emitted code is compiled with them as well. The last lines are a
# table; status 1 where something was found. Half an hour and more on two cores: each kind can be run alone.
#
#     scripts/sanitize.sh                        all kinds
#     scripts/sanitize.sh address unit diff      addresses, leaks and undefined behaviour, in those suites
#     scripts/sanitize.sh thread                 races: the runtime's tests, and training by nnc
#     scripts/sanitize.sh valgrind               memcheck: a sample, with leaks
#
# Reports are in build-KIND/reports.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
status=0 table=

setup() { # KIND OPTION...: sets build, reports
    build=$top/build-$1 reports=$top/build-$1/reports
    shift
    [ -f "$build/build.ninja" ] || meson setup "$build" -Doptimization=1 -Ddebug=true -Dplain_tests=true \
        -Dtests=enabled "$@"
    rm -rf "$reports"
    mkdir -p "$reports"
}

# Where the emitted code is compiled, the sanitizer is too; last, so that its level is the one that counts.
compiler() { # FLAG...
    printf '#!/bin/sh\nexec cc "$@" -O1 %s\n' "$*" >"$build/cc"
    chmod +x "$build/cc"
}

row() { # KIND WHAT
    found=$(find "$reports" -type f ! -empty | wc -l)
    [ "$found" -eq 0 ] || status=1
    table="$table$(printf '%-9s %-46s %3d reports' "$1" "$2" "$found")
"
}

tests() { # KIND MESON'S ARGUMENT...: results are added to the table
    kind=$1
    shift
    log=$build/meson-logs/testlog.json
    meson test -C "$build" -t 10 "$@" >"$build/tests.log" 2>&1 || status=1
    row "$kind" "$(python3 scripts/count-tests.py "$log" 0 || true)"
}

address() {
    setup address -Db_sanitize=address,undefined -Db_lundef=false
    ninja -C "$build"
    compiler -fsanitize=address,undefined -fno-sanitize-recover=undefined
    [ $# -gt 0 ] || set -- unit golden ops fuzz diff e2e
    suites=
    for suite; do suites="$suites --suite $suite"; done
    # shellcheck disable=SC2086
    CC=$build/cc NNC_TEST_CACHE=$build/cache ASAN_OPTIONS="strict_string_checks=1:log_path=$reports/asan" \
        UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 tests address $suites
}

thread() {
    setup thread -Db_sanitize=thread -Db_lundef=false
    ninja -C "$build"
    export TSAN_OPTIONS="log_path=$reports/tsan second_deadlock_stack=1"
    tests thread rt_pool rt_train rt_loop rt_net rt_data rt_checkpoint rt_numbers rt_product jit run loop numbers
}

# It knows no AVX-512: code is emitted for less.
memcheck() {
    setup valgrind -Dc_args=-DNNC_ARENA_APART=1
    ninja -C "$build"
    check="valgrind -q --child-silent-after-fork=no --error-exitcode=9 --leak-check=full
        --errors-for-leak-kinds=definite --log-file=$reports/%p"
    # shellcheck disable=SC2086
    NNC_FUZZ_RUNS=60 tests valgrind --wrap "$(echo $check)" choice cost elab expr graph interp picture program \
        rng rt_checkpoint rt_csv rt_data rt_json rt_loop rt_net rt_numbers rt_pool rt_product rt_train shape \
        support text grad schedules read
    cd "$build"
    net="$top/tests/e2e/tiny.nnd --march x86-64-v3"
    # shellcheck disable=SC2086
    for command in "check $net" "verify $net" "explain $net" "train $net --steps 12 --threads 2" "eval $net" \
        "predict $net test:0" "train $net --steps 12 --jit tcc" "graph $net --stage fuse" "build $net -o tiny"; do
        $check ./nnc $command >"$build/command.log" 2>&1 || {
            echo "valgrind: nnc $command" && tail -n 3 "$build/command.log" && status=1
        }
    done
    $check ./tiny train --steps 12 >"$build/command.log" 2>&1 || status=1
    cd "$top"
    row valgrind "10 commands of nnc and of a built program"
}

scripts/install-deps.sh analyse
case ${1-all} in
address) shift && address "$@" ;;
thread) thread ;;
valgrind) memcheck ;;
all) address && thread && memcheck ;;
*) echo "sanitize.sh: $1 is none of: address thread valgrind" >&2 && exit 2 ;;
esac
printf '%s' "$table"
exit $status
