#!/bin/sh
# SPDX-License-Identifier: MIT
# The programs in the documents train, and the commands of the tutorial do what it says, one after the other.
. "$2/tests/e2e/lib.sh"

# DOCUMENT: programs as program-LINE.nnd; its commands of nnc as command-LINE, each with the program
# of its own that stands above it.
take_apart() {
    rm -f program-* command-*
    awk '
        /^    nnd 1$/ { file = sprintf("program-%04d.nnd", NR); text = "" }
        /^    / || /^$/ {
            if (file != "") text = text substr($0, 5) "\n"
            if (file == "" && /^    nnc [a-z]+ +net\.nnd/ && above != "") {
                line = $0
                sub(/^    /, "", line)
                sub(/   .*/, "", line) # what is said about it
                sub(/nnc eval  /, "nnc eval ", line)
                print line > sprintf("command-%04d", NR)
                print above > sprintf("command-%04d.program", NR)
            }
            next
        }
        {
            if (file != "" && text ~ /\ntrain /) { printf "%s", text > file; above = file }
            file = ""
        }' "$1"
}

# So many examples and passes as a test has time for; what a real run is to reach is not reached by it.
reduced() {
    sed 's/train = [0-9]*, test = [0-9]*/train = 64, test = 16/; s/epochs = [0-9]*/epochs = 1/; /^ *expect /d' "$1"
}

drawn=0
for page in TUTORIAL TRAINING LANGUAGE; do
    take_apart "$source/docs/$page.md"
    for program in program-*; do
        grep -q 'source = shapes' "$program" || continue
        reduced "$program" >net.nnd
        drawn=$((drawn + 1))
        ok "$page, $program: trains" "$nnc" train net.nnd --steps 2 --jit tcc
    done
done
ok "there are such programs" test "$drawn" -ge 7

# The commands, one after the other.
take_apart "$source/docs/TUTORIAL.md"
mkdir tutorial && cd tutorial || exit 1
commands=0
for command in ../command-*; do
    case $command in *.program) continue ;; esac
    reduced "../$(cat "$command.program")" >net.nnd
    line=$(cat "$command")
    commands=$((commands + 1))
    ok "TUTORIAL: $line" sh -c "$(echo "$line" | sed "s|^nnc|'$nnc'|")"
done
ok "there are such commands" test "$commands" -ge 10
ok "they leave what is said" test -s out/net.safetensors -a -s net.svg -a -d folder
plan
