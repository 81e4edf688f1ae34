#!/usr/bin/env bash
# Speed from outside, on SQLite (synchronous=FULL) and PostgreSQL. Servers, load generators and databases run on this
# machine. Needs DATABASE_URL_PG and NATS_URL: run it as `just bench`.
#
#   just bench               everything, short
#   just bench initiate      initiateConsultation over HTTP
#   just bench surfaces      the same through LeanCloud's SDK, beside the native call
#   just bench im            messaging over WebSockets
#   just bench im-sustained  messaging for ten minutes on each database (SUSTAINED_SECONDS)
#   just bench reference     the same load on the least a chat can be (Node, ws, pg), to tell fast machines from slow ones
#
# SECONDS_EACH sets the length of each run (default 10), DATABASES which databases (default "sqlite postgresql").
set -euo pipefail
cd "$(dirname "$0")/.."

part=${1:-all}
seconds=${SECONDS_EACH:-10}
databases=${DATABASES:-sqlite postgresql}
work=$(mktemp -d)
servers=()
stop() {
  for server in "${servers[@]:-}"; do
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  done
  servers=()
}
trap 'stop; rm -rf "$work"' EXIT
# Ten thousand sockets, at both ends.
ulimit -n "$(ulimit -Hn)" || true

[ -n "${SKIP_BUILD:-}" ] || cargo build --release --quiet --bins
bin=$PWD/target/release
export ZHAOGUAN__APP__ID=bench-id ZHAOGUAN__APP__KEY=bench-key ZHAOGUAN__APP__MASTER_KEY=bench-master-key
export ZHAOGUAN__LOG__FILTER=${LOG_FILTER:-info}
free_address() { python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print("127.0.0.1:%d" % s.getsockname()[1])'; }

serve() { # folder address [NATS]: starts a server and waits until it is ready
  (cd "$1" && exec env ZHAOGUAN__HTTP__LISTEN="$2" ZHAOGUAN__FANOUT__URL="${3:-}" "$bin/zhaoguan-api" serve >>"$1/server.log" 2>&1) &
  servers+=($!)
  for _ in $(seq 200); do curl -fs "http://$2/readyz" >/dev/null 2>&1 && return; sleep 0.1; done
  echo "the server does not start: $(tail -3 "$1/server.log")" >&2
  exit 1
}

prepare() { # part database export: sets $folder, and the address of a fresh database, and imports into it
  folder=$work/$1-$2
  mkdir -p "$folder"
  if [ "$2" = sqlite ]; then
    export ZHAOGUAN__DATABASE__URL=sqlite://$folder/data/zhaoguan.db
  else
    psql "$DATABASE_URL_PG" -qc "CREATE DATABASE bench_$1_$$"
    export ZHAOGUAN__DATABASE__URL=${DATABASE_URL_PG%/*}/bench_$1_$$
  fi
  (cd "$folder" && "$bin/zhaoguan-api" import-leancloud "$3" >"$folder/import.log" 2>&1)
}

finish() { # part database: checks all consistency rules
  stop
  (cd "$folder" && "$bin/zhaoguan-api" check --json)
  if [ "$2" = postgresql ]; then psql "$DATABASE_URL_PG" -qc "DROP DATABASE bench_$1_$$ WITH (FORCE)"; fi
}

# ---- initiateConsultation

load() { # address pairs connections offset
  "$bin/initiate-load" run --address "$1" --app-id bench-id --app-key bench-key \
    --pairs "$2" --connections "$3" --offset "$4" --seconds "$seconds"
}

initiate() { # database
  echo "== initiateConsultation, $1"
  prepare initiate "$1" "$work/export"
  local address offset=1000
  address=$(free_address)
  serve "$folder" "$address"
  # Pairs 0 to 999 are the existing ones; each run of new pairs begins beyond the one before.
  for connections in 1 16 64; do load "$address" existing "$connections" 0; done
  for connections in 1 16 64; do
    load "$address" new "$connections" "$offset"
    offset=$((offset + 300000))
  done
  finish initiate "$1"
}

surfaces() { # database
  echo "== initiateConsultation on each surface, $1"
  prepare surfaces "$1" "$work/export"
  local address offset=1000
  address=$(free_address)
  serve "$folder" "$address"
  compare() { # pairs connections
    "$bin/initiate-load" compare --address "$address" --app-id bench-id --app-key bench-key \
      --pairs "$1" --connections "$2" --offset "$offset" --seconds "$(((seconds + 5) / 6))"
  }
  for connections in 1 64; do compare existing "$connections"; done
  for connections in 1 64; do
    compare new "$connections"
    offset=$((offset + 300000))
  done
  finish surfaces "$1"
}

# ---- messaging

im() { # mode arguments…
  local mode=$1
  shift
  "$bin/im-load" "$mode" --address "$address" --watch "server=${servers[0]}" "${watched[@]}" "$@"
}

begin_im() { # database: one server
  prepare im "$1" "$work/talking"
  address=$(free_address)
  serve "$folder" "$address"
  watched=()
  if [ "$1" = postgresql ]; then watched=(--watch "postgresql=$(postmaster)"); fi
}

postmaster() { head -1 "$(psql "$DATABASE_URL_PG" -Atc 'SHOW data_directory')/postmaster.pid"; }

messaging() { # database
  echo "== messaging, $1"
  begin_im "$1"
  # The idle ones first, while the server has done nothing else.
  for connections in 5000 10000; do
    im idle --connections "$connections" --seconds "$seconds"
    stop
    address=$(free_address)
    serve "$folder" "$address"
  done
  for pairs in 1 50; do im pairs --pairs "$pairs" --seconds "$seconds"; done
  for senders in 1 16 64 256; do im senders --senders "$senders" --seconds "$seconds"; done
  for senders in 1 16 64 256; do im senders --senders "$senders" --conversations 1 --seconds "$seconds"; done
  im steady --rate 2000 --seconds "$seconds"
  if [ "$1" = postgresql ]; then
    stop
    echo "-- two nodes over NATS: doctors on one, patients on the other"
    address=$(free_address)
    local second
    second=$(free_address)
    serve "$folder" "$address" "$NATS_URL"
    serve "$folder" "$second" "$NATS_URL"
    watched+=(--watch "second=${servers[1]}")
    for pairs in 1 50; do im pairs --second-address "$second" --pairs "$pairs" --seconds "$seconds"; done
    im steady --second-address "$second" --rate 2000 --seconds "$seconds"
  fi
  finish im "$1"
}

sustained() { # database
  echo "== messaging, sustained, $1: 50 pairs, then 2,000 messages a second"
  begin_im "$1"
  im pairs --pairs 50 --seconds "${SUSTAINED_SECONDS:-600}" --every 60
  im steady --rate 2000 --seconds 60
  finish im "$1"
}

reference() {
  echo "== a bare chat, Node and PostgreSQL"
  (cd tests/reference && npm ci --silent --ignore-scripts)
  psql "$DATABASE_URL_PG" -qc "CREATE DATABASE bench_reference_$$"
  address=$(free_address)
  node tests/reference/chat.mjs "$address" "${DATABASE_URL_PG%/*}/bench_reference_$$" &
  servers+=($!)
  for _ in $(seq 100); do (exec 3<>"/dev/tcp/${address%:*}/${address#*:}") 2>/dev/null && break; sleep 0.1; done
  watched=(--watch "postgresql=$(postmaster)")
  for pairs in 1 50; do im pairs --pairs "$pairs" --seconds "$seconds"; done
  im senders --senders 256 --seconds "$seconds"
  stop
  psql "$DATABASE_URL_PG" -qc "DROP DATABASE bench_reference_$$ WITH (FORCE)"
}

echo "machine: $(nproc) cores, $(awk '/MemTotal/ {printf "%.0f GiB", $2/1048576}' /proc/meminfo), $(uname -sr)"
echo "each run: $seconds s; server, load generator and database on this machine"
echo "worker: in the API process on SQLite (the default), none on PostgreSQL (a process of its own by default)"
psql "$DATABASE_URL_PG" -Atc "SELECT 'postgresql ' || current_setting('server_version') || ', fsync ' || current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit') || ', shared_buffers ' || current_setting('shared_buffers')"

if [ "$part" = all ] || [ "$part" = initiate ] || [ "$part" = surfaces ]; then
  "$bin/initiate-load" export "$work/export" --doctors 200 --patients 5000
fi
if [ "$part" = all ] || [ "$part" = initiate ]; then
  for database in $databases; do initiate "$database"; done
fi
if [ "$part" = all ] || [ "$part" = surfaces ]; then
  for database in $databases; do surfaces "$database"; done
fi
if [ "$part" = all ] || [ "$part" = im ]; then
  "$bin/im-load" export "$work/talking"
  for database in $databases; do messaging "$database"; done
fi
if [ "$part" = all ] || [ "$part" = reference ]; then reference; fi
if [ "$part" = im-sustained ]; then
  "$bin/im-load" export "$work/talking" --patients 256
  for database in $databases; do sustained "$database"; done
fi
