#!/usr/bin/env bash
# What mp-broker and mp-worker tell a service manager: ready when they are, alive while their loop
# turns, stopping when they are told to. listen.py is the manager.
. "$(dirname "$0")/lib.sh"

cat >listen.py <<'END'
import socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1].replace("@", "\0"))
print("bound", flush=True)
while True:
    print(manager.recv(4096).decode().replace("\n", " "), flush=True)
END

# manage NAME SOCKET
manage() {
    background "$1" python3 listen.py "$2"
    wait_for grep -q '^bound' "$1.out"
}
manage b "$work/socket"
manage w "@mp-test-$$"

# beats FILE N: there were at least so many.
beats() { [ "$(grep -c '^WATCHDOG=1 ' "$1")" -ge "$2" ]; }

# -- a broker is ready when it listens, and beats at half of the watchdog's time
export WATCHDOG_USEC=200000
unset WATCHDOG_PID
NOTIFY_SOCKET="$work/socket" start_broker
wait_for grep -q "^READY=1 STATUS=listening on $url" b.out
wait_for beats b.out 4
says b.out 'WATCHDOG=1 STATUS=0 workers, 0 clients, 0 calls queued, 0 running'

# -- one that is stuck is silent
kill -STOP "$broker"
sleep 0.1
before=$(grep -c ^WATCHDOG b.out)
sleep 0.6 # three times what the watchdog waits
[ "$(grep -c ^WATCHDOG b.out)" -le $((before + 1)) ] || fail "a stopped broker beats"
kill -CONT "$broker"
wait_for beats b.out $((before + 3))

# -- a worker is ready when a broker has let it in, not before
mv broker.out first.out
kill "$broker"
exits "$broker" 0
says b.out '^STOPPING=1 '
NOTIFY_SOCKET="@mp-test-$$" background worker "$MP_WORKER_BIN" --broker "$url" --procs 1 --allow-exec
worker=$pid
wait_for grep -q "STATUS=no broker at $url" w.out
! grep -q READY w.out || fail "ready without a broker"
background broker "$MP_BROKER_BIN" --listen "$url"
broker=$pid
wait_for grep -q '^READY=1 STATUS=serving with 1 of 1 executors' w.out
wait_for beats w.out 4

# -- what it runs knows nothing of the manager
"$MP" map --broker "$url" --shell -- 'echo {} ${NOTIFY_SOCKET:-none} ${WATCHDOG_USEC:-none}' <<<x >seen
says seen '^x none none$'
kill "$worker"
exits "$worker" 0
says w.out '^STOPPING=1 STATUS=finishing 0 calls'
kill "$broker"
exits "$broker" 0

# -- a manager's socket that makes no sense costs a line in the log
NOTIFY_SOCKET=nowhere background odd "$MP_BROKER_BIN" --listen "$url"
wait_for grep -q '^ready ' odd.out
says odd.err 'event=not_notified .*NOTIFY_SOCKET'
