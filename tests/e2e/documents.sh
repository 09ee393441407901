#!/bin/sh
# SPDX-License-Identifier: MIT
# The documents do what they say: page by page their programs train and their commands run, one after the other, on little
# data. Left out is what a page marks `not run`; transcripts (`$ nnc graph ..`) are compared by tests/golden/blocks.c.
. "$2/tests/e2e/lib.sh"

# PAGE: its programs as LINE.nnd, named in LINE.name (net.nnd, or the file in the line above), its commands as LINE.command.
take_apart() {
    awk '
        function finish(    i, n, line) {
            if (above !~ /^<!-- not run: / && block ~ /^nnd 1\n/) {
                name = "net.nnd"
                if (match(above, /`[^`]*\.nnd`/)) name = substr(above, RSTART + 1, RLENGTH - 2)
                printf "%s", block > sprintf("%04d.nnd", start)
                print name > sprintf("%04d.name", start)
            } else if (above !~ /^<!-- not run: /) {
                n = split(block, line, "\n")
                for (i = 1; i <= n; i++)
                    if (line[i] ~ /^(nnc|scripts\/|make|cc)/) {
                        sub(/   .*/, "", line[i]) # what is said about it
                        print line[i] > sprintf("%04d.command", start + i - 1)
                    }
            }
            block = ""
        }
        /^    / { if (block == "") start = NR; block = block substr($0, 5) "\n"; next }
        /^$/ { if (block != "") block = block "\n"; next }
        { if (block != "") finish(); above = $0 }
        END { if (block != "") finish() }' "$1"
}

# So many examples and passes as a test has time for; what a real run is to reach is not reached by it.
reduced() {
    sed 's/train = [0-9]*, test = [0-9]*/train = 64, test = 16/; s/epochs = [0-9]*/epochs = 1/; /^ *expect /d' "$1"
}

program() { # LINE
    name=$(cat "../items/$1.name")
    case $name in */*) return ;; esac # a file of the source tree
    reduced "../items/$1.nnd" >"$name"
    grep -q 'source = shapes' "$name" || return
    programs=$((programs + 1))
    ok "$page, line $1: the program trains" "$nnc" train "$name" --steps 2 --jit tcc --out trained
}

perform() { # LINE
    line=$(cat "../items/$1.command")
    run=$(echo "$line" | sed "s|^nnc |'$nnc' |; s|--data DIR|--data '$data'|")
    case $line in
    "nnc train "*perceptron* | "nnc train "*approximation* | "nnc train iris"*) run="$run --jit tcc" ;;
    "nnc train "*) run="$run --jit tcc --limit 64 --steps 3" ;;
    "nnc eval "* | "nnc predict "* | "nnc plot "*) run="$run --jit tcc" ;;
    scripts/widths.sh*) run="$run '1 8' --jit tcc --epochs 5" ;;
    esac
    commands=$((commands + 1))
    ok "$page: $line" sh -c "$run"
}

data=$work/data
ok "there is a little data of each kind" python3 "$e2e/fixtures.py" "$data"
programs=0 commands=0
for file in "$source"/README.md "$source"/docs/*.md; do
    page=$(basename "$file" .md)
    rm -rf "$work/items" && mkdir -p "$work/items" "$work/$page" && cd "$work/items" || exit 1
    take_apart "$file"
    cd "$work/$page" || exit 1
    ln -s "$source/examples" "$source/scripts" . && ln -s "$(dirname "$nnc")" build && cp "$data"/files/* .
    for item in ../items/*.nnd ../items/*.command; do
        [ -e "$item" ] && basename "$item"
    done | sort >items
    while read -r item; do
        case $item in
        *.nnd) program "${item%.nnd}" ;;
        *) perform "${item%.command}" ;;
        esac
    done <items
done
ok "there are such programs" test "$programs" -ge 7
ok "there are such commands" test "$commands" -ge 25

cd "$work" || exit 1
ok "the tutorial leaves what is said" test -s TUTORIAL/out/net.safetensors -a -s TUTORIAL/net.svg -a -d TUTORIAL/folder
ok "the picture of a perceptron's points is what is drawn" \
    cmp EXAMPLES/perceptron_points.svg "$source/docs/pictures/perceptron_points.svg"
ok "that of the valley, too" cmp OPTIMIZERS/valley.svg "$source/docs/pictures/valley.svg"
loss() { # OPTIMIZER: the picture's
    awk -v call="$1" 'index($0, ">" call "<") { found = 1 } found && /class="loss"/ { sub(/.*>loss /, ""); print $1; exit }' \
        OPTIMIZERS/valley.svg
}
ok "momentum damps the zigzag" less "$(loss 'momentum(lr = 0.075, gamma = 0.3)')" "$(loss 'sgd(lr = 0.075)')"
ok "a low rate does not get far" less 1 "$(loss 'sgd(lr = 0.01)')"
plan
