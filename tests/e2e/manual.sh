#!/bin/sh
# SPDX-License-Identifier: MIT
# nnc(1) says what the program takes, and the documents show commands that there are.
. "$2/tests/e2e/lib.sh"

"$nnc" --manual >nnc.1
commands=$(sed -n 's/^\.It Cm \([a-z]*\) Ar FILE.*/\1/p' nnc.1)

# The options that `nnc COMMAND --help` lists, --help and --usage left out, by their long names.
options() { "$@" --help | sed -nE 's/^ +(-[a-z], )?--([a-z][a-z-]*).*/\2/p' | grep -vxE 'help|usage' | sort -u; }

# Those that the manual says the command takes.
described() {
    awk -v command="$1" '
        /^\.It .*Fl \\-/ { name = $0; sub(/.*Fl \\-/, "", name); sub(/ .*/, "", name); next }
        /^\(/ { if ($0 ~ "[( ]" command "[,)]" || $0 == "(all commands)") print name }' nnc.1 | sort -u
}
agrees() {
    options "$nnc" "$1" >helped
    described "$1" >manual
    [ -s helped ] && diff helped manual
}
[ "$(echo "$commands" | wc -l)" -ge 11 ] || echo "not ok 0 - the manual lists commands"
for command in $commands; do
    ok "the manual's options of $command are those of its help" agrees "$command"
done
listed() { # the first page names the same commands
    "$nnc" --help | sed -n 's/^  nnc \([a-z]*\) .*/\1/p' >helped
    echo "$commands" | diff helped -
}
ok "the manual's commands are those of the help" listed

variables() { # what the sources ask for is in it
    grep -rhoE 'getenv\("[A-Z_]+"\)' "$source/runtime" "$source/compiler" "$source/frontends" |
        sed 's/.*"\(.*\)".*/\1/' | sort -u >asked
    [ -s asked ] || return 1
    while read -r name; do
        grep -qw "$name" nnc.1 || { echo "$name is not in the manual" && return 1; }
    done <asked
}
ok "each variable of the environment is described" variables

clean() { "$@" >formatted.txt 2>warnings.txt && ! grep . warnings.txt && grep -q 'compile neural networks' formatted.txt; }
if command -v mandoc >/dev/null; then
    ok "mandoc has nothing to say" mandoc -T lint -W warning nnc.1
elif command -v groff >/dev/null; then
    ok "groff has nothing to say" clean groff -mandoc -Tascii -ww nnc.1
else
    skip "the page is well formed" "neither mandoc nor groff"
fi

# --- Programs that are built take nnc's own options

if "$nnc" build "$e2e/tiny.nnd" -o tiny >build.log 2>&1; then
    subset() {
        options ./tiny "$1" >built
        options "$nnc" "$1" >helped
        [ -s built ] && ! comm -23 built helped | grep .
    }
    ok "a built program trains with options of nnc train" subset train
else
    skip "a built program trains with options of nnc train" "no C compiler"
fi

# --- Commands in the documents: each that is shown is one, with options that it has

shown() { # FILE: the lines of its blocks that call nnc, and what calls it in a line of text
    {
        sed -n 's/^    \$\{0,1\} *\(nnc [a-z].*\)/\1/p' "$1"
        grep -oE '`nnc [a-z][^`]*`' "$1" | tr -d '\140'
    } | sed 's/   .*//'
}
takes() { # LINE: a command, whose options it has
    set -f
    # shellcheck disable=SC2086
    set -- $1
    echo "$commands" | grep -qx "$2" || { echo "there is no nnc $2" && return 1; }
    command=$2
    for word in "$@"; do
        case $word in
        --*) grep -qx -- "${word%%=*}" "help.$command" || { echo "$command has no $word" && return 1; } ;;
        esac
    done
}
for command in $commands; do
    { options "$nnc" "$command" && printf 'help\nusage\n'; } | sed 's/^/--/' >"help.$command"
done
document() {
    shown "$1" >shown.txt
    while read -r line; do
        takes "$line" || { echo "in: $line" && return 1; }
    done <shown.txt
}
lines=0
for file in "$source"/README.md "$source"/docs/*.md "$source"/generated/README.md; do
    ok "commands in ${file#"$source"/}" document "$file"
    lines=$((lines + $(shown "$file" | wc -l)))
done
ok "there are such commands" test "$lines" -ge 40
plan
