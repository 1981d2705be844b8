#!/usr/bin/env bash
# A broker with a data directory is killed, again and again: what it had acknowledged is there
# afterwards, each call ends once, and none is charged for it. ROUNDS=60 for a long run.
# What a killed process has written is in the page cache, wherever the files are: where there is
# a file system in memory, nobody has to wait for a disk.
[ -w /dev/shm ] && export TMPDIR=${TMPDIR:-/dev/shm}
. "$(dirname "$0")/lib.sh"

rounds=${ROUNDS:-2}
patient=(--connect-timeout-ms 60000) # a broker takes its time to start on a busy machine
find /usr/include -type f ! -name '* *' | LC_ALL=C sort | sed -n 1,3000p >files
ok "$MP" map --load "$MP_FILESUM" --task filesum <files >wanted

# kill_broker: and wait until it is gone.
kill_broker() {
    [ ! -e begun ] || cp begun early
    kill -9 "$broker"
    wait "$broker" 2>/dev/null || true
}

# restart_broker [OPTION]...: at the same address.
generation=0
restart_broker() {
    generation=$((generation + 1))
    touch "broker$generation.out"
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
    "$MP" map --broker "$url" "${patient[@]}" --task filesum --retries 0 --joblog log <files >result 2>result.err &
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

# -- gates: calls that write down that they have run, once a file is there
cat >gate.sh <<'END'
#!/bin/sh
echo "$1" >>begun
until [ -e gate ]; do sleep 0.02; done
echo "$1" >>ran
echo "$1"
END
chmod +x gate.sh
seq 40 >numbers

# gated NAME [OPTION]...: a map of such calls in the background, of which some are queued; sets map
gated() {
    local name=$1
    shift
    rm -f gate begun ran
    "$MP" map --broker "$url" "${patient[@]}" --chunk 1 "$@" -- "$work/gate.sh" {} <numbers >"$name" 2>"$name.err" &
    map=$!
    started+=("$map")
    wait_for test -s begun
    wait_for pinged "[1-9][0-9]* queued, [1-9][0-9]* running"
}

nobody_at_gate() { ! pgrep -f "$work/gate.sh" >/dev/null; }
has_run() { [ -e ran ] && [ "$(sort -u ran | wc -l)" -ge "$1" ]; }

# nothing_ran_twice NAME CALLS: but for those that had begun when the broker went (`early`): their old
# executors are stopped in steps, and may still get through an open gate.
nothing_ran_twice() {
    checks=$((checks + 1))
    sort ran | uniq -d | grep -vxFf early && fail "$1: some calls have run twice"
    [ "$(sort -u ran | wc -l)" = "$2" ] || fail "$1: $(sort -u ran | wc -l) calls have run, not $2"
}

# -- acknowledged, then killed: they are run though their client does nothing
gated submitted --retries 0
kill -STOP $map
sleep 0.3 # what it had sent is on the disk
submitted=$("$MP" ping --broker "$url" | sed -n 's/.* \([0-9]*\) queued, \([0-9]*\) running.*/\1+\2/p')
kill_broker
restart_broker
touch gate
wait_for has_run $((submitted))
wait_for pinged ' 0 queued, 0 running'
nothing_ran_twice submitted $((submitted))

# -- their results lie there, also for the next broker; the client finds them
cp early submitted.early
kill_broker
cp submitted.early early
restart_broker
wait_for pinged '2 workers'
sleep 0.2
nothing_ran_twice waiting $((submitted))
kill -CONT $map
exits $map 0
same submitted numbers
nothing_ran_twice results 40

# -- a client that gives up while there is no broker: the next one is told, or has waited long enough
gated interrupted
kill_broker
kill -INT $map
sleep 0.1
restart_broker --session-ms 1000
wait_for pinged ' 0 queued, 0 running'
ends $map
wait $map || true
wait_for nobody_at_gate # those that were to be told first, and killed then
touch gate
[ ! -e ran ] || fail "what was cancelled has run"

# -- a client that is killed: its calls wait for it, and go
gated killed
kill_broker
restart_broker --session-ms 1000
wait_for pinged '[1-9][0-9]* queued, [1-9][0-9]* running'
kill -9 $map
wait $map 2>/dev/null || true
wait_for pinged ' 0 queued, 0 running'
kill_broker
restart_broker
wait_for pinged '2 workers'
ok pinged ' 0 queued, 0 running'
! grep -q sessions_loaded "broker$generation.err" || fail "an ended session was loaded"

# -- a broker that is only silent for a while: the same session, by another connection
gated silent --retries 1 # its workers have given it up too
kill -STOP "$broker"
sleep 3.5 # longer than six heartbeats
kill -CONT "$broker"
wait_for grep -q session_resumed "broker$generation.err"
wait_for pinged '2 workers'
touch gate
exits $map 0
same silent numbers

# -- a broker that is told to stop, at once
gated stopped
kill -TERM "$broker"
kill -TERM "$broker"
cp begun early
exits "$broker" 0
restart_broker
touch gate
exits $map 0
same stopped numbers
nothing_ran_twice stopped 40

# -- the next broker has no data: as it is without any, the calls are lost
gated moved
kill_broker
background memory "$MP_BROKER_BIN" --listen "$url"
broker=$pid
touch gate
exits $map 1
says moved.err 'broker'
kill_broker

# -- a disk without room refuses calls; what is there goes on, and so does the broker
ulimit -S -f 1024
generation=$((generation + 1))
background full "$MP_BROKER_BIN" --listen "$url" --data small
broker=$pid
ulimit -S -f unlimited
wait_for pinged '2 workers'
# A single line is more than there is room for, however soon others are done.
head -c 20000000 /dev/zero | tr '\0' x | fold -w 1040000 >large
status 1 "$MP" map --broker "$url" --task filesum <large
says err 'disk is full'
says full.err data_refused
wait_for pinged ' 0 queued, 0 running'
# What was refused is deleted in a moment, and then there is room.
has_room() { "$MP" map --broker "$url" --task filesum <files >roomy 2>roomy.err; }
wait_for has_room
same roomy wanted
