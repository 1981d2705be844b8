#!/usr/bin/env bash
# --http of mp-broker and mp-worker: what probes and Prometheus get, also of a loop that hangs.
. "$(dirname "$0")/lib.sh"
command -v curl >/dev/null || {
    echo "SKIP: no curl; deploy/install-packages.sh test installs it"
    exit 77
}
reads=$MP_SOURCE/tests/integration/exposition.py

# get PATH: its body in body, its status in $code.
get() { code=$(curl -s -m 20 -o body -w '%{http_code}' "http://$http$1" || true); }
# answers PATH STATUS
answers() {
    get "$1"
    [ "$code" = "$2" ]
}
# metrics: all samples in samples.
metrics() {
    ok answers /metrics 200
    ok python3 "$reads" body >samples
}
# value SAMPLE: its number.
value() { awk -v name="$1" '$1 == name { print $2 }' samples; }

# -- what is wrong is told
status 78 "$MP_BROKER_BIN" --http nonsense --check-config
says err 'no address for HTTP'
status 78 "$MP_BROKER_BIN" --http 127.0.0.1:99999
status 78 "$MP_WORKER_BIN" --http somewhere.example:80 --check-config

# -- a broker
start_broker --http 0 --data data
http=$(sed -n 's/^http //p' broker.out)
[ "${http%:*}" = 127.0.0.1 ] || fail "not on loopback: $http"
ok answers /healthz 200
wait_for answers /readyz 200
ok answers / 404
ok answers /metrics/ 404
ok test "$(curl -sS -o body -w '%{http_code}' -X POST -d x=1 "http://$http/metrics")" = 405
ok test "$(curl -sS -o body -w '%{http_code}' -I "http://$http/healthz")" = 200
ok test "$(curl -sS -o body -w '%{content_type}' "http://$http/metrics")" = \
    'text/plain; version=0.0.4; charset=utf-8'
status 71 "$MP_BROKER_BIN" --http "$http"
says err 'another process listens there'

# -- it counts
start_worker w --procs 2 --allow-exec --http 0
whttp=$(sed -n 's/^http //p' w.out)
seq 20 | "$MP" map --broker "$url" --chunk 1 --shell -- 'test {} -ne 7' >/dev/null 2>&1 || true
wait_for bash -c "'$MP' stat --broker '$url' | grep -q ' 0 jobs'"
metrics
says samples '^mp_workers{state="serving"} 1$'
says samples '^mp_calls_done_total{task="mp.exec"} 19$'
says samples '^mp_calls_failed_total{task="mp.exec"} 1$'
says samples '^mp_call_run_seconds_count{task="mp.exec"} 20$'
says samples '^mp_call_wait_seconds_count{task="mp.exec"} 20$'
says samples '^mp_calls_queued{task="mp.exec"} 0$'
says samples '^mp_commits_failed_total 0$'
ok test "$(value mp_memory_bytes)" -gt 1000000
for none in mp_kept_jobs mp_kept_bytes mp_kept_oldest_age_seconds \
    mp_dead_letters mp_dead_bytes mp_dead_oldest_age_seconds; do
    ok test "$(value $none)" = 0
done
"$MP" map --broker "$url" --detach --id ends --dead-letters -- false <<<x >/dev/null
status 1 "$MP" job wait ends --broker "$url"
metrics
for some in mp_kept_jobs mp_dead_letters; do
    ok test "$(value $some)" = 1
done
ok test "$(value mp_kept_bytes)" -gt 0
ok test "$(value mp_dead_bytes)" -gt 0
ok "$MP" job drop ends --broker "$url"
ok test "$(value mp_commit_seconds_count)" -gt 0

# -- a crash, and a peer that breaks the rules
echo x | "$MP" map --broker "$url" --shell -- 'kill -9 $PPID' >/dev/null 2>&1 || true
python3 - "${url##*:}" <<'PY'
import socket, struct, sys
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
sock.sendall(b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + b"\0" * 31)
ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
sock.sendall(bytes([4, len(ready)]) + ready)
heard = b""
while b"READY" not in heard:
    heard += sock.recv(4096) or b"READY"
sock.sendall(b"\x00\x04junk")
while sock.recv(4096):
    pass
PY
counted() {
    metrics && grep -q '^mp_calls_crashed_total{task="mp.exec"} 1$' samples &&
        grep -q '^mp_peers_dismissed_total{code="MP_E[A-Z]*"} 1$' samples
}
wait_for counted

# -- its executors have none of its sockets: who outlives it must not hold the port
sockets() { find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' | sort -u; }
ok test "$(children mp-executor "$worker" | wc -l)" -ge 2
ok test "$(sockets "$worker" | wc -l)" -ge 2
for process in $(children mp-nursery "$worker") $(children mp-executor "$worker"); do
    held=$(comm -12 <(sockets "$worker") <(sockets "$process"))
    [ -z "$held" ] || fail "process $process has its worker's $held"
done
for process in $(children mp-executor "$worker"); do
    ok test -z "$(find "/proc/$process/fd" -lname 'anon_inode:*')"
done

# -- a worker tells the same of itself
broker_http=$http
http=$whttp
ok answers /healthz 200
wait_for answers /readyz 200
metrics
says samples '^mp_worker_executors 2$'
says samples '^mp_worker_calls_total{fate="ok"} 19$'
says samples '^mp_worker_executors_crashed_total [1-9]'
says samples '^mp_worker_executors_memory_total 0'
kill -STOP "$worker"
wait_for answers /healthz 000 # nobody serves: the threads are stopped as well
kill -CONT "$worker"
wait_for answers /healthz 200
http=$broker_http

# -- drops of a slow client: connections are bounded, and the port goes on for others
python3 - "$http" <<'PY'
import socket, sys
host, port = sys.argv[1].split(":")
idle = [socket.create_connection((host, int(port)), timeout=5) for _ in range(20)]
for sock in idle:
    sock.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 100)
with socket.create_connection((host, int(port)), timeout=5) as sock:
    sock.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert sock.recv(100).startswith(b"HTTP/1."), "nobody answers"
with socket.create_connection((host, int(port)), timeout=5) as sock:
    sock.sendall(b"GET /" + b"x" * 100000 + b" HTTP/1.0\r\n\r\n")
    assert b" 200 " not in sock.recv(100)
PY
ok answers /healthz 200

# -- kept jobs count as any other: what waits of them, for how long, and what waits for its time
"$MP" map --broker "$url" --detach --id nap --chunk 1 -- sleep <<<$'1000\n1000\n1000\n1000' >/dev/null
"$MP" map --broker "$url" --detach --id later --delay-ms 600000 -- echo <<<x >/dev/null
kept_counted() {
    metrics && grep -q '^mp_calls_queued{task="mp.exec"} 2$' samples &&
        grep -q '^mp_calls_given{task="mp.exec"} 2$' samples &&
        grep -q '^mp_calls_delayed{task="mp.exec"} 1$' samples &&
        awk '$1 == "mp_oldest_call_age_seconds" { waits = $2 > 0 } END { exit !waits }' samples
}
wait_for kept_counted
says samples '^mp_jobs 2$'
says samples '^mp_kept_held 0$'
ok "$MP" job drop nap --broker "$url"
ok "$MP" job drop later --broker "$url"
kept_gone() { metrics && grep -q '^mp_jobs 0$' samples && grep -q '^mp_calls_given{task="mp.exec"} 0$' samples; }
wait_for kept_gone

# -- a broker that drains is not ready, and goes on
echo 3 | "$MP" map --broker "$url" -- sleep >/dev/null 2>&1 &
map=$!
wait_for bash -c "'$MP' ping --broker '$url' | grep -q ' 1 running'"
kill "$broker"
wait_for answers /readyz 503
says body draining
ok answers /healthz 200
metrics
says samples '^mp_draining 1$'
says samples '^mp_draining_jobs 1$'
exits "$broker" 0
exits $map 0
kill "$worker"
exits "$worker" 0
