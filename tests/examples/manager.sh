#!/usr/bin/env bash
# The programs of docs/examples/manager: compiled as C11 with warnings as errors, and run: with a
# manager of their own, and with a broker's objects over ipc and tcp. What they print is what they
# say that they print.
set -euo pipefail

work=$(mktemp -d /tmp/mp-manager-XXXXXX)
broker=
finish() {
    [ -z "$broker" ] || kill "$broker" 2>/dev/null || true
    [ -z "$broker" ] || wait "$broker" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
unset MP_BROKER
cd "$work"
count=0

# same NAME PROGRAM [ADDRESS]: it prints what it says.
same() {
    local name=$1
    shift
    timeout 60 "$@" >"$name.out" || { echo "FAIL: $* ended with $?" && exit 1; }
    if grep -q '^/\* prints, in any order' "$MP_SOURCE/docs/examples/manager/$name.c"; then
        sort -o "$name.out" "$name.out"
    fi
    diff "$name.expected" "$name.out" || { echo "FAIL: $*" && exit 1; }
    count=$((count + 1))
}

for source in "$MP_SOURCE"/docs/examples/manager/*.c; do
    name=$(basename "$source" .c)
    "$CC" -std=c11 -Wall -Wextra -Werror "$source" -o "$name" \
        -I "$MP_SOURCE/libmp/include" -I "$MP_BUILD/libmp/include" \
        -L "$MP_BUILD/libmp" "-Wl,-rpath,$MP_BUILD/libmp" -lmp
    sed -n '/^\/\* prints/,/^\*\//{/^\/\* prints/d;/^\*\//d;p}' "$source" >"$name.expected"
    [ -s "$name.expected" ] || { echo "FAIL: $name.c says nothing of what it prints" && exit 1; }
    same "$name" "./$name"
done

# The broker learns the type of custom.c from a module.
"$CC" -std=c11 -shared -fPIC "$MP_SOURCE/docs/examples/manager/custom.c" -o custom.so \
    -I "$MP_SOURCE/libmp/include" -I "$MP_BUILD/libmp/include" \
    -L "$MP_BUILD/libmp" "-Wl,-rpath,$MP_BUILD/libmp" -lmp
"$MP_BROKER_BIN" --listen "ipc://$work/broker" --listen 'tcp://127.0.0.1:*' \
    --types "$work/custom.so" >broker.out 2>broker.err &
broker=$!
until grep -q '^ready tcp' broker.out; do
    kill -0 "$broker" || { echo "FAIL: the broker ended: $(cat broker.err)" && exit 1; }
    sleep 0.02
done
for address in $(sed -n 's/^ready //p' broker.out); do
    for source in "$MP_SOURCE"/docs/examples/manager/*.c; do
        name=$(basename "$source" .c)
        same "$name" "./$name" "$address"
    done
done

# What a method of the module says arrives, though the module has another copy of the library.
cat >said.c <<'EOF'
#include <mp/mp.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    mp_manager_t *manager = NULL;
    mp_object_t *mean = NULL;
    mp_object_options_t options = {.custom = "mean"};
    if (argc < 2 || mp_manager_connect(argv[1], NULL, 0, 10000, &manager) ||
        mp_manager_object(manager, MP_OBJECT_CUSTOM, &options, &mean) ||
        mp_object_call(mean, "add", MP_V("x"), NULL, -1) != MP_EINVAL)
        return 1;
    puts(mp_errmsg());
    mp_object_destroy(&mean);
    mp_manager_destroy(&manager);
    return 0;
}
EOF
"$CC" -std=c11 -Wall -Wextra -Werror said.c -o said \
    -I "$MP_SOURCE/libmp/include" -I "$MP_BUILD/libmp/include" \
    -L "$MP_BUILD/libmp" "-Wl,-rpath,$MP_BUILD/libmp" -lmp
for address in $(sed -n 's/^ready //p' broker.out); do
    timeout 60 ./said "$address" >said.out || { echo "FAIL: said ended with $?" && exit 1; }
    grep -q '^add: a str is no number' said.out || { echo "FAIL: $(cat said.out)" && exit 1; }
done
echo "$count runs"
