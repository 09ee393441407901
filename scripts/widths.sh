#!/bin/sh
# SPDX-License-Identifier: MIT
# How the error of examples/approximation.nnd falls with the width of its layer, as a picture:
#   scripts/widths.sh build/nnc widths.svg ["1 2 4 8 16 32" [OPTION...]]
# trains one network for each width and draws the root of its mean squared error on the test points; both axes are
# logarithmic. The numbers go to standard output.
set -eu
nnc=$1 picture=$2 widths=${3:-1 2 4 8 16 32 64}
[ $# -gt 3 ] && shift 3 || set --
model=$(dirname "$0")/../examples/approximation.nnd
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for width in $widths; do
    "$nnc" train "$model" --set width="$width" --out "$folder" --json "$@" >"$folder/report"
    loss=$(grep -o '"test":{"loss":[-+0-9.e]*' "$folder/report" | tail -n 1 | cut -d: -f3)
    awk -v width="$width" -v loss="$loss" 'BEGIN { printf "%d %.3g\n", width, sqrt(loss) }'
done >"$folder/errors"
cat "$folder/errors"
awk '
    function px(width) { return 70 + 560 * log(width / low_x) / log(high_x / low_x) }
    function py(error) { return 360 - 290 * log(error / low_y) / log(high_y / low_y) }
    { width[NR] = $1; error[NR] = $2 }
    END {
        low_x = width[1]; high_x = width[NR] > low_x ? width[NR] : 2 * low_x
        low_y = 1e9; high_y = 0
        for (i = 1; i <= NR; i++) { if (error[i] < low_y) low_y = error[i]; if (error[i] > high_y) high_y = error[i] }
        low_y = 10 ^ int(log(low_y) / log(10) - 1); high_y = 10 ^ int(log(high_y) / log(10) + (high_y > 1))
        print "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"660\" height=\"420\" viewBox=\"0 0 660 420\" " \
            "font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">"
        print "<rect width=\"100%\" height=\"100%\" fill=\"#fdfdfb\"/>"
        print "<text x=\"70\" y=\"36\" font-size=\"17\" font-weight=\"bold\">Error of the fit by the width of the layer</text>"
        for (y = low_y; y <= high_y * 1.001; y *= 10) {
            printf "<path d=\"M70 %.1fH630\" stroke=\"#ddd\"/>", py(y)
            printf "<text x=\"62\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", py(y) + 4, y
        }
        for (i = 1; i <= NR; i++) {
            printf "<path d=\"M%.1f 70V360\" stroke=\"#eee\"/>", px(width[i])
            printf "<text x=\"%.1f\" y=\"380\" text-anchor=\"middle\">%d</text>\n", px(width[i]), width[i]
        }
        printf "<path fill=\"none\" stroke=\"#2f6db3\" stroke-width=\"2.2\" d=\""
        for (i = 1; i <= NR; i++) printf "%s%.1f %.1f", (i > 1 ? "L" : "M"), px(width[i]), py(error[i])
        print "\"/>"
        for (i = 1; i <= NR; i++)
            printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#2f6db3\"/>\n", px(width[i]), py(error[i])
        print "<text x=\"350\" y=\"406\" text-anchor=\"middle\">width</text>"
        print "<text transform=\"translate(18 215) rotate(-90)\" text-anchor=\"middle\">root mean square error</text>"
        print "</svg>"
    }' "$folder/errors" >"$picture"
