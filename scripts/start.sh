#!/bin/sh
# Starts the daemon of this folder in the foreground, built first where it is not: scripts/start.sh [options of `start`]
set -eu

cd "$(dirname "$0")/.."
[ -f dist/main.js ] || npm run -s build
exec node dist/main.js start "$@"
