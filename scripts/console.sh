#!/usr/bin/env bash
# Builds the web console into console/dist, from where the server takes it.
#
#   scripts/console.sh            types and build, whatever is there
#   scripts/console.sh --if-stale only when a source has changed since the last build, and without looking at types;
#                                 says so and goes on where there is no Node.js
set -euo pipefail
cd "$(dirname "$0")/../console"

stamp=../target/console.stamp
say() { echo "console: $*" >&2; }

sources() {
    {
        find src public ../clients/ts/src -type f ! -name schema.d.ts -print0
        printf '%s\0' index.html package-lock.json vite.config.ts tsconfig.json ../openapi/api.json
    } | sort -z | xargs -0 sha256sum | sha256sum
}

if [ "${1:-}" = --if-stale ]; then
    if [ -f dist/index.html ] && [ "$(sources)" = "$(cat "$stamp" 2>/dev/null)" ]; then exit 0; fi
    if ! command -v npm >/dev/null; then
        say "Node.js is missing: /console stays as it is"
        exit 0
    fi
fi
# What is installed is exactly what the lock file names.
if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    say "installing packages"
    npm ci --no-audit --no-fund --loglevel=error
    touch node_modules/.package-lock.json
fi
say "building"
npm run --silent api >/dev/null
[ "${1:-}" = --if-stale ] || npm run --silent check
npx vite build --logLevel warn
mkdir -p "$(dirname "$stamp")"
sources >"$stamp"
