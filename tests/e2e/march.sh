#!/bin/sh
# SPDX-License-Identifier: MIT
# Code for named processors: which names there are, that they compute the same, plans that differ.
. "$2/tests/e2e/lib.sh"
tiny=$e2e/tiny.nnd

train() { # OUT OPTION...
    out=$1
    shift
    "$nnc" train "$tiny" --json --out "$out" "$@" >"$out.json"
}

# --- Names
ok "a processor that no compiler knows" fails 1 "--march nonesuch.*there are native" \
    "$nnc" train "$tiny" --march nonesuch --out none
ok "nor to build for" fails 1 "--march nonesuch" "$nnc" build "$tiny" --march nonesuch -o none
ok "a compiler that does not work is not taken for an unknown name" fails 1 'does not work' \
    env CC=false "$nnc" train "$tiny" --march native --jit native --out none
ok "source is written for any processor" "$nnc" emit "$tiny" --march armv8-a -o source
ok "and its Makefile says which" grep -q '^MARCH *?= armv8-a$' source/Makefile
if [ "$(uname -m)" != x86_64 ]; then
    skip "levels of x86-64" "this is no x86-64"
    plan
    exit 0
fi
ok "another machine's processor says how" fails 1 'CC.*aarch64-linux-gnu-gcc' \
    env CC=cc "$nnc" build "$tiny" --march armv8-a -o none
# One of the two has what no processor with the other has.
too_much() { ! "$nnc" train "$tiny" --steps 1 --march bdver2 --out none 2>bdver2.err; }
ok "a processor that this one is not" too_much
ok "says what is missing" grep -q 'has no [A-Z]' bdver2.err
ok "yet it can be built for" "$nnc" build "$tiny" --march bdver2 -o other
ok "none of these left a checkpoint" not test -e none

# --- The same network
levels=x86-64
for level in x86-64-v2 x86-64-v3 x86-64-v4; do
    "$nnc" train "$tiny" --steps 1 --march $level --out probe >/dev/null 2>&1 && levels="$levels $level"
done
train own || cat own.json
for level in $levels; do
    ok "trains for $level" train "$level" --march "$level"
    ok "and says so" grep -q "\"target\":\"$level\"" "$level.json"
    ok "with nearly the same loss" near "$(field "$level.json" epoch loss)" "$(field own.json epoch loss)" 1e-4
done
ok "a name of gcc's" train named --march nehalem --steps 2
ok "is the level that it has" grep -q '"target":"x86-64-v2"' named.json

# --- Several in one program
ok "builds for several processors" "$nnc" build "$tiny" --march portable -o portable
ok "which is nothing to train with" fails 1 'nnc build alone' "$nnc" train "$tiny" --march portable --out none
ok "runs the best of them" sh -c './portable train --json --out best >best.json'
ok "and says so" grep -q "\"target\":\"$(grep -o 'x86-64[-v34]*' own.json | head -n 1 | sed 's/x86-64-v2/x86-64/')\"" best.json
ok "also in its help" sh -c "./portable --help | grep -q 'code for x86-64'"
for level in $levels; do
    [ "$level" = x86-64-v2 ] && continue
    ok "with $level" sh -c "NNC_MARCH=$level ./portable train --json --out p$level >p$level.json"
    ok "which it says" grep -q "\"target\":\"$level\"" "p$level.json"
    ok "has nearly the same loss" near "$(field "p$level.json" epoch loss)" "$(field own.json epoch loss)" 1e-4
    ok "is trained as nnc trains for $level" cmp "p$level"/*.safetensors "$level"/*.safetensors
    ok "predicts" sh -c "NNC_MARCH=$level ./portable predict --checkpoint best/*.safetensors test:0 test:1 >$level.txt"
    ok "the same" cmp "$level.txt" x86-64.txt
done
ok "a version that it has not" fails 1 "compiled for x86-64-v4, x86-64-v3, x86-64.*armv8-a" env NNC_MARCH=armv8-a ./portable train
ok "a program for this processor has one" fails 1 "compiled for .*not for" env NNC_MARCH=z80 ./portable train

# --- Plans
plan_of() { grep -o '"plan":"[0-9a-f]*"' "$1.json"; }
ok "another processor is another plan" not test "$(plan_of own)" = "$(plan_of x86-64)"
ok "the tiers are different plans" sh -c "'$nnc' train '$tiny' --jit tcc --steps 1 --json --out tcc >tcc.json"
ok "too" not test "$(plan_of own)" = "$(plan_of tcc)"
ok "a checkpoint of another plan is gone on from" train own --epochs 3 --resume --march x86-64
ok "and it is said" grep -q '"event":"resume".*"same_plan":false' own.json
ok "to people, too" sh -c "'$nnc' train '$tiny' --resume --epochs 4 --out own | grep -q 'other bits'"
plan
