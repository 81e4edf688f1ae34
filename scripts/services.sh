#!/usr/bin/env bash
# A private PostgreSQL and NATS for tests and proofs: own folder, free ports, loopback only.
#
#   scripts/services.sh run [--fast] -- COMMAND…   start, run with the variables below, always stop
#   scripts/services.sh start [--fast]             start and keep running; prints the variables
#   scripts/services.sh env                        print the variables of what `start` started
#   scripts/services.sh stop                       stop what `start` started
#
# Variables: DATABASE_URL_PG, NATS_URL. --fast gives up durability (fsync off): for tests, not for proofs.
set -euo pipefail

repo=$(cd "$(dirname "$0")/.." && pwd)
started="$repo/target/services"
export PATH="/usr/sbin:$PATH"

fail() {
    echo "services: $*" >&2
    exit 1
}

pg_bin() {
    local initdb
    initdb=$(compgen -G '/usr/lib/postgresql/*/bin/initdb' | sort -V | tail -1) || true
    [ -n "$initdb" ] || initdb=$(command -v initdb) || fail "PostgreSQL is not installed: scripts/setup.sh services"
    dirname "$(readlink -f "$initdb")"
}

# PostgreSQL refuses to run as root.
as_postgres() {
    if [ "$(id -u)" != 0 ]; then
        "$@"
    else
        (cd / && runuser -u postgres -- env PATH="$PATH" "$@")
    fi
}

start_in() {
    local dir=$1 fast=$2 bin
    bin=$(pg_bin)
    command -v nats-server >/dev/null || fail "nats-server is not installed: scripts/setup.sh services"
    chmod 755 "$dir"
    mkdir "$dir/pg" "$dir/nats"
    if [ "$(id -u)" = 0 ]; then chown postgres "$dir/pg"; fi

    as_postgres "$bin/initdb" -D "$dir/pg/data" -U postgres -A trust -E UTF8 --no-locale --no-sync >"$dir/initdb.log" ||
        fail "initdb failed: $(tail -3 "$dir/initdb.log")"
    {
        echo "listen_addresses = '127.0.0.1'"
        echo "unix_socket_directories = ''"
        echo "max_connections = 200"
        if [ "$fast" = 1 ]; then
            echo "fsync = off"
            echo "synchronous_commit = off"
            echo "full_page_writes = off"
        fi
    } >"$dir/own.conf"
    as_postgres tee -a "$dir/pg/data/postgresql.conf" <"$dir/own.conf" >/dev/null

    # PostgreSQL cannot choose a free port by itself: draw until one is free.
    local port attempt
    for attempt in 1 2 3 4 5 6 7 8 9 10; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        if as_postgres "$bin/pg_ctl" -D "$dir/pg/data" -l "$dir/pg/log" -s -w -t 60 -o "-p $port" start 2>/dev/null >&2; then
            break
        fi
        [ "$attempt" -lt 10 ] || fail "PostgreSQL does not start: $(tail -3 "$dir/pg/log")"
    done
    as_postgres "$bin/createdb" -h 127.0.0.1 -p "$port" -U postgres zhaoguan

    nats-server -a 127.0.0.1 -p -1 --ports_file_dir "$dir/nats" -P "$dir/nats/pid" -l "$dir/nats/log" >/dev/null 2>&1 &
    disown
    local ports=
    for attempt in $(seq 100); do
        ports=$(compgen -G "$dir/nats/*.ports") && [ -s "$ports" ] && break
        sleep 0.1
    done
    [ -n "$ports" ] || fail "nats-server does not start: $(tail -3 "$dir/nats/log")"
    {
        echo "export DATABASE_URL_PG=postgres://postgres@127.0.0.1:$port/zhaoguan"
        echo "export NATS_URL=$(grep -o 'nats://[0-9.:]*' "$ports" | head -1)"
    } >"$dir/env"
}

stop_in() {
    local dir=$1
    if [ -f "$dir/pg/data/postmaster.pid" ]; then
        as_postgres "$(pg_bin)/pg_ctl" -D "$dir/pg/data" -s -m immediate stop || true
    fi
    if [ -s "$dir/nats/pid" ]; then kill "$(cat "$dir/nats/pid")" 2>/dev/null || true; fi
    rm -rf "$dir"
}

verb=${1:-}
[ $# -eq 0 ] || shift
fast=0
if [ "${1:-}" = --fast ]; then
    fast=1
    shift
fi

case "$verb" in
run)
    [ "${1:-}" != -- ] || shift
    [ $# -gt 0 ] || fail "run needs a command"
    dir=$(mktemp -d "${TMPDIR:-/tmp}/zhaoguan-services.XXXXXX")
    trap 'stop_in "$dir"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    start_in "$dir" "$fast"
    # shellcheck disable=SC1091
    source "$dir/env"
    "$@"
    ;;
start)
    [ ! -f "$started" ] || fail "already started: scripts/services.sh stop"
    mkdir -p "$repo/target"
    dir=$(mktemp -d "${TMPDIR:-/tmp}/zhaoguan-services.XXXXXX")
    trap 'stop_in "$dir"' EXIT
    start_in "$dir" "$fast"
    echo "$dir" >"$started"
    trap - EXIT
    cat "$dir/env"
    ;;
env)
    [ -f "$started" ] || fail "not started: scripts/services.sh start"
    cat "$(cat "$started")/env"
    ;;
stop)
    [ -f "$started" ] || exit 0
    stop_in "$(cat "$started")"
    rm -f "$started"
    ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
