#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages that building nnc takes, those that are missing alone.
#   install-deps.sh          to build and run
#   install-deps.sh test     also to test; what tests of other machines' code take only if it can be had
#   install-deps.sh analyse  also for scripts/analyse.sh, coverage.sh and sanitize.sh
set -eu

packages="gcc libc6-dev meson ninja-build pkg-config libopenblas-dev libtcc-dev zlib1g-dev libpng-dev libxxhash-dev"
optional=
if [ "${1-}" = test ]; then
    packages="$packages libcriterion-dev clang make"
    optional="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
elif [ "${1-}" = analyse ]; then
    packages="$packages libcriterion-dev clang clang-tidy cppcheck valgrind gcovr"
fi

is_installed() { dpkg -s "$1" 2>/dev/null | grep -q '^Status: .* installed$'; }

if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "install-deps.sh: no apt here; what is needed, by Debian's names: $packages" >&2
    command -v meson >/dev/null && command -v ninja >/dev/null && exit 0 # perhaps it is all there
    exit 1
fi

missing_of() { # PACKAGE...
    for package in "$@"; do
        is_installed "$package" || printf ' %s' "$package"
    done
}
# shellcheck disable=SC2086  # lists of words
missing=$(missing_of $packages)
# shellcheck disable=SC2086
missing_optional=$(missing_of $optional)
[ -z "$missing$missing_optional" ] && exit 0

sudo=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        [ -z "$missing" ] && exit 0
        echo "install-deps.sh: please install, as root:$missing" >&2
        exit 1
    fi
    sudo=sudo
fi
export DEBIAN_FRONTEND=noninteractive
install() { # PACKAGE...
    echo "installing: $*"
    $sudo apt-get install -y --no-install-recommends "$@" >/dev/null || {
        $sudo apt-get update >/dev/null
        $sudo apt-get install -y --no-install-recommends "$@" >/dev/null
    }
}
# shellcheck disable=SC2086
[ -z "$missing" ] || install $missing
# shellcheck disable=SC2086
[ -z "$missing_optional" ] || install $missing_optional ||
    echo "install-deps.sh: without$missing_optional: their tests are skipped" >&2
