#!/bin/sh
# SPDX-License-Identifier: MIT
# The program that nnc makes, where nothing else is; the source that nnc writes; nnc installed elsewhere.
. "$2/tests/e2e/lib.sh"
build=$3
tiny=$e2e/tiny.nnd

ok "builds a program" "$nnc" build "$tiny" -o tiny
ok "leaves nothing beside it" sh -c '[ "$(ls | grep -c tiny)" -eq 1 ]'
libraries() { # all that it loads
    ldd tiny || return 1
    ! ldd tiny | grep -vE 'linux-vdso|libc\.so|libm\.so|ld-linux|libpthread\.so'
}
ok "is dynamic to libc and libm alone" libraries
ok "is shorter than a megabyte" [ "$(stat -c %s tiny)" -lt 1000000 ]
ok "carries no library of products" not grep -qi openblas tiny
empty() { (cd "$work" && env -i "$work/tiny" "$@"); }
ok "trains in an empty environment" empty train --threads 2 --out built
ok "is trained as nnc trains" "$nnc" train "$tiny" --threads 1 --out inside
ok "with the same bits" cmp built/*.safetensors inside/*.safetensors
ok "evaluates" sh -c "env -i ./tiny eval --checkpoint built/*.safetensors | grep -i accuracy"
ok "predicts" sh -c "env -i ./tiny predict --checkpoint built/*.safetensors test:3"
ok "tells what it can" sh -c "env -i ./tiny --help | grep -q train"
ok "an unknown option is usage" fails 2 'epoch-count' ./tiny train --epoch-count 3
ok "takes another learning rate" empty train --set lr=0.01 --steps 3 --out other
ok "says what can be set" sh -c "env -i ./tiny train --help | grep -q 'lr = 0.001'"
ok "and what is near to it" fails 1 'no hyper-parameter named rl; did you mean lr' ./tiny train --set rl=1

chrooted() { # with the loader, libc and libm for a root
    mkdir -p root/lib64 root/lib root/tmp &&
        for file in $(ldd tiny | grep -o '/[^ ]*'); do mkdir -p "root$(dirname "$file")" && cp -L "$file" "root$file"; done &&
        cp tiny root/tiny && in_root train --steps 3 --out /tmp/out
}
in_root() { chroot root /tiny "$@"; }
all_of_it() {
    in_root train --steps 45 --out /tmp/parts --log /tmp/parts.csv --tensorboard /tmp/events --save-every 7 &&
        in_root train --resume --out /tmp/parts --log /tmp/parts.csv --tensorboard /tmp/events --json &&
        cmp root/tmp/parts/tiny.safetensors built/tiny.safetensors && [ -s root/tmp/parts.csv ] && ls root/tmp/events/* &&
        in_root train --init /tmp/parts/tiny.safetensors --epochs 1 --set lr=0.01 --set source.test=50 --out /tmp/more &&
        in_root eval --out /tmp/parts --split train --json | grep '"train":{"loss"' &&
        in_root predict --out /tmp/parts test:1 test:2 --json | grep '"input":"test:2"' && in_root eval --help | grep split
}
if [ "$(id -u)" -eq 0 ] && chroot / true 2>/dev/null; then
    ok "trains in a root that holds only libc and libm" chrooted
    ok "goes on, logs, begins with parameters, evaluates and predicts there" all_of_it
else
    skip "trains in a root that holds only libc and libm" "takes root"
fi

# --- emit
ok "writes source" "$nnc" emit "$tiny" -o source
ok "that a C compiler alone builds" make -s -j2 -C source
ok "and that trains" env -i ./source/tiny train --steps 3 --out emitted

# --- in another program
shown() { # the commands that docs/EMBEDDING.md begins with, and the program that they make
    ln -s "$source/examples" examples
    sed -nE 's/^    ((nnc|make|cc) .*)/\1/p' "$source/docs/EMBEDDING.md" | sed "s|^nnc |'$nnc' |" >shown.sh
    [ "$(wc -l <shown.sh)" -ge 3 ] && MAKEFLAGS=-sj2 sh -e shown.sh && ./embedding
}
shared() {
    make -s -C net libsimplenet.so &&
        cc -O2 -Wall -Wextra -Werror -Inet examples/embedding.c -Lnet -lsimplenet -Wl,-rpath,"$work/net" \
            -lm -lpthread -o embedding && ./embedding
}
two_networks() {
    cat >two.c <<-'END'
	#include "net/simplenet.h"
	#include "source/tiny.h"
	#include <stdio.h>
	int main(void) {
	    NncError error;
	    static float image[3 * 32 * 32], logits[2][10];
	    const void *batch[] = {image, NULL};
	    NncNet *a = nnc_net_new(&simplenet_program, 1, &error), *b = nnc_net_new(&tiny_program, 1, &error);
	    int bad = !a || !b || nnc_net_predict(a, batch, 1, (void *[]){logits[0]}, &error) ||
	              nnc_net_predict(b, batch, 1, (void *[]){logits[1]}, &error);
	    nnc_net_free(a), nnc_net_free(b);
	    return bad || logits[0][0] == logits[1][0];
	}
	END
    cc -I. two.c net/libsimplenet.a source/libtiny.a -lm -lpthread -o two && ./two
}
if command -v objcopy >/dev/null; then
    ok "a C program trains a network, saves, loads, asks, by the commands of the document" shown
    ok "likewise with the shared library" shared
    ok "of its names only the runtime's and its own can be seen" \
        sh -c "! nm -D --defined-only net/libsimplenet.so | grep -vE ' (nnc_[a-z0-9_]+|simplenet_program)$'"
    ok "a second library is built" make -s -j2 -C source libtiny.a
    ok "two networks live in one program" two_networks
else
    skip "a network for other programs" "takes objcopy"
fi

# --- installed
if [ -n "$build" ] && command -v meson >/dev/null; then
    ok "installs" env DESTDIR="$work/dest" meson install -C "$build" --no-rebuild --quiet
    installed=$(find "$work/dest" -type f -name nnc -perm -u+x | head -n 1)
    ok "the installed one builds a program" "$installed" build "$tiny" -o again
    ok "and that is the same" cmp tiny again
    rm -rf "$(dirname "$installed")/../lib/nnc"
    if [ -e "$(echo "$installed" | sed "s|^$work/dest||; s|/bin/nnc||")/lib/nnc" ]; then
        skip "its runtime is its own" "another nnc is installed there"
    else
        ok "its runtime is its own" fails 1 'tried.*/bin/../lib/nnc/libnnc_program.a' \
            env -u NNC_RUNTIME_DIR "$installed" build "$tiny" -o none
    fi
else
    skip "installs" "no build folder given"
fi
plan
