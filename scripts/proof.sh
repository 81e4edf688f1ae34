#!/usr/bin/env bash
# The long proofs, whole: 1,000 rounds of 64 simultaneous initiates, races with end, block and revoke, 50 rounds of
# kill -9 on each database. `--short` runs a few rounds. Needs DATABASE_URL_PG: run it as `just proof`.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --short ]; then
  export PROOF_ROUNDS=${PROOF_ROUNDS:-5}
  profile=()
else
  export PROOF_ROUNDS=${PROOF_ROUNDS:-1000}
  profile=(--cargo-profile release)
fi
cargo build --quiet --bins ${profile[0]:+--release}
echo "proof: $PROOF_ROUNDS rounds"
cargo nextest run -p tests --profile proof "${profile[@]}" --test race --test crash
