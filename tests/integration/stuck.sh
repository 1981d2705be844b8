#!/usr/bin/env bash
# A broker whose loop hangs, since its disk does (slow_disk.c): HTTP says so, nothing tells the service
# manager that all is well, and when the disk is back the broker goes on as if nothing had been.
. "$(dirname "$0")/lib.sh"
command -v curl >/dev/null || {
    echo "SKIP: no curl; deploy/install-packages.sh test installs it"
    exit 77
}

# answers PATH STATUS
answers() { [ "$(curl -s -m 4 -o body -w '%{http_code}' "http://$http$1")" = "$2" ]; }
# beats: how often the service manager was told that the loop turns.
beats() { grep -c '^WATCHDOG=1 ' manager.out || true; }
# beats_since N: more often than that.
beats_since() { [ "$(beats)" -gt "$1" ]; }

background manager python3 -c '
import socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(manager.recv(4096).decode().replace("\n", " "), flush=True)
' "$work/socket"
wait_for grep -q '^bound' manager.out

export MP_SLOW_DISK=$work/stuck
unset WATCHDOG_PID
ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0" LD_PRELOAD=$MP_SLOW_DISK_SO \
    WATCHDOG_USEC=400000 NOTIFY_SOCKET=$work/socket start_broker --http 0 --data data
http=$(sed -n 's/^http //p' broker.out)
start_worker w --procs 1 --allow-exec
wait_for answers /readyz 200
wait_for beats_since 0

# -- it hangs in a commit
touch stuck
echo well | "$MP" map --broker "$url" -- echo >map.out 2>map.err &
map=$!
wait_for test -e stuck.waits
before=$(beats)
wait_for answers /healthz 503
ok answers /readyz 503
ok answers /metrics 503
# One may have been on its way when we counted.
ok test "$(beats)" -le $((before + 1))
kill -0 $map || fail "the call was answered before it was on the disk"

# -- and goes on
before=$(beats)
rm stuck
wait_for answers /healthz 200
wait_for answers /readyz 200
ok answers /metrics 200
wait_for beats_since "$before"
exits $map 0
says map.out '^well$'
kill "$worker"
exits "$worker" 0
kill "$broker"
exits "$broker" 0
