#!/usr/bin/env bash
# kill -9 and SIGSTOP of everything, in the middle of a map over thousands of files.
. "$(dirname "$0")/lib.sh"

find /usr/include -type f ! -name '* *' | LC_ALL=C sort | sed -n 1,4000p >files
ok "$MP" map --load "$MP_FILESUM" --task filesum <files >wanted

# run NAME [OPTION]...: mp map in the background; sets map. Waits until results come.
run() {
    local name=$1
    shift
    "$MP" map --broker "$url" --task filesum "$@" <files >"$name" 2>"$name.err" &
    map=$!
    wait_for test -s "$name"
}

# complete NAME: what it printed and what it reported as failed are all lines, each once.
complete() {
    checks=$((checks + 1))
    sort "$1" | uniq -d | grep -q . && fail "$1: a line came twice"
    sed -n 's/^mp: line [0-9]*: "\([^"]*\)".*/\1/p' "$1.err" >failed
    sed 's/^[0-9a-f]*  [0-9]*  [0-9]*  //' "$1" | cat - failed | LC_ALL=C sort >seen
    cmp -s seen files || fail "$1: lines are missing: $(diff seen files | head -n 5)"
    { grep -vxFf "$1" wanted || true; } | wc -l >missing
    [ "$(cat missing)" = "$(wc -l <failed)" ] || fail "$1: a result is wrong"
}

start_broker

# -- an executor: its call, nothing else
start_worker one --procs 2 --load "$MP_FILESUM"
run executor
kill -9 "$(first_child mp-executor "$worker")"
wait $map || true
complete executor
[ "$(wc -l <failed)" -le 1 ] || fail "an executor's death cost $(wc -l <failed) calls"

# -- with a retry it costs nothing
run retried --retries 1
kill -9 "$(first_child mp-executor "$worker")"
exits $map 0
same retried wanted

# -- an mp-worker: the calls that it ran; the rest go to the other one
start_worker two --procs 2 --load "$MP_FILESUM"
victim=$worker
executors=$(children mp-executor "$victim")
run worker
kill -9 "$victim"
wait $map || true
complete worker
[ "$(wc -l <failed)" -le 8 ] || fail "a worker's death cost $(wc -l <failed) calls"
for executor in $executors; do wait_for gone "$executor"; done

# -- an mp-worker that stops answering is given up after six heartbeats
start_worker three --procs 1 --load "$MP_FILESUM"
stopped=$worker
run stopped --retries 2
kill -STOP "$stopped"
exits $map 0
same stopped wanted
kill -CONT "$stopped"
wait_for bash -c "'$MP' ping --broker '$url' | grep -q '2 workers'" # it comes back

# -- the broker: reported as lost, or submitted again; the client finds the new one
run broker
kill -9 "$broker"
wait "$broker" 2>/dev/null || true
background broker2 "$MP_BROKER_BIN" --listen "$url"
broker=$pid
wait $map || true
complete broker
says broker.err 'broker' || [ ! -s failed ]
run broker_retried --retries 3
kill -9 "$broker"
wait "$broker" 2>/dev/null || true
background broker3 "$MP_BROKER_BIN" --listen "$url"
broker=$pid
exits $map 0
same broker_retried wanted

# -- the broker, and none comes back: every line is reported, and it ends
start=$SECONDS
run gone
kill -9 "$broker"
wait "$broker" 2>/dev/null || true
exits $map 1
complete gone
[ $((SECONDS - start)) -lt 40 ] || fail "it took $((SECONDS - start)) s to give up"

# -- the client: its calls are dropped, the workers are free again
background broker4 "$MP_BROKER_BIN" --listen "$url"
broker=$pid
wait_for bash -c "'$MP' ping --broker '$url' | grep -q '2 workers'"
start_worker four --procs 1 --allow-exec
seq 50 | "$MP" map --broker "$url" -- sleep 60 >/dev/null 2>&1 &
map=$!
wait_for bash -c "'$MP' ping --broker '$url' | grep -qv ' 0 running'"
kill -9 $map
wait $map 2>/dev/null || true
wait_for bash -c "'$MP' ping --broker '$url' | grep -q ' 0 queued, 0 running'"
ok "$MP" map --broker "$url" --task filesum <files >after
same after wanted

# -- all of it for a while, as when a host is suspended: nobody takes the others for dead
seq 300 >numbers
"$MP" map --broker "$url" --chunk 1 -- sh -c 'sleep 0.02; echo {}' <numbers >paused 2>paused.err &
map=$!
wait_for test -s paused
kill -STOP $map "$broker" "$worker"
sleep 4
kill -CONT $map "$broker" "$worker"
exits $map 0
same paused numbers
