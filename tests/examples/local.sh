#!/usr/bin/env bash
# The programs of docs/examples/local: compiled as C11 with warnings as errors, run, and what
# they print compared with what they say that they print.
set -euo pipefail

work=$(mktemp -d /tmp/mp-local-XXXXXX)
started=()
finish() {
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
unset MP_BROKER
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

# What is drawn elsewhere is the same picture.
export MP_BROKER="ipc://$work/broker"
"$MP_BROKER_BIN" --listen "$MP_BROKER" >broker.out 2>broker.err &
started+=($!)
./mandelbrot --mp-worker "$MP_BROKER" >worker.out 2>worker.err &
started+=($!)
timeout 60 ./mandelbrot far.ppm >mandelbrot.far || { echo "FAIL: over a broker" && exit 1; }
MP_BROKER=local ./mandelbrot near.ppm >/dev/null
cmp near.ppm far.ppm && diff mandelbrot.expected mandelbrot.far
[ "$(head -c 14 far.ppm)" = "$(printf 'P6\n640 480\n255')" ] || { echo "FAIL: no PPM" && exit 1; }
echo "$count programs"
