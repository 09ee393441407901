# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: MIT
# What the scripts of this folder share. Each is called as  NAME.sh NNC SOURCE_DIR  and speaks TAP.
set -u
nnc=$(realpath "$1") source=$2 e2e=$2/tests/e2e
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export NNC_CACHE="${NNC_TEST_CACHE:-$work/cache}"
number=0

# ok NAME COMMAND...: passes where the command succeeds; else what it printed is shown.
ok() {
    name=$1
    shift
    number=$((number + 1))
    if "$@" >"$work/ok.log" 2>&1; then
        echo "ok $number - $name"
    else
        echo "not ok $number - $name"
        sed 's/^/# /' "$work/ok.log"
    fi
}

skip() { # NAME REASON
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

# fails STATUS PATTERN COMMAND...: the command ends so, and says PATTERN on standard error.
fails() {
    want=$1 pattern=$2
    shift 2
    "$@" >"$work/out.log" 2>"$work/err.log"
    got=$?
    cat "$work/out.log" "$work/err.log"
    [ "$got" -eq "$want" ] || { echo "status $got, not $want" && return 1; }
    grep -qE -- "$pattern" "$work/err.log" || { echo "nothing like '$pattern'" && return 1; }
}

not() { ! "$@"; }

# The number of a field in the last event of a kind:  field out.json epoch accuracy
field() { grep "\"event\":\"$2\"" "$1" | tail -n 1 | grep -o "\"$3\":[-+0-9.eE]*" | tail -n 1 | cut -d: -f2; }

# less A B, for real numbers.
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a != "" && b != "" && a + 0 < b + 0) }'; }

# near A B RELATIVE: two real numbers that differ by no more than that part of the second.
near() { awk -v a="$1" -v b="$2" -v r="$3" 'BEGIN { d = a - b; exit !(a != "" && b != "" && d * d <= r * r * b * b) }'; }

plan() { echo "1..$number"; }
