#!/usr/bin/env bash
# Kept jobs under all that can befall them, by chance, for as long as wanted: not part of ctest.
# Usage: kept_hunt.sh [SECONDS [SEED]], with MP, MP_BROKER_BIN and MP_WORKER_BIN in the environment.
#
# A round submits some jobs, lets something happen, and fetches them. Each call has exactly one
# outcome; what was acknowledged comes; and nothing runs twice unless its worker or broker was killed.
. "$(dirname "$0")/lib.sh"

seconds=${1:-60}
RANDOM=${2:-$((SRANDOM % 32768))}
echo "seed ${2:-by chance}, $seconds s"
lines=12 pause=0 url='' worker=''
chance() { [ $((RANDOM % $1)) = 0 ]; }

cat >call.sh <<'SH'
#!/bin/sh
echo "$1 $2" >>ran
sleep "0.0$3"
echo "result $1 $2"
SH
chmod +x call.sh
seq $lines >numbers

restart_broker() {
    generation=$((generation + 1))
    touch "broker$generation.out"
    background "broker$generation" "$MP_BROKER_BIN" --listen "$url" --data data
    broker=$pid
    wait_for grep -q '^ready ' "broker$generation.out"
}

# replace_worker NUMBER SIGNAL: a killed one, or one that drains.
replace_worker() {
    kill "-$2" "${workers[$1]}"
    generation=$((generation + 1))
    start_worker "worker$generation" --procs 2 --allow-exec
    gone_workers+=("${workers[$1]}")
    workers[$1]=$worker
}

# befall: something happens; `killed` if a call may run twice after it.
befall() {
    case $((RANDOM % 6)) in
    0)
        kill -9 "$broker"
        wait "$broker" 2>/dev/null || true
        restart_broker
        killed=yes
        ;;
    1)
        replace_worker $((RANDOM % 2)) KILL
        killed=yes
        ;;
    2) replace_worker $((RANDOM % 2)) TERM ;;
    3) sleep "0.$((RANDOM % 10))" ;;
    esac
}

submit() { "$MP" map "$@" --retries 9 --no-dead-letters -- ./call.sh "$id" '{}' $pause <numbers; }

# complete FILE...: together they have each result; none has one twice.
complete() {
    local file
    for file in "$@"; do
        [ -z "$(sort "$file" | uniq -d)" ] || fail "$file of $id has results twice: $(sort "$file" | uniq -d)"
    done
    sort -u "$@" >have
    sed "s/^/result $id /" numbers | sort >wanted
    same have wanted
}

fetch_by_one() {
    status 0 "$MP" job fetch "$id"
    complete out
}

# The one that is pushed aside ends badly; what it has acknowledged the other one doesn't get.
fetch_by_two() {
    "$MP" job fetch "$id" >first 2>first.err &
    local other=$!
    "$MP" job fetch "$id" >second 2>second.err || true
    ends $other
    wait $other || true
    "$MP" job fetch "$id" >third 2>third.err || grep -q 'is kept' third.err || fail "$(cat third.err)"
    complete first second third
}

fetch_after_a_kill() {
    "$MP" job fetch "$id" >first 2>first.err &
    local other=$!
    sleep "0.$((RANDOM % 3))"
    kill -9 $other 2>/dev/null || true
    wait $other 2>/dev/null || true
    "$MP" job fetch "$id" >second 2>second.err || grep -q 'is kept' second.err || fail "$(cat second.err)"
    complete first second
}

# By one key: a submitter is killed, and two others come; calls run once, and both have all.
submit_by_key() {
    submit --key "$id" >first 2>first.err &
    local other=$!
    sleep "0.0$((RANDOM % 10))"
    kill -9 $other 2>/dev/null || true
    wait $other 2>/dev/null || true
    submit --key "$id" >first 2>first.err &
    other=$!
    befall
    submit --key "$id" >second 2>second.err || fail "$(cat second.err)"
    exits $other 0
    complete first
    complete second
}

# What is cancelled has an outcome for each call, and no more.
cancelled() {
    submit --detach --id "$id" >/dev/null
    sleep "0.0$((RANDOM % 10))"
    "$MP" job cancel "$id" || fail "$id can't be cancelled"
    "$MP" job fetch --json "$id" >first 2>first.err || true
    [ "$(wc -l <first)" = $lines ] || fail "$(wc -l <first) outcomes of $id, not $lines: $(cat first first.err)"
    [ "$(sort -u first | wc -l)" = $lines ] || fail "an outcome of $id came twice"
}

left() {
    submit --detach --id "$id" >/dev/null || fail "$id can't be submitted"
    befall
    if chance 2; then befall; fi
    case $((RANDOM % 3)) in
    0) fetch_by_one ;;
    1) fetch_by_two ;;
    2) fetch_after_a_kill ;;
    esac
}

generation=0
gone_workers=()
start_broker --data data
export MP_BROKER=$url
for i in 0 1; do
    start_worker "first$i" --procs 2 --allow-exec
    workers[i]=$worker
done

rounds=0 last_kill=0
until [ $SECONDS -ge "$seconds" ]; do
    rounds=$((rounds + 1))
    id=j$rounds killed=no pause=$((RANDOM % 10))
    : >ran
    case $((RANDOM % 5)) in
    0) submit_by_key ;;
    1) cancelled ;;
    *) left ;;
    esac
    if [ $killed = no ]; then
        twice=$(grep "^$id " ran | sort | uniq -d)
        [ -z "$twice" ] || fail "round $rounds: calls ran twice: $twice"
    else
        last_kill=$rounds
    fi
done
for pid in "${gone_workers[@]}"; do ends "$pid"; done
status 0 "$MP" dead list
[ ! -s out ] || fail "dead letters that were not wanted: $(cat out)"
echo "$rounds rounds; the last one with a kill was $last_kill"
