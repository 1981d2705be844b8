#!/usr/bin/env bash
# mp-broker and mp-worker: options, settings, signals, exit statuses.
. "$(dirname "$0")/lib.sh"

for daemon in "$MP_BROKER_BIN" "$MP_WORKER_BIN"; do
    status 0 "$daemon" --help
    says out '--check-config'
    says out 'or \$MP_LOG_LEVEL; default: info'
    status 0 "$daemon" --version
    says out '(libmp) [0-9]'
    status 64 "$daemon" --nope
    says err '--nope'
    status 64 "$daemon" argument
    status 64 "$daemon" --config
    status 78 "$daemon" --config /nowhere
    says err '/nowhere'
    status 78 "$daemon" --log-level loud --check-config
    status 0 "$daemon" --check-config
    says out '# default'
done

# -- a flag beats the environment, which beats the file, which beats the default
printf 'max-peers = 10\ndrain-ms = 20\nlisten = ipc://%s/a,ipc://%s/b\n' "$work" "$work" >conf
status 0 env MP_DRAIN_MS=30 "$MP_BROKER_BIN" --config conf --max-peers 40 --check-config
says out 'max-peers = 40  # flag'
says out 'drain-ms = 30  # environment'
says out "listen = ipc://$work/a,ipc://$work/b  # file"
says out 'log-level = info  # default'
printf 'max-pears = 10\n' >bad
status 78 "$MP_BROKER_BIN" --config bad --check-config
says err "bad: there is no setting 'max-pears'"
printf 'max-peers = many\n' >bad
status 78 "$MP_BROKER_BIN" --config bad
says err 'many'
for indented in '  max-peers = 10' '    max-peers = 10'; do
    printf '%s\n' "$indented" >bad
    status 78 "$MP_BROKER_BIN" --config bad --check-config
    says err 'bad: .*line 1: it is indented'
done
printf '\nmax-peers: 10\n' >bad
status 78 "$MP_BROKER_BIN" --config bad --check-config
says err 'bad: .*line 2: invalid'
status 78 env MP_MAX_PEERS=0 "$MP_BROKER_BIN" --check-config
says err 'MP_MAX_PEERS'
status 64 "$MP_BROKER_BIN" --max-message 3x
status 0 "$MP_BROKER_BIN" --max-message 3M --check-config

# -- where it may listen
status 78 "$MP_BROKER_BIN" --listen 'tcp://*:5555'
says err 'keys'
status 78 "$MP_BROKER_BIN" --listen tcp://0.0.0.0:0 --check-config
status 78 "$MP_BROKER_BIN" --listen nonsense
background both "$MP_BROKER_BIN" --config conf --listen 'tcp://localhost:*' --listen "ipc://$work/c"
broker=$pid
wait_for grep -q "^ready ipc://$work/c" both.out
says both.out '^ready tcp://127.0.0.1:'
[ "$(grep -c '^ready ' both.out)" = 2 ] || fail "$(cat both.out)"
[ "$(stat -c %a "$work/c")" = 600 ] || fail "the socket is not private"
ok "$MP" ping --broker "ipc://$work/c" >/dev/null
tcp=$(sed -n 's/^ready \(tcp.*\)/\1/p' both.out)
ok "$MP" ping --broker "$tcp" >/dev/null
status 71 "$MP_BROKER_BIN" --listen "ipc://$work/c"
says err 'another process listens there'
status 71 "$MP_BROKER_BIN" --listen "$tcp"
says err 'another process listens there'
touch "$work/plain"
status 71 "$MP_BROKER_BIN" --listen "ipc://$work/plain"
says err 'no socket'
kill -9 "$broker"
wait "$broker" 2>/dev/null || true
background again "$MP_BROKER_BIN" --listen "ipc://$work/c" # a dead owner's path is taken over
broker=$pid
wait_for grep -q '^ready ' again.out
kill "$broker"
exits "$broker" 0
[ ! -e "$work/c" ] && [ ! -e "$work/c.lock" ] || fail "socket files were left"

# -- SIGTERM drains: what is open is finished, nothing new begins
start_broker
start_worker w --procs 2 --allow-exec
seq 4 | "$MP" map --broker "$url" --chunk 1 --shell -- 'sleep 0.7; echo {}' >drained 2>drained.err &
map=$!
wait_for bash -c "'$MP' ping --broker '$url' | grep -qv ' 0 running'"
kill "$broker"
wait_for grep -q event=draining broker.err
exits "$broker" 0
exits $map 0
seq 4 >wanted
same drained wanted

# -- the worker waits for a broker to come back, and drains as well
wait_for grep -q 'lost the broker' w.err
background broker3 "$MP_BROKER_BIN" --listen "$url"
wait_for bash -c "'$MP' ping --broker '$url' --timeout-ms 2000 | grep -q '1 worker '"
seq 4 | "$MP" map --broker "$url" --chunk 1 --shell -- 'sleep 0.7; echo {}' >drained 2>drained.err &
map=$!
wait_for bash -c "'$MP' ping --broker '$url' | grep -qv ' 0 running'"
first=$worker
start_worker second --procs 1 --allow-exec
second=$worker
kill "$first"
exits "$first" 0
exits $map 0
same drained wanted

# -- a second SIGTERM ends at once
kill "$second"
exits "$second" 0
start_worker stubborn --procs 1 --allow-exec
echo 60 | "$MP" map --broker "$url" -- sleep >/dev/null 2>&1 &
map=$!
wait_for bash -c "'$MP' ping --broker '$url' | grep -q ' 1 running'"
kill "$worker"
wait_for grep -q draining stubborn.err
kill "$worker"
exits "$worker" 0
exits $map 1

# -- executors that retire: each pid runs no more calls than it may
start_worker brief --procs 2 --allow-exec --max-calls 5
seq 60 | "$MP" map --broker "$url" --chunk 1 -- sh -c 'echo $PPID' >pids
[ "$(wc -l <pids)" = 60 ] || fail "calls were lost"
[ "$(sort pids | uniq -c | sort -rn | head -n 1 | awk '{print $1}')" -le 5 ] || fail "one ran too many"
kill "$worker"
exits "$worker" 0

# -- what a worker can't do
status 69 "$MP_WORKER_BIN" --broker "$url" --load /nowhere.so
says err '/nowhere.so'
status 69 "$MP_WORKER_BIN" --broker "$url"
says err 'no task to offer'
status 78 "$MP_WORKER_BIN" --broker nonsense --allow-exec
# -- logs: one structured line for each event
says broker.err '^ts=[0-9T:.Z-]* level=info event=worker_joined worker=[^ ]*$'
