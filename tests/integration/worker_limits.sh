#!/usr/bin/env bash
# mp-worker's limits, by way of a broker.
. "$(dirname "$0")/lib.sh"

calls() { "$MP" map --broker "$url" --chunk 1 "$@"; }
start_broker

# -- how long a call may run
start_worker plain --procs 1 --load "$MP_WORK_TASKS"
echo 60000 >lines
status 1 calls --task wt_nap --timeout-ms 200 <lines
says err 'timed out after 200 ms'
echo 1 >lines
status 0 calls --task wt_nap <lines
kill "$worker"
exits "$worker" 0

# -- how many calls an executor runs
start_worker few --procs 1 --load "$MP_WORK_TASKS" --max-calls 2
printf '1\n1\n1\n1\n1\n1\n' >lines
status 0 calls --task wt_nap <lines
[ "$(sort out | uniq -c | awk '{print $1}' | sort -u)" = 2 ] || fail "$(cat out)"
kill "$worker"
exits "$worker" 0

if [ -z "$MP_SANITIZE" ]; then # which needs memory of its own
    # -- what it may have at most
    start_worker capped --procs 1 --load "$MP_WORK_TASKS" --memory-cap 64
    echo 200 >lines
    status 1 calls --task wt_take <lines
    says err 'no memory'
    echo 8 >lines
    status 0 calls --task wt_take <lines
    kill "$worker"
    exits "$worker" 0

    # -- for how much it is killed, in the midst of its call
    start_worker limited --procs 1 --load "$MP_WORK_TASKS" --memory-limit 64
    echo 96 >lines
    status 1 calls --task wt_hold <lines
    says err 'over its limit of 64.0 MiB'
    status 0 "$MP" stat --broker "$url" --json
    says out '"executors_memory": *1'
    echo 8 >lines
    status 0 calls --task wt_take <lines
    kill "$worker"
    exits "$worker" 0

    # -- with how much it is replaced
    start_worker grows --procs 1 --load "$MP_WORK_TASKS" --max-memory 32
    printf '48\n1\n1\n' >lines
    status 0 calls --task wt_take <lines
    [ "$(sed -n 1p out)" != "$(sed -n 2p out)" ] || fail "it was not replaced: $(cat out)"
    [ "$(sed -n 2p out)" = "$(sed -n 3p out)" ] || fail "it was replaced for nothing: $(cat out)"
    kill "$worker"
    exits "$worker" 0
fi

# -- any command: only where that is allowed
start_worker last --procs 1 --load "$MP_WORK_TASKS"
echo x >lines
status 3 calls -- echo <lines
says err 'start mp-worker with --allow-exec'
