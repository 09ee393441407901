#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages that building nnc takes, those that are missing alone.
#   install-deps.sh          to build and run
#   install-deps.sh test     also to test
set -eu

packages="gcc libc6-dev meson ninja-build pkg-config libopenblas-dev libtcc-dev zlib1g-dev libpng-dev libxxhash-dev"
[ "${1-}" = test ] && packages="$packages libcriterion-dev clang"

is_installed() { dpkg -s "$1" 2>/dev/null | grep -q '^Status: .* installed$'; }

if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "install-deps.sh: no apt here; what is needed, by Debian's names: $packages" >&2
    command -v meson >/dev/null && command -v ninja >/dev/null && exit 0 # perhaps it is all there
    exit 1
fi

missing=
for package in $packages; do
    is_installed "$package" || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "install-deps.sh: please install, as root:$missing" >&2
        exit 1
    fi
    sudo=sudo
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # a list of words
$sudo apt-get install -y --no-install-recommends $missing >/dev/null || {
    $sudo apt-get update >/dev/null
    $sudo apt-get install -y --no-install-recommends $missing >/dev/null
}
