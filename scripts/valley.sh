#!/bin/sh
# SPDX-License-Identifier: MIT
# Draws how the optimizers of the library walk down examples/valley.nnd, as an SVG:
#   scripts/valley.sh build/nnc docs/pictures/valley.svg
# Each runs for 60 steps with libtcc, so that every machine draws the same picture.
set -eu
[ $# -eq 2 ] || { echo "usage: valley.sh NNC FILE.svg" >&2 && exit 2; }
nnc=$(realpath "$1") example=$(dirname "$0")/../examples/valley.nnd
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

walk() { # CALL OF AN OPTIMIZER: its title, then epoch by epoch x, y and the loss
    sed "s/optimizer = .*/optimizer = $1/" "$example" >"$work/valley.nnd"
    echo "walk $1"
    "$nnc" train "$work/valley.nnd" --jit tcc --threads 1 --json --out "$work" |
        sed -n 's/.*"event":"epoch".*"test":{"loss":\([^,]*\),"at_x":\([^,]*\),"at_y":\([^}]*\)}.*/step \2 \3 \1/p'
}

{
    walk 'sgd(lr = 0.01)'
    walk 'sgd(lr = 0.075)'
    walk 'momentum(lr = 0.075, gamma = 0.3)'
    walk 'momentum(lr = 0.02)'
    walk 'sgdm(lr = cosine(0.02))'
    walk 'nesterov(lr = 0.02)'
    walk 'adagrad(lr = 1.5)'
    walk 'adadelta(epsilon = 0.01)'
    walk 'rmsprop(lr = 0.2)'
    walk 'adam(lr = 0.5)'
    walk 'adam(lr = 0.5, beta1 = 0.5)'
    walk 'adamw(lr = 0.5, decay = 0.1)'
    walk 'adamax(lr = 0.8)'
    walk 'nadam(lr = 0.5)'
    walk 'amsgrad(lr = 0.5, debias = true)'
} >"$work/walks"

awk '
function px(x) { return left + (x + 10.5) * 14 }
function py(y) { return top + 75 - y * 26 }
function ellipse(loss) { # where the valley has this height
    printf "<ellipse cx=\"%.1f\" cy=\"%.1f\" rx=\"%.1f\" ry=\"%.1f\"/>\n", px(0), py(0), \
        14 * sqrt(2 * loss), 26 * sqrt(2 * loss / 25)
}
function finish() { # the walk that has been read
    if (!steps) return
    printf "<polyline points=\"%s\" class=\"way\"/>\n<path d=\"%s\" class=\"step\"/>\n", way, dots
    printf "<text x=\"%d\" y=\"%d\">%s</text>\n", left + 8, top + 16, title
    printf "<text x=\"%d\" y=\"%d\" class=\"loss\">loss %.2g after %d steps</text>\n</g>\n", left + 8, top + 142, loss, steps
}
function add(x, y) {
    way = way sprintf("%.1f,%.1f ", px(x), py(y))
    dots = dots sprintf("M%.1f,%.1fh0", px(x), py(y))
}
BEGIN {
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"825\" viewBox=\"0 0 720 825\">"
    print "<title>Sixty steps of each optimizer down one valley</title>"
    print "<style>text { font: 11.5px sans-serif; fill: #222 } .loss { font-size: 11px; fill: #666 }"
    print "ellipse { fill: none; stroke: #c9d3e0 } .way { fill: none; stroke: #c2410c; stroke-width: 1.2 }"
    print ".step { stroke: #c2410c; stroke-width: 3.4; stroke-linecap: round } .end { stroke: #1d4ed8; stroke-width: 1.5 }</style>"
    print "<rect width=\"720\" height=\"825\" fill=\"#fff\"/>"
}
$1 == "walk" {
    finish()
    title = substr($0, 6)
    left = panel % 3 * 240
    top = int(panel / 3) * 165
    panel++
    steps = 0
    way = dots = ""
    printf "<clipPath id=\"panel%d\"><rect x=\"%d\" y=\"%d\" width=\"232\" height=\"150\"/></clipPath>\n", panel, left + 4, top + 4
    printf "<rect x=\"%d\" y=\"%d\" width=\"232\" height=\"150\" fill=\"#f8fafc\" stroke=\"#d4d9e0\"/>\n", left + 4, top + 4
    printf "<g clip-path=\"url(#panel%d)\">\n", panel
    for (height = 0.5; height < 200; height *= 2.5) ellipse(height)
    printf "<path d=\"M%.1f,%.1fh8m-4,-4v8\" class=\"end\"/>\n", px(0) - 4, py(0)
    add(-9, 1.5)
}
$1 == "step" {
    add($2, $3)
    loss = $4
    steps++
}
END {
    finish()
    print "</svg>"
}' "$work/walks" >"$2"
