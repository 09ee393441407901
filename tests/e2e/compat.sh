#!/bin/sh
# SPDX-License-Identifier: MIT
# What was written by this version is read by later ones: tests/golden/compat has a model of nnd 1
# and its checkpoint after nine steps, made by
#
#     nnc train net.nnd --jit tcc --steps 9 --out .
#
# These files stay as they are. And what a newer version wrote is an error that says so.
. "$2/tests/e2e/lib.sh"
cp "$source/tests/golden/compat/net.nnd" "$source/tests/golden/compat/net.safetensors" .
chmod u+w net.safetensors

ok "nnd 1 is read" "$nnc" check net.nnd
ok "its checkpoint is evaluated" sh -c "'$nnc' eval net.nnd --jit tcc --checkpoint net.safetensors --json >eval.json"
loss=$(grep -o '"loss":[0-9.]*' eval.json | cut -d: -f2)
ok "to the same loss" near "$loss" 1.06730646 1e-4
ok "a run goes on from it" sh -c "mkdir out && cp net.safetensors out && '$nnc' train net.nnd --jit tcc --resume --json >resumed.json"
ok "behind its ninth step" grep -q '"event":"resume".*"step":9\b' resumed.json
ok "to the end" grep -q '"event":"epoch","epoch":4,' resumed.json
ok "a run begins with its parameters" "$nnc" train net.nnd --jit tcc --init net.safetensors --steps 1 --out begun
ok "its tensors are listed" sh -c "'$nnc' show net.safetensors | grep -q '^body.weight *F32.8, 2.'"
ok "lines of JSON say their version" grep -q '"event":"start","version":1,' resumed.json

# --- What is newer. The header's length stays.
changed() { LC_ALL=C sed "s/\"format\":\"nnc 1\"/\"format\":\"$1\"/" net.safetensors >"$2.safetensors"; }
changed 'nnc 2' newer
ok "a checkpoint of another version is an error" fails 1 'newer.safetensors: its format is nnc 2, and this version reads nnc 1' \
    "$nnc" eval net.nnd --jit tcc --checkpoint newer.safetensors
ok "for a run that begins with it, too" fails 1 'its format is nnc 2' \
    "$nnc" train net.nnd --jit tcc --init newer.safetensors --out none
changed 'other' foreign
ok "parameters of another program can be evaluated" "$nnc" eval net.nnd --jit tcc --checkpoint foreign.safetensors
mkdir foreign && cp foreign.safetensors foreign/net.safetensors
ok "but no run goes on from them" fails 1 'no checkpoint of nnc; --init begins with' \
    "$nnc" train net.nnd --jit tcc --resume --out foreign
sed 's/^nnd 1/nnd 2/' net.nnd >newer.nnd
ok "a model of another version is an error" fails 1 'newer.nnd:1:5: error: version 2 of the language' "$nnc" check newer.nnd
printf '\211PNG\r\n\032\n\000\000' >photo.nnd
ok "a picture is no model" fails 1 'photo.nnd: is no text but a picture' "$nnc" check photo.nnd
ok "nor is a checkpoint" fails 1 'net.safetensors: is no text but a checkpoint; nnc show' "$nnc" check net.safetensors
ok "nothing was left of these" sh -c '[ -z "$(find none -type f)" ]'
plan
