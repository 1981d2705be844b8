#!/usr/bin/env bash
# What calls need and workers have, shares, delays, deadlines, and calls that go back.
. "$(dirname "$0")/lib.sh"

map() { "$MP" map --broker "$url" "$@"; }
now_ms() { date +%s%3N; }

start_broker

# Needs are matched, and refused with the place of a mistake.
status 78 "$MP_WORKER_BIN" --broker "$url" --allow-exec --have 'gpu=1,zone='
says err 'position 12'
start_worker gpu --procs 4 --allow-exec --have gpu=1,zone=a
gpu=$worker
start_worker plain --procs 2 --allow-exec --have zone=b
status 2 map --needs 'gpu=1 zone=a' -- echo <<<x
says err 'position 7'
status 3 map --needs gpu=2 -- echo <<<x
says err 'no worker that offers .* has gpu=2'
status 0 map --needs zone=b -- sh -c 'echo $PPID' <<<x
[ "$(ps -o ppid= -p "$(ps -o ppid= -p "$(cat out)" | tr -d ' ')" | tr -d ' ')" = "$worker" ] ||
    fail 'a call ran where its needs are not met'

# A capacity is used up: two calls with the one gpu are never there at once.
seq 6 | status 0 map --needs gpu=1 -- sh -c \
    "mkdir $work/gpu.lock || exit 1; sleep 0.05; rmdir $work/gpu.lock"

# Here as well: what the workers of this machine have is an option.
local_map() { "$MP" map --broker local -j 3 "$@"; }
seq 6 | status 0 local_map --have gpu=1,zone=a --needs gpu=1 -- sh -c \
    "mkdir $work/gpu.lock || exit 1; sleep 0.05; rmdir $work/gpu.lock"
seq 100 | status 3 local_map --have gpu=1 --needs gpu=2 -- echo
says err '^mp: gpu=2: that is needed, and no local worker has it; --have'
[ "$(grep -c gpu=2 err)" = 1 ] || fail 'it was said more than once'
status 3 local_map --needs gpu=1 -- echo <<<x
says err '--have'
status 2 local_map --have gpu= -- echo <<<x
says err 'position 5'
status 2 map --have gpu=1 -- echo <<<x
says err '--have is for local workers'

# A call that is delayed, and one whose deadline passes: queued, or running.
before=$(now_ms)
status 0 map --delay-ms 300 -- echo <<<late
[ $(($(now_ms) - before)) -ge 300 ] || fail 'it was not delayed'
before=$(now_ms)
status 1 map --deadline-ms 300 -- sh -c "sleep 60" <<<x
says err 'deadline'
[ $(($(now_ms) - before)) -lt 15000 ] || fail 'it was not stopped'
"$MP" map --broker "$url" --needs gpu=1 -- sh -c "touch $work/held; sleep 60" <<<x 2>holder.err &
holder=$!
started+=("$holder")
wait_for test -e held
status 1 map --needs gpu=1 --deadline-ms 200 -- echo <<<x
says err 'its deadline passed'
kill "$holder"
wait_for gone "$holder"

# A client with a long job doesn't keep one with a short job from its share.
seq 2000 >lines
"$MP" map --broker "$url" --chunk 1 -- sh -c 'sleep 0.05; echo {}' <lines >long.out 2>long.err &
long=$!
started+=("$long")
wait_for test -s long.out
status 0 map -- echo <<<short
says out short
alive "$long" || fail 'the long job was over: nothing was shown'
kill "$long"
wait_for gone "$long"

# A worker that drains gives back what it has not begun; nothing is lost or charged.
"$MP" map --broker "$url" --chunk 1 -- sh -c 'sleep 0.01; echo {}' < <(seq 600) >drained \
    2>drained.err &
job=$!
started+=("$job")
wait_for test -s drained
kill "$gpu"
exits $gpu 0
exits $job 0
seq 600 >wanted
same drained wanted
