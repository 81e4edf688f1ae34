#!/usr/bin/env bash
# Installs what a Debian machine with Rust lacks. Safe to run again: what is there is left alone.
#
#   scripts/setup.sh [base] [lint] [services] [browser] [py]
#
#   base      linker, Node, just, cargo-nextest (the default)
#   lint      cargo-deny
#   services  PostgreSQL and nats-server, without starting either
#   browser   Chromium and Chinese fonts, for tests and pictures of the console
#   py        schemathesis in target/py
set -euo pipefail

JUST_VERSION=1.59.0
NEXTEST_VERSION=0.9.143
DENY_VERSION=0.20.2
SCHEMATHESIS_VERSION=4.32.5

repo=$(cd "$(dirname "$0")/.." && pwd)
export PATH="$HOME/.cargo/bin:$HOME/.local/bin:$PATH"
export DEBIAN_FRONTEND=noninteractive

say() { echo "setup: $*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -E "$@"; fi; }

apt_is_fresh=
apt_install() {
    has apt-get || { say "please install: $*"; exit 1; }
    if [ -z "$apt_is_fresh" ]; then
        as_root apt-get -qq update
        apt_is_fresh=1
    fi
    say "installing $*"
    as_root apt-get -qq install -y --no-install-recommends "$@" >/dev/null
}

base() {
    has cargo || { say "Rust is missing: see https://rustup.rs"; exit 1; }
    has cc || apt_install gcc libc6-dev
    has ld.lld || apt_install lld
    has openssl || apt_install openssl # makes the certificate that one of the tests needs
    # The official SDK runs in one of the tests.
    has npm || apt_install nodejs npm
    has just || install_just
    cargo nextest --version >/dev/null 2>&1 || cargo install --locked "cargo-nextest@$NEXTEST_VERSION"
}

# The Python package carries a ready binary; building takes minutes.
install_just() {
    say "installing just $JUST_VERSION"
    if has pip3; then
        pip3 install --quiet --user "rust-just==$JUST_VERSION" 2>/dev/null ||
            pip3 install --quiet --user --break-system-packages "rust-just==$JUST_VERSION" 2>/dev/null || true
        hash -r
    fi
    has just || cargo install --locked "just@$JUST_VERSION"
}

lint() {
    cargo deny --version >/dev/null 2>&1 || cargo install --locked "cargo-deny@$DENY_VERSION"
}

services() {
    if ! compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null && ! has postgres; then
        apt_install postgresql-common
        # Tests start their own; the package must not start one for the whole machine.
        echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
        apt_install postgresql
    fi
    if ! has nats-server && [ ! -x /usr/sbin/nats-server ]; then
        apt_install nats-server
        if [ -d /run/systemd/system ]; then as_root systemctl disable --quiet --now nats-server || true; fi
    fi
}

browser() {
    has chromium || has google-chrome || apt_install chromium
    # Without one every Chinese character is a box, in pictures too.
    [ -n "$(fc-list :lang=zh 2>/dev/null)" ] || apt_install fontconfig fonts-noto-cjk
}

py() {
    has python3 || apt_install python3
    local venv="$repo/target/py"
    if ! "$venv/bin/schemathesis" --version 2>/dev/null | grep -qF "$SCHEMATHESIS_VERSION"; then
        mkdir -p "$repo/target"
        python3 -m venv "$venv" 2>/dev/null || { apt_install python3-venv; python3 -m venv --clear "$venv"; }
        "$venv/bin/pip" install --quiet "schemathesis==$SCHEMATHESIS_VERSION"
    fi
}

[ $# -gt 0 ] || set -- base
for part in "$@"; do
    case "$part" in
    base | lint | services | browser | py) "$part" ;;
    *)
        say "unknown part: $part (base, lint, services, browser, py)"
        exit 2
        ;;
    esac
done
