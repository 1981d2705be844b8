#!/usr/bin/env bash
# Strangers at the port of a queue and of a listener: nonsense, half frames, messages without an
# end, silence, wrong keys, guests who go mad after they were let in. The owner's memory is
# bounded, and its real users notice nothing.
. "$(dirname "$0")/lib.sh"

start_party() { # NAME ROLE ENDPOINT
    background "$1" "$MP_PARTY" "$2" "$3"
    wait_for grep -q '://' "$1.out"
}
start_party queue own 'tcp://127.0.0.1:0'
queue=$pid
start_party hall listen 'tcp://127.0.0.1:0'
hall=$pid
export MP_PARTY_KEY=secret
start_party locked own 'tcp://127.0.0.1:0'
locked=$pid
unset MP_PARTY_KEY
address=$(cat queue.out)
background real "$MP_PARTY" produce "$address" 1
producer=$pid
background sink "$MP_PARTY" consume "$address"
wait_for grep -q got sink.out
before=$(wc -l <sink.out)

cat >attack.py <<'PY'
import contextlib, os, random, re, socket, struct, sys, time
port, pid = int(re.search(r":(\d+)", sys.argv[1]).group(1)), int(sys.argv[2])
door, number = (1, 1) if "/" in sys.argv[1][6:] else (2, 0)
GROWN_KIB = 400 * 1024  # that an attack may cost at its peak; each would send gigabytes
random.seed(4)

def memory(kind="VmRSS"):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(kind + r":\s+(\d+)", file.read()).group(1))

def begin():
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")  # the peak is counted from here on
    return memory()

def connect():
    return socket.create_connection(("127.0.0.1", port), timeout=30)

GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + b"\0" * 31
READY = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"

def greet(sock):
    sock.sendall(GREETING + bytes([4, len(READY)]) + READY)

@contextlib.contextmanager
def peer():
    with connect() as sock:
        greet(sock)
        yield sock
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass

def frame(body, more=False):
    if len(body) < 256:
        return bytes([1 if more else 0, len(body)]) + body
    return bytes([3 if more else 2]) + struct.pack(">Q", len(body)) + body

def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])

def message(op, payload=b"", version=1, **fields):
    numbers = dict(first=4, count=5, code=9, nonce=10, bytes=11, kind=12)
    packed = b"\x08" + varint(op) + b"".join(
        varint(numbers[name] << 3) + varint(value) for name, value in fields.items())
    head = bytes([version, 0, len(packed) & 255, len(packed) >> 8]) + packed
    return frame(head + b"\0" * (-len(head) % 16) + payload)

def knock(low=1, high=1, at=door, what=number, nonce=32):
    return message(15, b"\x08" + varint(low) + b"\x10" + varint(high) + b"\x30" + varint(at) +
                   b"\x38" + varint(what) + b"\x4a" + bytes([nonce]) + b"n" * nonce)

def pour(sock, data, most):
    """Send until we are cut off, or it was enough: whether we were."""
    sent = 0
    sock.settimeout(10)
    try:
        while sent < most:
            sock.sendall(data)
            sent += len(data)
    except OSError:
        return True
    return False

def is_cut(sock, seconds):
    sock.settimeout(seconds)
    try:
        while sock.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True

def must(what, condition):
    if not condition:
        sys.exit(f"FAIL: {sys.argv[1]}: {what}")

def stays_small(what, before):
    cost = memory("VmHWM") - before
    print(f"{sys.argv[1]}: {what}: {cost} KiB at its peak", flush=True)
    must(f"{what} cost {cost} KiB", cost < GROWN_KIB)

# -- nonsense, before and after the greeting, and half of things
for junk in (b"", b"GET / HTTP/1.0\r\n\r\n", os.urandom(4096), b"\0" * 100000, GREETING[:20]):
    with connect() as sock, contextlib.suppress(OSError):
        sock.sendall(junk)
for body in (b"", b"\1", os.urandom(64), bytes(16), os.urandom(60000)):
    with peer() as sock, contextlib.suppress(OSError):
        sock.sendall(frame(body))
for bad in (knock(low=2, high=9), knock(at=7), knock(what=77), knock(nonce=31), message(15),
            message(15, version=3), message(18), message(17, b"x" * 50), message(35, b"x"),
            frame(knock(), more=True) * 3 + frame(b"")):
    with peer() as sock, contextlib.suppress(OSError):
        sock.sendall(bad + knock())
with peer() as sock:
    sock.sendall(knock()[:30])
for op in range(1, 40):  # let in, and then anything
    with peer() as sock, contextlib.suppress(OSError):
        sock.sendall(knock() + message(op, os.urandom(40), count=3, first=5, nonce=9, bytes=99) * 3)

# -- too large, and without an end
with peer() as sock:
    sock.sendall(bytes([2]) + struct.pack(">Q", 1 << 50) + b"x" * 1000)
    must("a frame of a petabyte is tolerated", is_cut(sock, 10))
before = begin()
with connect() as sock:
    greet(sock)
    must("a stranger's endless message is tolerated",
         pour(sock, frame(b"x" * 1000, more=True) * 100, 4 << 30))
stays_small("a stranger's endless message", before)

# -- silence
with connect() as mute, connect() as half, connect() as knocked:
    greet(half)
    greet(knocked)
    knocked.sendall(message(17))
    must("silence is tolerated", is_cut(mute, 20) and is_cut(half, 20) and is_cut(knocked, 20))
crowd = [connect() for _ in range(200)]

# -- guests that were let in
def guest():
    sock = connect()
    greet(sock)
    sock.sendall(knock())
    return sock

before = begin()
if door == 1:
    parcel = struct.pack("<I", 4) + b"evil"
    with guest() as sock:
        must("a window isn't kept", pour(sock, message(19, parcel * 100, count=100), 4 << 30))
    stays_small("items beyond the window", before)
    before = begin()
    with guest() as sock:  # questions, and no ear for the answers
        must("questions without end are tolerated",
             pour(sock, message(29, nonce=7) * 1000, 4 << 30))
    stays_small("questions", before)
else:
    with guest() as sock:
        pour(sock, message(35, b"x" * 1000, bytes=1 << 62) * 100, 256 << 20)
        stays_small("a message of four exabytes", before)
    with guest() as sock:
        pour(sock, message(36, bytes=1 << 40), 1 << 20)
for sock in crowd:
    sock.close()
PY

for owner in "queue $queue" "hall $hall" "locked $locked"; do
    # shellcheck disable=SC2086  # a name and a pid
    set -- $owner
    ok python3 attack.py "$(cat "$1.out")" "$2"
    alive "$2" || fail "the owner is dead: $(cat "$1.err")"
done

# -- the real ones went on meanwhile, and others come
[ "$(wc -l <sink.out)" -gt "$before" ] || fail "nothing was got any more"
says sink.out '^got 1 [0-9]'
kill -TERM "$producer"
exits "$producer" 0
ok "$MP_PARTY" echo "$(cat hall.out)" >echoed
says echoed '^hello$'
status 1 "$MP_PARTY" echo "$(cat locked.out | sed 's,/[0-9]*$,,')"
MP_PARTY_KEY=other status 1 "$MP_PARTY" produce "$(cat locked.out)" 5
says err 'key'
[ -z "$(cat queue.err hall.err locked.err)" ] || fail "an owner complains"
