#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what nnc is compared with into a virtual environment of its own, for processors alone: PyTorch, JAX,
# tinygrad. What cannot be had is left out; compare.py says so.
#   install.sh [FOLDER]      default: build/peers
set -eu
cd "$(dirname "$0")/../.."
folder=${1:-build/peers}
[ -x "$folder/bin/pip" ] || python3 -m venv "$folder"

try() { # NAME pip arguments
    name=$1
    shift
    if "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"; then
        echo "installed $name"
    else
        echo "left out: $name"
    fi
}

try numpy numpy
# PyTorch's own index has builds without CUDA, which are a tenth of the size.
try PyTorch torch --index-url https://download.pytorch.org/whl/cpu 2>/dev/null |
    grep installed || try PyTorch torch
try JAX jax
try tinygrad tinygrad
