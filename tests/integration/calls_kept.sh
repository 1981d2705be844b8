#!/usr/bin/env bash
# A broker with a data directory is killed, again and again: what it had acknowledged is there
# afterwards, each call ends once, and none is charged for it. ROUNDS=60 for a long run.
. "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-4}
find /usr/include -type f ! -name '* *' | LC_ALL=C sort | sed -n 1,4000p >files
ok "$MP" map --load "$MP_FILESUM" --task filesum <files >wanted

# kill_broker: and wait until it is gone.
kill_broker() {
    kill -9 "$broker"
    wait "$broker" 2>/dev/null || true
}

# restart_broker [OPTION]...: at the same address.
generation=0
restart_broker() {
    generation=$((generation + 1))
    background "broker$generation" "$MP_BROKER_BIN" --listen "$url" --data data "$@"
    broker=$pid
    wait_for grep -q '^ready ' "broker$generation.out"
}

# a_moment: up to 0.3 s, by chance: when the broker is killed must not be under anybody's control.
a_moment() { sleep "0.$(printf %03d $((RANDOM % 300)))"; }

# pinged PATTERN: what the broker says of itself.
pinged() { "$MP" ping --broker "$url" 2>/dev/null | grep -q -e "$1"; }

start_broker --data data
start_worker one --procs 2 --load "$MP_FILESUM" --allow-exec
start_worker two --procs 2 --load "$MP_FILESUM"

# -- a map of some thousand calls, in the midst of which the broker dies several times
for ((round = 1; round <= rounds; round++)); do
    "$MP" map --broker "$url" --task filesum --retries 0 --joblog log <files >result 2>result.err &
    map=$!
    for kills in 1 2 3; do
        a_moment
        kill_broker
        a_moment
        restart_broker
        alive $map || break
    done
    exits $map 0
    same result wanted
    [ "$(wc -l <log)" = $(($(wc -l <files) + 1)) ] || fail "the log has $(wc -l <log) lines"
    rm -f "broker$((generation - 3)).out" "broker$((generation - 3)).err" log
    wait_for pinged ' 0 queued, 0 running'
done
