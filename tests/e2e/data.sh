#!/bin/sh
# SPDX-License-Identifier: MIT
# Real images. $NNC_DATA names a folder that holds cifar-10-batches-bin and mnist; or else, where the
# checkout has ../shared/data, its data is unpacked once into the build folder.
. "$2/tests/e2e/lib.sh"
build=$3

data=${NNC_DATA-}
if [ -z "$data" ] && [ -x "$source/../shared/data/unpack.sh" ]; then
    data=$build/real-data
    [ -e "$data/complete" ] || { "$source/../shared/data/unpack.sh" "$data" >/dev/null 2>&1 && touch "$data/complete"; }
fi

if [ -n "$data" ] && [ -e "$data/cifar-10-batches-bin/test_batch.bin" ]; then
    ok "trains the article's network on CIFAR-10" sh -c \
        "'$nnc' train '$source/examples/cifar10.nnd' --data '$data' --limit 5000 --epochs 2 --json --out cifar >cifar.json"
    loss=$(grep '"event":"epoch"' cifar.json | tail -n 1 | grep -o '"test":{[^}]*}' | grep -o '"loss":[0-9.]*' | cut -d: -f2)
    ok "test loss $loss is below 1.9" less "$loss" 1.9
    ok "test accuracy $(field cifar.json epoch accuracy) is above 24 %" less 0.24 "$(field cifar.json epoch accuracy)"
    ok "trains it with learned pooling" sh -c \
        "'$nnc' train '$source/examples/gem.nnd' --data '$data' --steps 60 --json --out gem >gem.json"
    ok "exponents have moved from 3" sh -c "'$nnc' show gem/gem.safetensors pool.p --json | grep -q '\"greatest\":3\.[0-9]' &&
        '$nnc' show gem/gem.safetensors pool.p --json | grep -q '\"least\":2\.'"
else
    skip "trains the article's network on CIFAR-10" "no CIFAR-10 here; NNC_DATA can name its folder"
fi

if [ -n "$data" ] && ls "$data"/mnist/*ubyte* >/dev/null 2>&1; then
    ok "trains a dense network on MNIST" sh -c \
        "'$nnc' train '$source/examples/simplenet.nnd' --data '$data' --limit 20000 --epochs 1 --json --out mnist >mnist.json"
    ok "test accuracy $(field mnist.json epoch accuracy) is above 90 %" less 0.90 "$(field mnist.json epoch accuracy)"
    ok "trains it with a last relu" sh -c \
        "'$nnc' train '$source/examples/simplenet.nnd' --data '$data' --limit 20000 --epochs 1 --seed 2 --set last_relu=true --json --out last >last.json"
    ok "which loses a class: test accuracy $(field last.json epoch accuracy) is below 88 %" less "$(field last.json epoch accuracy)" 0.88
    ok "of whose examples none teaches: $(field last.json epoch stuck)" less 0.05 "$(field last.json epoch stuck)"
else
    skip "trains a dense network on MNIST" "no MNIST here; NNC_DATA can name its folder"
fi
plan
