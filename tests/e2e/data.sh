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
else
    skip "trains the article's network on CIFAR-10" "no CIFAR-10 here; NNC_DATA can name its folder"
fi

if [ -n "$data" ] && ls "$data"/mnist/*ubyte* >/dev/null 2>&1; then
    ok "trains a dense network on MNIST" sh -c \
        "'$nnc' train '$source/examples/simplenet.nnd' --data '$data' --limit 20000 --epochs 1 --json --out mnist >mnist.json"
    ok "test accuracy $(field mnist.json epoch accuracy) is above 90 %" less 0.90 "$(field mnist.json epoch accuracy)"
else
    skip "trains a dense network on MNIST" "no MNIST here; NNC_DATA can name its folder"
fi
plan
