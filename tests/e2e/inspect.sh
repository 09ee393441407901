#!/bin/sh
# SPDX-License-Identifier: MIT
# check, graph, verify: what nnc says of a network without training it.
. "$2/tests/e2e/lib.sh"
tiny=$e2e/tiny.nnd

says() { # PATTERN COMMAND...: succeeds, and says so on standard output
    pattern=$1
    shift
    "$@" >out.log 2>err.log || { cat out.log err.log && return 1; }
    grep -qE -- "$pattern" out.log || { cat out.log && return 1; }
}

ok "check lists a layer with shape and parameters" says '^head +linear +\[N, 10\] +170$' "$nnc" check "$tiny"
ok "check adds the parameters up" says '^total +1506$' "$nnc" check "$tiny"
ok "check lists what can be set" says '^lr .* 0.001$' "$nnc" check "$tiny"
ok "with its value" says '^beta1 .* 0.8$' "$nnc" check "$tiny" --set beta1=0.8
pictured() { # OPTION...: is accuracy in the picture of a step?
    "$nnc" graph "$tiny" --depth 1 "$@" >pictured.txt && grep -q accuracy pictured.txt
}
ok "a step's picture has no metrics" not pictured
ok "but where they are asked for" pictured --metrics
ok "and an evaluation's has them" pictured --function eval
ok "check takes another batch" "$nnc" check "$tiny" --batch 3

for stage in $("$nnc" graph --help | sed -n '/^Stages/,$s/^  \([a-z]*\) .*/\1/p'); do
    ok "graph after $stage" says . "$nnc" graph "$tiny" --stage "$stage"
done
for function in init train eval predict; do
    ok "graph of $function" says "^graph $function " "$nnc" graph "$tiny" --function "$function"
done
ok "graph as dot" says '^digraph "train"' "$nnc" graph "$tiny" --format dot
ok "a plan is no drawing" fails 1 'no picture' "$nnc" graph "$tiny" --stage plan --format dot
ok "graph as svg" says '</svg>' "$nnc" graph "$tiny" --format svg
ok "a picture as lines" says '^  head +' "$nnc" graph "$tiny" --depth 1
ok "no depth below 1" fails 2 'from 1 to' "$nnc" graph "$tiny" --depth 0
drawn() { # COMMAND ...: reads each picture in folder/
    mkdir -p folder
    for stage in elab simplify update; do
        for function in init train eval predict; do
            for depth in 1 2 operators; do
                "$nnc" graph "$tiny" --stage $stage --function $function --depth $depth --format $1 \
                    >"folder/$stage-$function-$depth" || return 1
            done
        done
    done
    shift
    for file in folder/*; do "$@" "$file" || return 1; done
}
ok "svg is XML, at every depth" drawn svg \
    python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])'
if command -v dot >/dev/null; then
    ok "dot reads what is for it" drawn dot dot -Tplain -o plain.txt
else
    skip "dot reads what is for it" "no dot"
fi

for tier in native tcc; do
    ok "verify finds nothing with $tier" says ' 0 off$' "$nnc" verify "$tiny" --jit $tier
done
ok "nor with a batch of 5" says ' 0 off$' "$nnc" verify "$tiny" --batch 5
sed 's/stride = 2) |> relu/stride = 2) |> batch_norm |> relu/' "$tiny" >norm.nnd
ok "nor in the gradient of a bias that a batch norm takes out" says ' 0 off$' "$nnc" verify norm.nnd --batch 8
cubed() { # the network with x^3 for its last relu, and that derivative
    sed "s/|> linear(16) |> relu/|> linear(16) |> cube/" "$tiny"
    echo "fn cube(x) { x ^ 3 } derivative $1"
}
cubed '{ 3 * x ^ 2 }' >right.nnd
cubed '{ 2 * x ^ 2 }' >wrong.nnd
cubed 'surrogate { 2 * x ^ 2 }' >surrogate.nnd
ok "verify agrees with a right derivative" says '^  cube .* ok$' "$nnc" verify right.nnd
finds() {
    fails 1 'wrong.nnd' "$nnc" verify wrong.nnd && grep -qE '^  cube .* OFF$' "$work/out.log"
}
ok "verify finds a wrong one" finds
ok "verify leaves a surrogate alone" says ' 0 off$' "$nnc" verify surrogate.nnd

"$nnc" explain "$tiny" --threads 2 --json >explain.json 2>err.log
same_kernels() {
    grep -o '"event":"kernel","name":"[^"]*"' explain.json | sed 's/.*:"//; s/"//' | sort >explained
    "$nnc" graph "$tiny" --stage plan | sed -n 's/^kernel \([^ ]*\) .*/\1/p' | sort >planned
    [ -s planned ] && diff planned explained
}
same_memory() {
    "$nnc" train "$tiny" --threads 2 --steps 1 --json >train.json || return 1
    predicted=$(field explain.json explain arena_bytes)
    [ -n "$predicted" ] && [ "$predicted" = "$(field train.json start arena_bytes)" ]
}
explain() {
    "$nnc" explain "$tiny" --jit tcc >explain.txt && grep -q '^ *stored: it is kept$' explain.txt &&
        grep -q '^all kernels .* 100.0 %' explain.txt
}
sed 's/batch = 16/batch = 16; budget = 1200 kB/' "$tiny" >budget.nnd
budget() {
    "$nnc" explain budget.nnd --threads 4 --jit tcc --json >budget.json || return 1
    for function in chunk train; do
        grep -q "\"event\":\"explain\".*\"function\":\"$function\"" budget.json || return 1
    done
    "$nnc" train budget.nnd --threads 4 --jit tcc --json --steps 3 --out budget >train.json &&
        [ "$(field budget.json explain arena_bytes)" = "$(field train.json start arena_bytes)" ] &&
        less "$(field train.json start arena_bytes)" 1200001 &&
        less 1200000 "$(field budget.json explain bytes_without_budget)" &&
        less "$(field train.json start chunk)" 16
}
ok "a budget is kept, and explained" budget
ok "a budget's chunk is a function of its own" says '^graph chunk ' "$nnc" graph budget.nnd --function chunk
ok "explain says why a kernel ends, and adds them up" explain
ok "explain has a kernel for each of the plan" same_kernels
ok "explain predicts the memory that training allocates" same_memory
ok "explain knows no other function" fails 2 'did you mean' "$nnc" explain "$tiny" --function trian
bench() {
    "$nnc" bench "$tiny" --jit tcc --threads 2 --json --plot roof.svg >bench.json &&
        less 0 "$(field bench.json bench batch)" && less "$(field bench.json bench loss_difference)" 1e-4 &&
        grep -q '"ratio":{"median":[0-9.]*,"quartiles":\[[0-9.]*,[0-9.]*\]}' bench.json
}
ok "bench measures the same network twice" bench
ok "its picture is an XML document with numbered kernels" \
    python3 -c 'import sys, xml.dom.minidom as x; t = [n.firstChild.data for n in x.parse("roof.svg").getElementsByTagName("text")]; sys.exit("16" not in t or "operations per second" not in t)'
sed '/^train /,$d' "$tiny" >untrained.nnd
ok "nothing to train is nothing to bench" fails 1 'nothing to train' "$nnc" bench untrained.nnd --jit tcc
plan
