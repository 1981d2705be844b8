#!/usr/bin/env bash
# Strangers at the broker's port, and a client at strangers' ports.
. "$(dirname "$0")/lib.sh"

start_broker --data data
port=${url##*:}
start_worker one --procs 1 --load "$MP_FILESUM"
echo /etc/passwd >line
ok "$MP" map --broker "$url" --task filesum <line >wanted

python3 - "$port" <<'PY'
import contextlib, os, random, socket, struct, sys
port = int(sys.argv[1])
random.seed(7)

def connect():
    return socket.create_connection(("127.0.0.1", port), timeout=5)

def send(sock, data):
    try:
        sock.sendall(data)
    except OSError:
        pass

# No ZeroMQ at all.
for junk in (b"", b"GET / HTTP/1.0\r\n\r\n", os.urandom(4096), b"\0" * 100000, b"\xff" * 5):
    with connect() as sock:
        send(sock, junk)

# Enough ZeroMQ to be let in: ZMTP 3.0, NULL mechanism, a DEALER.
GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + b"\0" * 31
READY = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"

@contextlib.contextmanager
def peer():
    with connect() as sock:
        sock.sendall(GREETING + bytes([4, len(READY)]) + READY)
        heard = b""
        while b"READY" not in heard: # libzmq takes what comes before its own READY for a mistake
            heard += sock.recv(4096) or b"READY"
        yield sock
        # Closing now would reset the connection, and what was sent might never be read.
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass

def frame(body, more=False):
    if len(body) < 256:
        return bytes([1 if more else 0, len(body)]) + body
    return bytes([3 if more else 2]) + struct.pack(">Q", len(body)) + body

def head(fields, flags=0, version=1):
    packed = bytes([version, flags, len(fields) & 255, len(fields) >> 8]) + fields
    return packed + b"\0" * (-len(packed) % 16)

HELLO = head(b"\x08\x01") + b"\x08\x01\x10\x01\x18\x01"

messages = [b"", b"\x01", os.urandom(64), head(b""), head(b"\x08\x63"), head(b"\x08\x07" * 64),
            head(b"\x08\x01", version=9), head(b"\x08\x01", flags=1), head(b"\x08\x07"),
            head(b"\x08\x01") + os.urandom(60000), head(b"\x08\x01") + b"\x08\x63",
            head(b"\x08\x01") + b"\x08\x01\x10\x05\x18\x06"]
for message in messages:
    with peer() as sock:
        send(sock, frame(message))

# A client that says HELLO and then nonsense.
submit = b"\x08\x07\x10\x01\x18\x01\x28\xff\xff\xff\xff\x0f\x38\x04"
for message in (head(b"\x08\x01"), head(b"\x08\x02"), head(b"\x08\x07"), head(submit),
                head(b"\x08\x0c\x58\x7f"), head(b"\x08\x06"), head(b"\x08\x09"),
                head(b"\x08\x06\x10\x01") + os.urandom(100), os.urandom(50), head(b"\x08\x3d")):
    with peer() as sock:
        send(sock, frame(HELLO))
        send(sock, frame(message))
        send(sock, frame(message))
# Sessions: secrets that are wrong, counts that can't be, what only the broker may say.
def session(number, secret=7, kept=0, had=0):
    return head(b"\x08\x01") + b"\x08\x01\x10\x01\x18\x01" + bytes(
        [0x58, number, 0x60, secret, 0x68, kept, 0x70, had])

OPEN = head(b"\x08\x06\x10\x01") + b"\x0a\x01t\x12\x01s"
FAR = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
for hello, message in ((session(1), head(b"\x08\x0c\x20\x09")), (session(2), head(b"\x08\x40\x20\x01")),
                       (session(3), OPEN), (session(3, secret=8), OPEN), (session(3, kept=1), OPEN),
                       (session(3), OPEN), (session(3, had=9), OPEN), (session(3, kept=99), OPEN),
                       (session(4, kept=3, had=3), OPEN), (session(4), head(b"\x08\x0c\x20" + FAR)),
                       (session(5), head(submit)), (session(5), head(b"\x08\x0b\x10\x09"))):
    with peer() as sock:
        send(sock, frame(hello))
        send(sock, frame(message))
# The same where it is known what comes first.
def hear(sock, wanted):
    heard = b""
    while wanted not in heard:
        more = sock.recv(4096)
        if not more and not heard:
            raise EOFError
        assert more, heard
        heard += more
    return heard

DURABLE, RESUMED = b"\x48\x01", b"\x50\x01"
def claims(number):
    with peer() as owner:
        send(owner, frame(session(number)))
        hear(owner, DURABLE)
        with peer() as thief:
            send(thief, frame(session(number, secret=8)))
            hear(thief, b"secret is wrong")
        with peer() as amnesiac:
            send(amnesiac, frame(session(number, kept=9)))
            assert RESUMED not in hear(amnesiac, DURABLE)

for number in range(10, 30): # one of so many strangers may be turned away at the door
    with contextlib.suppress(EOFError):
        claims(number)
        break
else:
    sys.exit("nobody was let in")
# Questions without end, and without an ear for the answers.
with peer() as sock:
    send(sock, frame(HELLO))
    for number in range(1, 5000):
        send(sock, frame(head(b"\x08\x3c\x50" + bytes([number & 127]))))
# A worker that answers what it wasn't asked, asks itself, and tells nonsense.
WORKER = head(b"\x08\x01") + b"\x08\x02\x10\x01\x18\x01\x40\x01"
for message in (head(b"\x08\x3d\x50\x7f"), head(b"\x08\x3d\x50\x01") + os.urandom(100),
                head(b"\x08\x3c")):
    with peer() as sock:
        send(sock, frame(WORKER))
        send(sock, frame(message))
for _ in range(300):
    with peer() as sock:
        send(sock, frame(HELLO))
        send(sock, frame(bytes([1, 0, 12, 0, 8, random.randrange(1, 15)]) + os.urandom(58)))

# Frames without end, frames too large, and half a frame.
with peer() as sock:
    for _ in range(2000):
        send(sock, frame(b"x", more=True))
    send(sock, frame(b"x"))
with peer() as sock:
    send(sock, frame(HELLO))
    send(sock, bytes([2]) + struct.pack(">Q", 1 << 50) + b"x" * 1000)
with peer() as sock:
    send(sock, frame(HELLO) + bytes([0, 200]) + b"half")

# A crowd that says nothing.
crowd = [connect() for _ in range(200)]
for sock in crowd:
    sock.close()
PY

alive "$broker" || fail "the broker is dead: $(tail -n 5 broker.err)"
ok "$MP" map --broker "$url" --task filesum <line >got
same got wanted
wait_for bash -c "'$MP' ping --broker '$url' | grep -q ', 1 client,'"
says broker.err 'event=peer_dismissed'
LC_ALL=C grep -q '[^[:print:]]' broker.err && fail "control characters in the log"
[ "$(wc -l <broker.err)" -lt 1500 ] || fail "the log was flooded: $(wc -l <broker.err) lines"
[ "$(awk '/VmRSS/ { print $2 }' "/proc/$broker/status")" -lt 200000 ] || fail "it has grown"

# -- a client at ports of others
python3 - >ports <<'PY' &
import socket, sys, time
def listen():
    sock = socket.create_server(("127.0.0.1", 0))
    print(sock.getsockname()[1], flush=True)
    return sock
mute, web = listen(), listen()
web.settimeout(0.1)
end = time.time() + 60
while time.time() < end:
    try:
        peer, _ = web.accept()
        peer.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        peer.close()
    except OSError:
        pass
PY
started+=($!)
wait_for bash -c '[ $(wc -l <ports) = 2 ]'
for port in $(cat ports); do
    status 1 "$MP" ping --broker "tcp://127.0.0.1:$port" --timeout-ms 800
    says err "tcp://127.0.0.1:$port"
done
status 1 "$MP" ping --broker "tcp://127.0.0.1:1" --timeout-ms 300
status 1 "$MP" ping --broker "ipc://$work/nobody" --timeout-ms 300
