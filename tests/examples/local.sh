#!/usr/bin/env bash
# The programs of docs/examples/local: compiled as C11 with warnings as errors, run, and what
# they print compared with what they say that they print.
set -euo pipefail

work=$(mktemp -d /tmp/mp-local-XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work"
count=0
for source in "$MP_SOURCE"/docs/examples/local/*.c; do
    name=$(basename "$source" .c)
    "$CC" -std=c11 -Wall -Wextra -Werror "$source" -o "$name" \
        -I "$MP_SOURCE/libmp/include" -I "$MP_BUILD/libmp/include" \
        -L "$MP_BUILD/libmp" "-Wl,-rpath,$MP_BUILD/libmp" -lmp
    sed -n '/^\/\* prints/,/^\*\//{/^\/\* prints/d;/^\*\//d;p}' "$source" >"$name.expected"
    [ -s "$name.expected" ] || { echo "FAIL: $name.c says nothing of what it prints" && exit 1; }
    timeout 60 "./$name" >"$name.out" || { echo "FAIL: $name ended with $?" && exit 1; }
    if grep -q '^/\* prints, in any order' "$source"; then
        sort -o "$name.out" "$name.out"
    fi
    diff "$name.expected" "$name.out" || { echo "FAIL: $name" && exit 1; }
    count=$((count + 1))
done
echo "$count programs"
