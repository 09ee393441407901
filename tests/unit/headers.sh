#!/bin/sh
# SPDX-License-Identifier: MIT
# Headers compile alone, and includes point one way: frontends -> compiler -> runtime. TAP.
#   headers.sh SOURCE_DIR
cd "$1" || exit 1
cc=${CC:-cc}
number=0

result() { # STATUS NAME
    number=$((number + 1))
    [ "$1" -eq 0 ] && echo "ok $number - $2" || echo "not ok $number - $2"
}

# Included more than once with other macros around it, or a text that emitted source has behind others,
# or CUDA's: no header.
templates="runtime/product_tile.h compiler/emit/wide.h compiler/emit/cuda.h compiler/emit/cuda_product.h"

for header in $(find runtime compiler frontends -name '*.h' | sort); do
    case " $templates " in *" $header "*) continue ;; esac
    printf '#include "%s"\n' "$PWD/$header" |
        $cc -std=gnu11 -Wall -Wextra -Wpedantic -Werror -Wno-unused -Icompiler -Iruntime -Ifrontends -fsyntax-only -xc - 2>&1 |
        sed 's/^/# /' >/tmp/headers.$$
    ! grep -q 'error' /tmp/headers.$$
    result $? "$header compiles alone"
    cat /tmp/headers.$$
done
rm -f /tmp/headers.$$

# Nothing of ours is included from below: the folders each may not name.
points_up() { # FOLDER PATTERN
    grep -rnE --include='*.[ch]' "#include \"($2)" "$1"
}
! points_up runtime '(ir|pass|emit|jit|support|nnd|cli|compile|budget)[/.]'
result $? "the runtime includes nothing of the compiler or a front end"
! points_up compiler '(nnd|cli|onnx)/'
result $? "the compiler includes nothing of a front end"
! grep -rnE --include='*.[ch]' '#include "[a-z_]+\.h"' compiler | grep -vE '"(nnc|nnc_ctx|rng|bf16|compile|budget)\.h"'
result $? "the compiler includes the runtime's public headers alone"
echo "1..$number"
