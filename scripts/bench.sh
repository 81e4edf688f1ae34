#!/usr/bin/env bash
# Requests per second and latencies of initiateConsultation over HTTP, on SQLite (synchronous=FULL) and PostgreSQL.
# Server, load generator and database run on this machine. Needs DATABASE_URL_PG: run it as `just bench`.
# SECONDS_EACH sets the length of each run (default 10).
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${SECONDS_EACH:-10}
work=$(mktemp -d)
server=
stop() { if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; server=; fi; }
trap 'stop; rm -rf "$work"' EXIT

cargo build --release --quiet --bins
bin=$PWD/target/release
export ZHAOGUAN__APP__ID=bench-id ZHAOGUAN__APP__KEY=bench-key ZHAOGUAN__APP__MASTER_KEY=bench-master-key
export ZHAOGUAN__LOG__FILTER=warn
address=127.0.0.1:$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
export ZHAOGUAN__HTTP__LISTEN=$address

echo "machine: $(nproc) cores, $(awk '/MemTotal/ {printf "%.0f GiB", $2/1048576}' /proc/meminfo), $(uname -sr)"
echo "each run: $seconds s; server, load generator and database on this machine; documented call on /1.1/functions"
"$bin/initiate-load" export "$work/export" --doctors 200 --patients 5000

load() { # pairs connections offset
  "$bin/initiate-load" run --address "$address" --app-id bench-id --app-key bench-key \
    --pairs "$1" --connections "$2" --offset "$3" --seconds "$seconds"
}

measure() { # name url
  echo "== $1"
  mkdir -p "$work/$1"
  export ZHAOGUAN__DATABASE__URL=$2
  (cd "$work/$1" && "$bin/zhaoguan-api" import-leancloud "$work/export" >"$work/$1/import.log" 2>&1)
  (cd "$work/$1" && exec "$bin/zhaoguan-api" serve >"$work/$1/server.log" 2>&1) &
  server=$!
  for _ in $(seq 200); do curl -fs "http://$address/readyz" >/dev/null 2>&1 && break; sleep 0.1; done
  # Pairs 0 to 999 are the existing ones; each run of new pairs begins beyond the one before.
  for connections in 1 16 64; do load existing "$connections" 0; done
  local offset=1000
  for connections in 1 16 64; do
    load new "$connections" "$offset"
    offset=$((offset + 300000))
  done
  stop
  (cd "$work/$1" && "$bin/zhaoguan-api" check --json)
}

echo "worker: in the API process on SQLite (the default), none on PostgreSQL (a process of its own by default)"
measure sqlite "sqlite://$work/sqlite/data/zhaoguan.db"
database=bench_$$
psql "$DATABASE_URL_PG" -qc "CREATE DATABASE $database"
psql "$DATABASE_URL_PG" -Atc "SELECT 'postgresql ' || current_setting('server_version') || ', fsync ' || current_setting('fsync') || ', synchronous_commit ' || current_setting('synchronous_commit') || ', shared_buffers ' || current_setting('shared_buffers')"
measure postgresql "${DATABASE_URL_PG%/*}/$database"
psql "$DATABASE_URL_PG" -qc "DROP DATABASE $database WITH (FORCE)"
