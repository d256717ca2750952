#!/bin/sh
# What does this machine still need to build, run and test adloupe? Installs it; takes a second when nothing is missing.
#
#   sh assets/setup.sh && cargo run --release
#   sh assets/setup.sh && cargo nextest run
#
# Debian/Ubuntu (apt), Fedora (dnf) and Arch (pacman) are served. macOS and Windows need only Rust.
set -eu

say() { printf 'setup: %s\n' "$*"; }
have() { command -v "$1" >/dev/null 2>&1; }
library() { { ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null || true; } | grep -q "$1"; }

case "$(uname -s)" in
Linux) ;;
Darwin | MINGW* | MSYS* | CYGWIN*) linux=no ;;
*) say "unknown system $(uname -s): install Rust 1.95, a C compiler and a Vulkan, Metal or DirectX 12 driver yourself" && linux=no ;;
esac

# --- the system packages that are missing, by their Debian names -----------------------------------------
missing=""
want() { missing="$missing $1"; }

if [ "${linux:-yes}" = yes ]; then
    have cc || want gcc
    [ -e /usr/include/stdlib.h ] || want libc6-dev
    # A window on X11 opens these at run time; Wayland needs only the last.
    library libXcursor.so.1 || want libxcursor1
    library libXi.so.6 || want libxi6
    library libxkbcommon-x11.so.0 || want libxkbcommon-x11-0
    library libxkbcommon.so.0 || want libxkbcommon0
    library libvulkan.so.1 || want libvulkan1
    # Without a graphics card (or on a server) the software driver draws.
    find /usr/share/vulkan/icd.d /etc/vulkan/icd.d -name '*.json' 2>/dev/null | grep -q . || want mesa-vulkan-drivers
    # The test of the real window needs an X server where there is no screen.
    if [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
        have Xvfb || want xvfb
        have xauth || want xauth # xvfb-run calls it
    fi
    # Chinese text needs a font that has it.
    if ! find /usr/share/fonts /usr/local/share/fonts "$HOME/.fonts" "$HOME/.local/share/fonts" \
        \( -iname '*wqy*' -o -iname '*cjk*' -o -iname '*notosanssc*' -o -iname '*sourcehan*' -o -iname '*droidsansfallback*' \) \
        2>/dev/null | grep -q .; then
        want fonts-wqy-microhei
    fi
fi

root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Debian name -> Fedora or Arch name.
translate() {
    for package in $missing; do
        case "$1:$package" in
        dnf:libc6-dev) echo glibc-devel ;;
        dnf:libxcursor1) echo libXcursor ;;
        dnf:libxi6) echo libXi ;;
        dnf:libxkbcommon-x11-0) echo libxkbcommon-x11 ;;
        dnf:libxkbcommon0) echo libxkbcommon ;;
        dnf:libvulkan1) echo vulkan-loader ;;
        dnf:xvfb) echo xorg-x11-server-Xvfb ;;
        dnf:xauth) echo xorg-x11-xauth ;;
        dnf:fonts-wqy-microhei) echo wqy-microhei-fonts ;;
        pacman:libc6-dev) echo glibc ;;
        pacman:libxcursor1) echo libxcursor ;;
        pacman:libxi6) echo libxi ;;
        pacman:libxkbcommon-x11-0) echo libxkbcommon-x11 ;;
        pacman:libxkbcommon0) echo libxkbcommon ;;
        pacman:libvulkan1) echo vulkan-icd-loader ;;
        pacman:mesa-vulkan-drivers) echo vulkan-swrast ;;
        pacman:xvfb) echo xorg-server-xvfb ;;
        pacman:xauth) echo xorg-xauth ;;
        pacman:fonts-wqy-microhei) echo wqy-microhei ;;
        *) echo "$package" ;;
        esac
    done
}

if [ -n "$missing" ]; then
    say "missing:$missing"
    if have apt-get; then
        root apt-get update -qq
        # shellcheck disable=SC2086
        root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
    elif have dnf; then
        # shellcheck disable=SC2046
        root dnf install -y -q $(translate dnf)
    elif have pacman; then
        # shellcheck disable=SC2046
        root pacman -S --needed --noconfirm $(translate pacman)
    else
        say "no apt, dnf or pacman here: install the packages above (Debian's names) yourself, then run this again"
        exit 1
    fi
fi

# --- Rust and its test runner ---------------------------------------------------------------------------------
if ! have cargo; then
    say "Rust is missing: install rustup from https://rustup.rs (version 1.95 or newer), then run this again"
    exit 1
fi
if ! have cargo-nextest; then
    say "installing cargo-nextest, the test runner (a few minutes, once)"
    cargo install --locked cargo-nextest || say "cargo-nextest can't be installed here: use 'cargo test' instead of 'cargo nextest run'"
fi
say "everything is there"
