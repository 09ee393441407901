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
empty() { (cd "$work" && env -i "$work/tiny" "$@"); }
ok "trains in an empty environment" empty train --threads 2 --out built
ok "is trained as nnc trains" "$nnc" train "$tiny" --threads 1 --out inside
ok "with the same bits" cmp built/*.safetensors inside/*.safetensors
ok "evaluates" sh -c "env -i ./tiny eval --checkpoint built/*.safetensors | grep -i accuracy"
ok "predicts" sh -c "env -i ./tiny predict --checkpoint built/*.safetensors test:3"
ok "tells what it can" sh -c "env -i ./tiny --help | grep -q train"
ok "an unknown option is usage" fails 2 'epoch-count' ./tiny train --epoch-count 3
ok "takes another learning rate" empty train --set lr=0.01 --steps 3 --out other

chrooted() { # with the loader, libc and libm for a root
    mkdir -p root/lib64 root/lib root/tmp &&
        for file in $(ldd tiny | grep -o '/[^ ]*'); do mkdir -p "root$(dirname "$file")" && cp -L "$file" "root$file"; done &&
        cp tiny root/tiny && chroot root /tiny train --steps 3 --out /tmp/out
}
if [ "$(id -u)" -eq 0 ] && chroot / true 2>/dev/null; then
    ok "trains in a root that holds only libc and libm" chrooted
else
    skip "trains in a root that holds only libc and libm" "takes root"
fi

# --- emit
ok "writes source" "$nnc" emit "$tiny" -o source
ok "that a C compiler alone builds" make -s -j2 -C source
ok "and that trains" env -i ./source/tiny train --steps 3 --out emitted

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
