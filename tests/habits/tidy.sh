#!/usr/bin/env bash
# clang-tidy has nothing to say about what we ship. MP_BUILD has compile_commands.json.
# shellcheck source=tests/habits/lib.sh
. "$MP_SOURCE/tests/habits/lib.sh"
need clang-tidy run-clang-tidy
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Others run meanwhile, and go first.
if ! nice -n 19 run-clang-tidy -quiet -j "$(nproc)" -p "$MP_BUILD" \
    "^$MP_SOURCE/(libmp|broker|worker|cli|docs)/.*\.c$" >"$log" 2>&1; then
    grep -A6 -E '(error|warning):' "$log" || cat "$log"
    exit 1
fi
