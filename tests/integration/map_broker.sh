#!/usr/bin/env bash
# mp map over a broker: the same lines, the same results; and what is refused.
. "$(dirname "$0")/lib.sh"

start_broker
status 0 "$MP" ping --broker "$url"
says out '0 workers'
status 0 env MP_BROKER="$url" "$MP" ping --json
says out '"workers":0'
status 1 "$MP" ping --broker tcp://127.0.0.1:1 --timeout-ms 200
says err 'mp-broker'
status 2 "$MP" ping --broker nonsense
status 2 "$MP" ping --nope

find /usr/include -type f ! -name '* *' | LC_ALL=C sort | sed -n 1,2000p >files
ok "$MP" map --broker local --load "$MP_FILESUM" --task filesum <files >local

# Calls wait for a first worker.
background early "$MP" map --broker "$url" --task filesum
wait "$pid"
"$MP" map --broker "$url" --task filesum <files >early 2>early.err &
early=$!
start_worker one --procs 1 --load "$MP_FILESUM"
exits $early 0
same early local

start_worker two --procs 2 --load "$MP_FILESUM"
status 0 "$MP" ping --broker "$url"
says out '2 workers (3 executors)'
ok "$MP" map --broker "$url" --task filesum <files >remote
same remote local
ok env MP_BROKER="$url" "$MP" map --task filesum --load /ignored.so <files >remote
same remote local
ok "$MP" map --broker "$url" --task filesum --unordered <files >remote
sort remote >remote.sorted
sort local >local.sorted
same remote.sorted local.sorted
status 1 "$MP" map --broker "$url" --task filesum < <(echo /nowhere)
says err 'No such file'

# Commands only where a worker permits them.
status 3 "$MP" map --broker "$url" -- echo <<<1
says err '--allow-exec'
status 3 "$MP" map --broker "$url" --task missing <<<1
says err "offers a task 'missing'"
start_worker three --procs 2 --load "$MP_FILESUM" --allow-exec
seq 300 >numbers
ok "$MP" map --broker "$url" -- echo <numbers >got
same got numbers
status 1 "$MP" map --broker "$url" --timeout-ms 150 -- sleep < <(printf '0\n20\n')
says err 'line 2: "20": timed out after 150 ms'

# The README's program, and itself as a worker.
ok "$MP_SQUARE" >wanted
status 1 env MP_BROKER="$url" "$MP_SQUARE"
says err "offers a task 'square'"
background self "$MP_SQUARE" --mp-worker "$url" --mp-procs 2 --mp-max-calls 1
wait_for bash -c "'$MP' ping --broker '$url' | grep -q '4 workers'"
says self.out "^ready $url\$"
says self.err "square: connected to $url"
ok env MP_BROKER="$url" "$MP_SQUARE" >got
same got wanted
status 0 "$MP" stat --broker "$url" --json
says out '"executors_retired": *[1-9]'
background nowhere "$MP_SQUARE" --mp-worker tcp://127.0.0.1:1 --mp-procs 1
wait_for grep -q 'square: no broker yet, and it goes on trying: tcp://127.0.0.1:1: nobody' nowhere.err
[ ! -s nowhere.out ] || fail "ready without a broker"
kill "$pid"
exits "$pid" 0
status 64 "$MP_SQUARE" --mp-worker
status 64 "$MP_SQUARE" --mp-worker "$url" --mp-procs x
status 64 "$MP_SQUARE" --mp-worker "$url" --mp-max-calls -1
