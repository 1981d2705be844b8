#!/usr/bin/env bash
# The programs of the README, of the manual pages and of docs/examples: compiled as C11 with
# warnings as errors, run with local workers, and over a broker where each is its own worker.
set -euo pipefail

work=$(mktemp -d /tmp/mp-examples-XXXXXX)
started=()
unset MP_BROKER

finish() {
    local pid
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

# wait_for COMMAND...: until it succeeds, 20 s at most.
wait_for() {
    local deadline=$((SECONDS + 20))
    until "$@"; do
        [ $SECONDS -lt $deadline ] || fail "waited in vain for: $*"
        sleep 0.02
    done
}

# -- what is written where
# blocks FILE PREFIX: each C program in a Markdown file as PREFIX1.c, PREFIX2.c, ...
blocks() {
    awk -v prefix="$2" '
        /^```c$/ { inside = 1; text = ""; next }
        /^```$/ && inside {
            inside = 0
            if (text ~ /int main\(/) printf "%s", text > (prefix (++n) ".c")
        }
        inside { text = text $0 "\n" }' "$1"
}
cd "$work"
cp "$MP_SOURCE"/docs/examples/square.c docs-square.c
blocks "$MP_SOURCE/README.md" readme-
sed -n '/^\.Bd -literal$/,/^\.Ed$/{/^\./d;s/\\e/\\/g;p}' "$MP_SOURCE/docs/man/libmp.7" >man-square.c
cmp docs-square.c man-square.c || fail "libmp(7) and docs/examples/square.c differ"
[ -s readme-1.c ] || fail "the README has no program"
[ "$(wc -l <docs-square.c)" -le 20 ] || fail "square.c has become long"

# -- a broker for all of them
"$MP_BUILD/broker/mp-broker" --listen 'tcp://127.0.0.1:*' >ready 2>broker.log &
started+=($!)
wait_for grep -q '^ready ' ready
url=$(sed -n 's/^ready //p' ready)

# executors N: the broker has so many.
executors() { "$MP_BUILD/cli/mp" ping --broker "$url" | grep -q "($1 executor"; }

count=0
for source in *.c; do
    program=./${source%.c}
    "$CC" -std=c11 -Wall -Wextra -Werror "$source" -o "$program" \
        -I "$MP_SOURCE/libmp/include" -I "$MP_BUILD/libmp/include" \
        -L "$MP_BUILD/libmp" "-Wl,-rpath,$MP_BUILD/libmp" -lmp
    if ! grep -q MP_MAIN "$source"; then # it can't be a worker: it says what it prints
        expected=$(sed -n 's|.*printf("%d\\n".*/\* \(.*\) \*/$|\1|p' "$source")
        [ -n "$expected" ] || fail "$source doesn't say what it prints"
        [ "$($program)" = "$expected" ] || fail "$source, which should print $expected"
        continue
    fi
    squares="0 1 4 9 16 25 36 49 64 81"
    [ "$($program | sed 's/ *$//')" = "$squares" ] || fail "$source, with local workers"

    "$program" --mp-worker "$url" --mp-procs 2 &
    worker=$!
    started+=("$worker")
    wait_for executors 2
    [ "$(MP_BROKER=$url $program | sed 's/ *$//')" = "$squares" ] || fail "$source, over a broker"
    kill "$worker"
    wait "$worker" || fail "$source as a worker ends with $?"
    wait_for executors 0
    count=$((count + 1))
done

# -- and without a broker, after the 10 s that a pool looks for it
if MP_BROKER=tcp://127.0.0.1:1 timeout 30 ./docs-square 2>err; then
    fail "square.c does not notice that there is no broker"
fi
grep -q '127.0.0.1:1' err || fail "square.c does not say what is wrong: $(cat err)"
echo "$count programs compiled and run, each in two places"
