# `just` lists the recipes. `just test` needs no service; `just ci` is what must pass before pushing.

set positional-arguments
set shell := ["bash", "-euo", "pipefail", "-c"]

[private]
default:
    @just --list

# Install what this machine lacks: base (also when none is named), lint, services, browser, py
setup *parts:
    scripts/setup.sh "$@"

# Start the server on SQLite, with a stand-in for WeChat unless apps are configured; generated credentials are printed once
run *args: (setup "base")
    scripts/console.sh --if-stale
    ZHAOGUAN__WECHAT__STANDIN="${ZHAOGUAN__WECHAT__STANDIN-127.0.0.1:3900}" cargo run --bin zhaoguan-api -- serve "$@"

# Look at the types of the web console and build it into console/dist
console:
    scripts/console.sh

# Drive the web console in a browser against a real server; arguments name scenes
console-test *args: (setup "browser") console build
    node console/e2e/run.mjs "$@"

# The programs together with the tests, so that both share what is compiled
[private]
build: (setup "base")
    cargo build --workspace --bins --tests

# All tests, on SQLite and fakes; arguments go to nextest
test *args: build
    cargo nextest run --workspace "$@"

# All tests, with a private PostgreSQL and NATS as well
test-pg *args: build (setup "services")
    scripts/services.sh run --fast -- cargo nextest run --workspace "$@"

# Formatting, clippy, and what dependencies may be used
lint: (setup "base" "lint")
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo deny check bans licenses sources
    if timeout 20 git ls-remote https://github.com/RustSec/advisory-db HEAD >/dev/null 2>&1; then cargo deny check advisories; else echo "the advisory database cannot be reached: not checked" >&2; fi

# Format all code
fmt:
    cargo fmt --all

# Write openapi/api.json and docs/errors.md from the code
openapi:
    cargo run --quiet --bin zhaoguan-api -- openapi --output openapi/api.json --errors docs/errors.md

# Fail when openapi/api.json or docs/errors.md is not what the code says
openapi-check: build
    target/debug/zhaoguan-api openapi --output target/api.json --errors target/errors.md
    diff -u openapi/api.json target/api.json && diff -u docs/errors.md target/errors.md || { echo "the document is out of date: run 'just openapi' and commit it" >&2; exit 1; }

# Try generated requests, right and wrong, on the API and compare its answers with openapi/api.json
spec-check: build (setup "py")
    scripts/schemathesis.sh

# Requests per second and latencies of initiate, on SQLite and PostgreSQL
bench *args: (setup "base" "services")
    scripts/services.sh run -- scripts/bench.sh "$@"

# Long proofs: races and kill -9 on both databases; `--short` for fewer rounds
proof *args: (setup "base" "services")
    scripts/services.sh run -- scripts/proof.sh "$@"

# Import the sample and walk through a first consultation
demo *args: (setup "base")
    cargo run --quiet --bin zhaoguan-api -- demo "$@"

# What must pass before pushing
ci: lint openapi-check spec-check console-test (test-pg "--profile" "ci")
