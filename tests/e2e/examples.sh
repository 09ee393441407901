#!/bin/sh
# SPDX-License-Identifier: MIT
# The examples that need no files, tables, and pictures of what was learned.
. "$2/tests/e2e/lib.sh"
examples=$source/examples
train() { # OUT FILE OPTION...: its report as OUT.json
    out=$1 file=$2
    shift 2
    "$nnc" train "$file" --jit tcc --json --out "$out" "$@" >"$out.json"
}
plot() { "$nnc" plot "$1" --jit tcc --checkpoint "$2" -o "$3"; }
well_formed() {
    command -v python3 >/dev/null || return 0
    python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])' "$1"
}
readable() { # OPTION..
    for file in "$examples"/*.nnd; do
        "$nnc" graph "$file" --format svg "$@" -o "graph.$(basename "$file" .nnd).svg" || return 1
    done
    python3 "$e2e/pictures.py" graph.*.svg
}
score() { grep '"event":"epoch"' "$1.json" | tail -n 1 | grep -o "\"$2\":[-+0-9.e]*" | tail -n 1 | cut -d: -f2; }

# --- The perceptron
wide() { sed 's/radius = 0.8/radius = 1.2/' "$examples/perceptron.nnd"; }
ok "the perceptron's rule is trained" train rule "$examples/perceptron.nnd"
ok "and finds a hyperplane" less "$(score rule errors)" 0.0001
ok "gradient descent is trained" \
    train descent "$examples/perceptron.nnd" --set rule=false --batch 400 --epochs 100
ok "and finds one, too" less "$(score descent errors)" 0.0001
wide >wide.nnd
ok "of points that cannot be separated" fails 1 'no hyperplane through the origin separates these points' \
    train wide wide.nnd
ok "some are on the wrong side" less 0.001 "$(score wide errors)"

# --- Pictures
ok "regions are drawn" plot "$examples/perceptron.nnd" rule/perceptron.safetensors rule.svg
ok "as XML" well_formed rule.svg
ok "with all points" sh -c '[ "$(grep -oE "a3.5 3.5 0 1 0 7 0|h6.4v6.4" rule.svg | wc -l)" -ge 400 ]'
ok "and the line between them" grep -q 'class="border" d="M' rule.svg
ok "a network of images is not drawn" fails 1 'one or two real numbers.*image: f32\[N, 3, 32, 32\]' \
    "$nnc" plot "$e2e/tiny.nnd" --jit tcc --checkpoint none -o none.svg
sed 's/blobs(.*)/blobs(classes = 30, radius = 0.1)/; s/index(2)/index(30)/; s/output score/logits = point |> linear(30)\n  output logits/; /expect/d' \
    "$examples/perceptron.nnd" >classes.nnd
thirty() {
    train thirty classes.nnd --epochs 1 && plot classes.nnd thirty/classes.safetensors thirty.svg &&
        python3 "$e2e/pictures.py" --texts thirty.svg
}
ok "a legend of thirty classes stays on the page" thirty
ok "a picture needs a place" fails 1 'no-folder/a.svg cannot be written' \
    plot "$examples/perceptron.nnd" rule/perceptron.safetensors no-folder/a.svg

# --- What was learned
ok "a checkpoint is listed" sh -c "'$nnc' show rule/perceptron.safetensors | grep -qE '^w +F32\[2\] '"
ok "and named values are printed" sh -c "'$nnc' show rule/perceptron.safetensors 'w*' --json | grep -qE '\"values\":\[[-0-9.e]+,[-0-9.e]+\]'"
ok "a name that is not there" fails 1 'none of its 1 tensors' "$nnc" show rule/perceptron.safetensors v
ok "a file that is none" fails 1 'not a safetensors file' "$nnc" show rule.svg

# --- A function of one variable
for width in 2 20; do
    ok "a layer of $width is fitted" \
        train "width$width" "$examples/approximation.nnd" --set width=$width --epochs 20
done
ok "a wide one well" less "$(score width20 loss)" 0.01
ok "a narrow one not" less 0.02 "$(score width2 loss)"
fit() { "$nnc" plot "$examples/approximation.nnd" --set width=20 --jit tcc --checkpoint width20/approximation.safetensors -o fit.svg; }
ok "the error by the width is drawn" sh -c "'$source/scripts/widths.sh' '$nnc' widths.svg '1 8' --jit tcc --epochs 5 | awk 'NR == 2 && \$2 < 0.2' | grep -q ."
ok "as XML" well_formed widths.svg
ok "target and fit are drawn" fit
ok "as XML, too" well_formed fit.svg
ok "as two curves with names" sh -c '[ "$(grep -c "class=\"curve\"" fit.svg)" -eq 4 ] && grep -q ">truth<" fit.svg && grep -q ">fit<" fit.svg'

# --- Fine-tuning: the body of a network that has seen other classes, a new head
frozen_is() { # FILE FILE: what both have of the body is the same
    for run in "$1" "$2"; do
        "$nnc" show "$run" 'body.*' --json >body.json || return 1
        grep -o '"name":.*' body.json >"body.$(basename "$run")"
    done
    cmp "body.$(basename "$1")" "body.$(basename "$2")"
}
finetune() { # OUT FILE OPTION..
    out=$1 file=$2
    shift 2
    "$nnc" train "$file" --json --out "$out" "$@" >"$out.json" 2>"$out.err"
}
quoted() { # what the page quotes is what is said
    "$nnc" train "$examples/finetune.nnd" --steps 1 --out said --init out/pretrain.safetensors --init-partial >said.txt 2>&1
    sed -nE 's/^    ((begins with|out\/pretrain).*)/\1/p' "$source/docs/EXAMPLES.md" >quoted.txt
    [ "$(wc -l <quoted.txt)" -eq 3 ] && grep -Fxf quoted.txt said.txt | cmp - quoted.txt
}
ok "a network is trained on some classes" finetune out "$examples/pretrain.nnd" --limit 2500 --epochs 2
ok "its body is taken by another" finetune tuned "$examples/finetune.nnd" --init out/pretrain.safetensors --init-partial
ok "which says what is not" quoted
ok "and which does not change it" frozen_is out/pretrain.safetensors tuned/finetune.safetensors
ok "it tells classes apart that the other never saw" less 0.7 "$(score tuned accuracy)"
sed '/freeze/d' "$examples/finetune.nnd" >scratch.nnd
ok "from so few images alone" finetune scratch scratch.nnd
ok "less is learned" less "$(score scratch accuracy)" "$(score tuned accuracy)"
ok "a shape that does not fit is an error" fails 1 'head.weight is F32\[6, 64\] in it, but F32\[4, 64\].*--init-partial' \
    "$nnc" train "$examples/finetune.nnd" --init out/pretrain.safetensors
sed '/freeze/d; s/as body/as bdoy/' "$examples/finetune.nnd" >misnamed.nnd
ok "of a name that is not there the nearest is named" fails 1 'no bdoy.conv2d_1.weight in it; the nearest is body.conv2d_1.weight' \
    "$nnc" train misnamed.nnd --init out/pretrain.safetensors
ok "likewise in the file" fails 1 'did you mean "body.\*"' sh -c "sed 's/freeze \"body/freeze \"bdoy/' '$examples/finetune.nnd' >misnamed.nnd &&
    '$nnc' check misnamed.nnd"

# --- Pictures of graphs
ok "pictures of the examples are readable" readable
ok "opened ones, too" readable --depth 2

# --- A table
awk 'BEGIN { srand(7); print "width (cm),height,kind,price"
    for (i = 0; i < 300; i++) { w = 4 * rand(); h = 4 * rand()
        printf "%.3f,%.3f,%s,%.3f\n", w, h, (w > h ? "broad" : "\"tall, or square\""), 2 * w + h } }' >boxes.csv
cat >boxes.nnd <<'END'
nnd 1
model Boxes {
  input  size: f32[N, 2]
  target kind: index(2)[N]
  target price: f32[N]
  logits = size |> linear(16) |> relu |> linear(2)
  guess[n] = (size |> linear(1))[n, 0]
  output logits, guess
  loss   cross_entropy(logits, kind) + mse(guess, price)
  metric accuracy(logits, kind)
}
data boxes { source = csv("boxes.csv", test = 0.2) }
train Boxes on boxes { batch = 16; epochs = 30; optimizer = adam(lr = 0.02) }
END
ok "a table is learned" train boxes boxes.nnd
ok "its classes" less 0.9 "$(score boxes accuracy)"
predict() { "$nnc" predict boxes.nnd --jit tcc --checkpoint boxes/boxes.safetensors "$@" --quiet; }
ok "a row is predicted by the class's name" sh -c "'$nnc' predict boxes.nnd --jit tcc --checkpoint boxes/boxes.safetensors 3,1 | grep -qE 'broad (9[0-9]|100)'"
predict 3,1 >row.txt
ok "and by its number" near "$(grep -o 'guess [0-9.]*' row.txt | cut -d' ' -f2)" 7 0.05
head -n 4 boxes.csv | cut -d, -f1,2 >few.csv
mv boxes.csv gone.csv
ok "a file of rows is predicted, without the data" sh -c "'$nnc' predict boxes.nnd --jit tcc --checkpoint boxes/boxes.safetensors few.csv --json | grep -c '\"input\":\"few.csv:[234]\"' | grep -qx 3"
ok "a row that is too short" fails 1 'the row has 1 values, but Boxes takes 2: size: f32\[N, 2\]' predict 3
ok "a row of words" fails 1 'row:1:3: size is to be a number' predict 3,x
ok "the file of the data is missed" fails 1 'boxes.csv' predict test:1
ok "a picture needs the data" fails 1 'boxes.csv' plot boxes.nnd boxes/boxes.safetensors boxes.svg
mv gone.csv boxes.csv
ok "with the columns' names" sh -c "'$nnc' plot boxes.nnd --jit tcc --checkpoint boxes/boxes.safetensors -o boxes.svg && grep -q 'width (cm)' boxes.svg && grep -q 'tall, or square' boxes.svg"
ok "a program that is built" "$nnc" build boxes.nnd -o boxes.program
ok "predicts rows, too" sh -c "env -i ./boxes.program predict --checkpoint boxes/boxes.safetensors 3,1 few.csv | grep -c guess | grep -qx 4"
echo '1,2,,3' >>boxes.csv
ok "a missing value is named with its place" fails 1 'boxes.csv:302:5: the value of kind is missing' \
    train none boxes.nnd
ok "an unknown argument of a source has its place" fails 1 'boxes.nnd:12:23: error: csv has no argument named tset' \
    sh -c "sed -i 's/test = 0.2/tset = 0.2/' boxes.nnd && '$nnc' check boxes.nnd"
plan
