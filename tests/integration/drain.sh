#!/usr/bin/env bash
# A worker that is told to end: by SIGTERM, by mp drain; its deadline; outages; programs as workers.
. "$(dirname "$0")/lib.sh"

# nap MS...: a call each, one by one; results are pids.
nap() {
    printf '%s\n' "$@" | "$MP" map --broker "$url" --task wt_nap --chunk 1 --unordered --timeout-ms 60000
}
running() { "$MP" ping --broker "$url" --json | grep -q "\"calls_running\":$1,"; }
workers() { "$MP" ping --broker "$url" --json | grep -q "\"workers\":$1,"; }

export WORK_GATE=$work/gate
start_broker

# -- what has not begun is given back, also out of a chunk that has, and not as an attempt; also what
# the executor would have been too old for
start_worker first --procs 1 --max-calls 4 --load "$MP_WORK_TASKS" --name first
first=$worker
MP_BROKER=$url "$MP_REST_MAP" -- -1 1 1 1 1 1 1 1 >pids 2>map.err &
map=$!
wait_for running 8
start_worker second --procs 1 --load "$MP_WORK_TASKS" --name second
second=$worker
kill "$first"
wait_for grep -q draining first.err
wait_for grep -q event=worker_drains broker.err
touch gate
exits "$first" 0
exits $map 0
[ "$(wc -l <pids)" = 8 ] || fail "calls were lost: $(cat map.err)"
[ "$(sed -n 1p pids)" != "$(sed -n 2p pids)" ] || fail "the first worker ran what it had not begun"
[ "$(sed -n 2,8p pids | sort -u | wc -l)" = 1 ] || fail "the rest of the chunk was not given to the other"

# -- mp drain, by name
status 1 "$MP" drain --broker "$url" nobody
says err "no worker is called 'nobody'; there are: second"
status 2 "$MP" drain --broker "$url"
rm gate
MP_BROKER=$url "$MP_REST_MAP" -- -1 >pids 2>map.err &
map=$!
wait_for running 1
status 0 "$MP" drain --broker "$url" second
says out 'second: told 1 worker'
wait_for grep -q draining second.err
touch gate
exits "$second" 0
exits $map 0

# -- the deadline: what still runs is stopped, and ends so; with retries it goes on elsewhere
start_worker third --procs 1 --load "$MP_WORK_TASKS" --drain-ms 300 --name third
third=$worker
rm gate
MP_BROKER=$url "$MP_REST_MAP" -- -1 1 1 1 >pids 2>map.err &
map=$!
wait_for running 4
start_worker fourth --procs 1 --load "$MP_WORK_TASKS"
fourth=$worker
kill "$third"
exits "$third" 0
exits $map 1
[ "$(sed -n 1p pids)" = -43 ] || fail "what ran did not end for the drain: $(cat pids)"
[ "$(grep -vc '^-' pids)" = 3 ] || fail "what did not run is: $(cat pids)"
kill "$fourth"
exits "$fourth" 0
says map.err 'waited 300 ms for it'
says third.err 'what still runs is stopped'

# -- two programs as workers of their own, one of them leaves in the middle
background mine "$MP_SQUARE" --mp-worker "$url" --mp-procs 1
mine=$pid
wait_for workers 1
MP_BROKER="$url" "$MP_SQUARE" >squares
says squares '81'
kill "$mine"
exits "$mine" 0

# -- workers join and leave while a job goes on
seq 300 | sed 's/.*/10/' | "$MP" map --broker "$url" --task wt_nap --chunk 2 >pids 2>map.err &
map=$!
for round in 1 2 3; do
    start_worker "round$round" --procs 2 --load "$MP_WORK_TASKS"
    last=$worker
    if [ "$round" != 3 ]; then
        kill "$last"
        exits "$last" 0
    fi
done
exits $map 0
[ "$(wc -l <pids)" = 300 ] || fail "calls were lost: $(cat map.err)"

# -- an outage is one line, however long; and then it is back
kill -9 "$broker"
wait "$broker" 2>/dev/null || true
wait_for grep -q 'lost the broker' round3.err
sleep 2 # some attempts
background again "$MP_BROKER_BIN" --listen "$url"
again=$pid
wait_for workers 1
[ "$(grep -c 'lost the broker' round3.err)" = 1 ] || fail "it said it more than once"
[ "$(wc -l <round3.err)" -le 5 ] || fail "it talks too much: $(cat round3.err)"
nap 1 >pids
kill "$last"
exits "$last" 0

# -- a broker that drains says so, and what it waits for, until it ends; new jobs are refused at once
kill "$again"
exits "$again" 0
rm -f gate broker.out
start_broker
start_worker fifth --procs 1 --load "$MP_WORK_TASKS" --name fifth
fifth=$worker
MP_BROKER=$url "$MP_REST_MAP" -- -1 >pids 2>map.err &
map=$!
wait_for running 1
kill "$broker"
wait_for grep -q event=draining broker.err
status 0 "$MP" ping --broker "$url"
says out ', draining: waits for 1 open job, [0-9.]* s more at most$'
status 0 "$MP" ping --broker "$url" --json
says out '"draining":true,"open_jobs":1,"drain_ms":[1-9]'
status 0 "$MP" stat --broker "$url"
says out ', draining, up '
says out '^draining: waits for 1 open job, [0-9.]* s more at most$'
status 0 "$MP" stat --broker "$url" --json
job=$(python3 -c 'import json; job = json.load(open("out"))["jobs"][0]; print(job["client"], job["id"], sep="/")')
status 0 "$MP" why --broker "$url" "$job" # who asked before may be client 1
says out ' 1 call\|running$\|given$'
status 1 timeout $((slower * 60)) "$MP" why --broker "$url" --timeout-ms 600000 nobody
says err 'the broker is shutting down'
status 3 timeout $((slower * 60)) "$MP" map --broker "$url" --task wt_nap <<<1
says err 'the broker is shutting down'
touch gate
exits $map 0
exits "$broker" 0
kill "$fifth"
exits "$fifth" 0

# -- no broker: says so once, and gives up when it is told to
status 69 "$MP_WORKER_BIN" --broker "ipc://$work/nobody" --load "$MP_WORK_TASKS" --procs 1 --give-up-ms $((slower * 2000))
[ "$(grep -c 'no broker yet' err)" = 1 ] || fail "$(cat err)"
