#!/usr/bin/env bash
# A broker with keys, among those who have none: it neither grows nor stalls, and its log stays short.
. "$(dirname "$0")/lib.sh"
unset MP_KEY_FILE

rss() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$broker/status"; }
descriptors() { find "/proc/$broker/fd" -mindepth 1 | wc -l; }
failed() { sed -n 's/.*event=handshakes_failed.* all=\([0-9]*\).*/\1/p' broker.err | tail -1; }
failed_reach() { [ "$(failed || true)" != "" ] && [ "$(failed)" -ge "$1" ]; }

ok "$MP" keygen --name ann --role submit,work,write keys
export MP_KEY_FILE=keys/ann.key
server=$(sed -n 's/.*public-key = "\(.*\)"/\1/p' keys/server.pub)
start_broker --keys keys --max-peers 300
start_worker one --procs 1 --load "$MP_FILESUM"
printf '%s\n' /usr/include/linux/i*.h >lines
ok "$MP" map --broker local --load "$MP_FILESUM" --task filesum <lines >wanted
ok "$MP" map --broker "$url" --task filesum <lines >sums
same sums wanted

# -- bytes: no ZeroMQ, half a greeting, a CURVE greeting and then nonsense, commands too large or cut
python3 - "${url##*:}" <<'PY'
import contextlib, os, random, socket, struct, sys
port = int(sys.argv[1])
random.seed(11)
GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + b"\0" + b"\0" * 31
HELLO = b"\x05HELLO" + b"\x01\0" + b"\0" * 72

def connect():
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    sock.settimeout(10)
    return sock

def command(body):
    return (bytes([4, len(body)]) if len(body) < 256 else b"\x06" + struct.pack(">Q", len(body))) + body

def hello(public=None):
    return command(HELLO + (public or os.urandom(32)) + os.urandom(8) + os.urandom(80))

for data in (b"", b"GET / HTTP/1.0\r\n\r\n", os.urandom(5000), GREETING[:20], GREETING,
             GREETING + os.urandom(500), GREETING + command(b"\x05HELLO"), GREETING + hello()[:100],
             GREETING + hello(), GREETING + hello() * 3, GREETING + command(b"\x08INITIATE" + b"x" * 300),
             GREETING + command(b"\x05READY"), GREETING + command(b"\x07MESSAGE" + b"x" * 4000),
             GREETING + b"\x06" + struct.pack(">Q", 1 << 60) + b"x" * 1000,
             GREETING + b"\x02" + struct.pack(">Q", 1 << 60) + b"x" * 1000,
             GREETING + hello(b"\0" * 32)):
    for _ in range(3):
        with connect() as sock, contextlib.suppress(OSError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass
# One that pours without having shown a key is cut off long before it costs anything.
with connect() as sock:
    sent = 0
    try:
        sock.sendall(GREETING + b"\x02" + struct.pack(">Q", 1 << 40))
        while sent < 1 << 28:
            sock.sendall(b"x" * 65536)
            sent += 65536
        sys.exit("FAIL: a stranger could pour 256 MiB")
    except OSError:
        pass
# A crowd that says half of what it should, and stays.
crowd = [connect() for _ in range(250)]
for sock in crowd:
    with contextlib.suppress(OSError):
        sock.sendall(GREETING)
print("poured")
PY
ok "$MP" ping --broker "$url" --timeout-ms 15000

# -- handshakes without end
base=$(rss)
fds=$(descriptors)
seen=$(failed)
lines=$(wc -l <broker.err)
begin=$SECONDS
background hammer "$MP_KEYS_HAMMER" "$url" "$server"
hammer=$pid
wait_for grep -q ready hammer.out
for _ in 1 2; do
    ok "$MP" ping --broker "$url" --timeout-ms 15000
    ok "$MP" map --broker "$url" --task filesum <lines >sums
    same sums wanted
done
wait_for failed_reach $((seen + 300))
took=$((SECONDS - begin + 1))
kill -KILL "$hammer"
wait "$hammer" 2>/dev/null || true
grown=$(($(rss) - base))
echo "$(($(failed) - seen)) handshakes failed in $took s; $grown KiB more"
# (A sanitizer keeps what was freed for a while.)
[ -n "${MP_SANITIZE:-}" ] || [ $grown -lt 20000 ] || fail "the broker has grown by $grown KiB"
new=$(($(wc -l <broker.err) - lines))
[ $new -lt $((took * 22 + 60)) ] || fail "$new lines of log in $took s"
wait_for eval "[ \$(descriptors) -le $((fds + 3)) ]"
alive "$worker" || fail "the worker is gone"
ok "$MP" map --broker "$url" --task filesum <lines >sums
same sums wanted
kill "$worker" "$broker"
exits "$broker" 0
