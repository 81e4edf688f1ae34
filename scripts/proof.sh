#!/usr/bin/env bash
# The long proofs, whole: 1,000 rounds of 64 simultaneous initiates, races with end, block and revoke, 50 rounds of
# kill -9 on each database, 5,000 schedules of the desk on the rules alone and 2,000 on each database, 100 rounds of the
# history checker of messaging on each (docs/history-checker.md). `--short` runs a few rounds. Needs DATABASE_URL_PG:
# run it as `just proof`.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --short ]; then
  export PROOF_ROUNDS=${PROOF_ROUNDS:-5}
  history_rounds=${HISTORY_ROUNDS:-5}
  profile=()
else
  export PROOF_ROUNDS=${PROOF_ROUNDS:-1000}
  history_rounds=${HISTORY_ROUNDS:-100}
  profile=(--cargo-profile release)
fi
cargo build --quiet --workspace --bins ${profile[0]:+--release}
echo "proof: $PROOF_ROUNDS rounds"
echo "proof: schedules of the desk"
DESK_SCHEDULES=$((PROOF_ROUNDS * 5)) cargo nextest run -p im --profile proof "${profile[@]}" -E 'test(schedules)'
# DESK_SEED is the first of those on the databases.
DESK_SCHEDULES=${DESK_SCHEDULES:-$((PROOF_ROUNDS * 2))} cargo nextest run -p storage --profile proof "${profile[@]}" \
  --success-output final -E 'test(many_schedules)'
cargo nextest run -p tests --profile proof "${profile[@]}" --test race --test crash

binaries=target/debug
[ ${#profile[@]} -eq 0 ] || binaries=target/release
"$binaries/history-check" run --database sqlite --rounds "$history_rounds"
"$binaries/history-check" run --database postgres --nodes 3 --rounds "$history_rounds"
