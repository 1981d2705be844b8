#!/usr/bin/python3
"""A client of mp-broker in another language: written from proto/PROTOCOL.md and proto/mp.proto,
with ZeroMQ and protobuf as Debian has them (python3-zmq, python3-protobuf, protobuf-compiler), and
nothing of libmp.

    protoc -I proto --python_out=/tmp/gen proto/mp.proto
    export PYTHONPATH=/tmp/gen
    client.py tcp://127.0.0.1:5555 ping
    client.py tcp://127.0.0.1:5555 map filesum [CHUNK] <lines     a task over bytes, a call for each
                                                                  line, CHUNK of them in a message
    client.py tcp://127.0.0.1:5555 square 1000                    a task over records

Exits with 0; 1 if a call failed, each of which is a line on stderr; 3 if the broker can't be had."""
import collections
import itertools
import os
import socket
import struct
import sys
import time

import mp_pb2 as mp
import zmq
import zmq.utils.monitor

VERSION, APART = 1, 1
MAX_HEADER, MAX_BODY = 128, 65536
BYTES = f"bytes -> bytes {sys.byteorder}"
INT = f"int[4,4] -> int[4,4] {sys.byteorder}"

Outcome = collections.namedtuple("Outcome", "call code value failure")


class Lost(Exception):
    """The connection has ended, with the broker's reason if it gave one."""


def encode(header, payload=b""):
    """A message in one frame: head, zeros up to a multiple of 16, payload."""
    raw = header.SerializeToString()
    assert len(raw) <= MAX_HEADER
    head = struct.pack("<BBH", VERSION, 0, len(raw)) + raw
    return head + bytes(-len(head) % 16) + payload


def decode(frames):
    """A message in one frame or two: its header and payload."""
    version, flags, size = struct.unpack_from("<BBH", frames[0])
    apart = bool(flags & APART)
    if version != VERSION or flags & ~APART or size > MAX_HEADER or (len(frames) > 1) != apart:
        raise Lost("that is not version 1 of the protocol")
    header = mp.Header.FromString(frames[0][4:4 + size])
    begin = 4 + size + -(4 + size) % 16
    return header, b"".join(frames[1:]) if apart else frames[0][begin:]


def records(payload):
    """What a RESULT holds whose values differ in size: code, Failure, value of each call."""
    at = 0
    while at < len(payload):
        code, detail, value = struct.unpack_from("<iII", payload, at)
        at += 12
        failure = mp.Failure.FromString(payload[at:at + detail])
        yield code, failure, payload[at + detail:at + detail + value]
        at += detail + value


class Broker:
    """A session. Every wait has an end: `patience` seconds."""

    def __init__(self, url, patience=30.0):
        self.patience = patience
        self.jobs, self.chunks = itertools.count(1), itertools.count(1)
        self.nonces = itertools.count(1)
        self.taken_bytes = 0
        self.dealer = zmq.Context.instance().socket(zmq.DEALER)
        for option, value in ((zmq.RECONNECT_IVL, -1), (zmq.IMMEDIATE, 1), (zmq.SNDHWM, 0),
                              (zmq.RCVHWM, 0), (zmq.HANDSHAKE_IVL, 2500), (zmq.LINGER, 1000),
                              (zmq.HEARTBEAT_IVL, 700), (zmq.HEARTBEAT_TIMEOUT, 2100)):
            self.dealer.setsockopt(option, value)
        # A socket that doesn't reconnect is silent for ever: its monitor tells.
        self.monitor = self.dealer.get_monitor_socket(
            zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_CONNECT_RETRIED |
            zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
        self.poller = zmq.Poller()
        self.poller.register(self.dealer, zmq.POLLIN)
        self.poller.register(self.monitor, zmq.POLLIN)
        self.dealer.connect(url)
        hello = mp.Hello(role=mp.CLIENT, version_min=1, version_max=1, software="independent",
                         host=socket.gethostname(), pid=os.getpid())
        self.send(mp.Header(op=mp.HELLO), hello.SerializeToString())
        header, payload = self.receive()
        if header.op != mp.WELCOME:
            raise Lost(f"a message {header.op} came before WELCOME")
        self.welcome = mp.Welcome.FromString(payload)

    def send(self, header, payload=b""):
        """Never blocks once the connection is there; until then it waits for it."""
        frame = encode(header, payload)
        deadline = time.monotonic() + self.patience
        while True:
            try:
                return self.dealer.send(frame, zmq.DONTWAIT)
            except zmq.Again:
                events = dict(self.poller.poll(50))
                if self.monitor in events or time.monotonic() > deadline:
                    raise Lost("there is no broker") from None

    def receive(self):
        """The next message. What the broker says of the connection ends it here."""
        events = dict(self.poller.poll(self.patience * 1000))
        if self.dealer not in events:
            raise Lost("the connection is lost" if events else "the broker says nothing")
        header, payload = decode(self.dealer.recv_multipart())
        if header.op == mp.ERROR and not header.job:
            raise Lost(f"error {header.code}: {mp.Problem.FromString(payload).message}")
        if header.op == mp.BYE:
            raise Lost("the broker has shut down")
        return header, payload

    def ping(self):
        """How the broker is."""
        nonce = next(self.nonces)
        self.send(mp.Header(op=mp.PING, nonce=nonce))
        while True:
            header, payload = self.receive()
            if header.op == mp.PONG and header.nonce == nonce:
                return mp.Status.FromString(payload)

    def acknowledge(self, size):
        """Payload bytes of results were taken; told by the sixteenth of what may be open."""
        self.taken_bytes += size
        if self.taken_bytes >= self.welcome.result_bytes // 16:
            self.send(mp.Header(op=mp.ACK, bytes=self.taken_bytes))
            self.taken_bytes = 0

    def map(self, task, signature, inputs, item_bytes=0, chunk_calls=1):
        """Outcomes of the calls, as they come. Any iterable of inputs: it is read as fast as the
        broker's credit allows."""
        job = next(self.jobs)
        self.send(mp.Header(op=mp.OPEN, job=job),
                  mp.Open(task=task, signature=signature).SerializeToString())
        chunks = self.cut(inputs, item_bytes, chunk_calls)
        ahead = next(chunks, None)  # cut, but perhaps not sent yet
        sent = {}  # chunk: calls that are due, bytes
        open_bytes = 0
        while ahead or sent:
            while ahead and (not sent or
                             open_bytes + len(ahead[2]) <= self.welcome.submit_bytes):
                first, count, payload = ahead
                number = next(self.chunks)
                self.send(mp.Header(op=mp.SUBMIT, job=job, chunk=number, first=first, count=count,
                                    attempt=1, item_bytes=item_bytes), payload)
                sent[number] = [count, len(payload)]
                open_bytes += len(payload)
                ahead = next(chunks, None)
            header, payload = self.receive()
            if header.op == mp.ERROR and header.job == job:
                problem = mp.Failure(message=mp.Problem.FromString(payload).message)
                yield Outcome(None, header.code, b"", problem)
                return
            if header.op in (mp.RESULT, mp.PROGRESS):
                self.acknowledge(len(payload))
            if header.op != mp.RESULT or header.chunk not in sent:
                continue
            yield from self.outcomes(header, payload)
            due = sent[header.chunk]
            due[0] -= header.count
            if due[0] == 0:
                open_bytes -= due[1]
                del sent[header.chunk]
        self.send(mp.Header(op=mp.CLOSE, job=job))

    @staticmethod
    def cut(inputs, item_bytes, chunk_calls):
        """Chunks: number of the first call, how many, their items."""
        inputs, first = iter(inputs), 0
        while items := list(itertools.islice(inputs, chunk_calls)):
            if not item_bytes:
                items = [struct.pack("<I", len(item)) + item for item in items]
            yield first, len(items), b"".join(items)
            first += len(items)

    @staticmethod
    def outcomes(header, payload):
        """A RESULT has one of three forms."""
        calls = range(header.first, header.first + header.count)
        if header.item_bytes:
            size = header.item_bytes
            for i, call in enumerate(calls):
                yield Outcome(call, 0, payload[i * size:(i + 1) * size], None)
        elif header.code:
            failure = mp.Failure.FromString(payload)
            for call in calls:
                yield Outcome(call, header.code, b"", failure)
        else:
            for call, (code, failure, value) in zip(calls, records(payload)):
                yield Outcome(call, code, value, failure)

    def close(self):
        self.send(mp.Header(op=mp.BYE))
        self.dealer.disable_monitor()
        self.dealer.close()


def in_order(outcomes):
    """Outcomes come in any order; they leave in that of their calls."""
    early, due = {}, 0
    for outcome in outcomes:
        if outcome.call is None:  # all that is open has ended so
            yield outcome
            return
        early[outcome.call] = outcome
        while due in early:
            yield early.pop(due)
            due += 1


def show(outcomes, text):
    """Values to stdout, failures to stderr; whether there were any."""
    failed = False
    for outcome in in_order(outcomes):
        if outcome.code == 0:
            print(text(outcome.value))
        else:
            failed = True
            print(f"call {outcome.call}: error {outcome.code}: {outcome.failure.message}"
                  f" (task's code {outcome.failure.code})", file=sys.stderr)
    return failed


def main(url, command, *words):
    broker = Broker(url)
    failed = False
    if command == "ping":
        status = broker.ping()
        print(f"{status.software}: {status.workers} workers ({status.executors} executors), "
              f"{status.calls_queued} queued, {status.calls_running} running")
    elif command == "map":
        lines = (line.rstrip(b"\n") for line in sys.stdin.buffer)
        chunk = int(words[1]) if len(words) > 1 else 1
        failed = show(broker.map(words[0], BYTES, lines, chunk_calls=chunk),
                      lambda value: value.decode(errors="replace"))
    elif command == "square":
        numbers = (struct.pack("=i", n) for n in range(int(words[0])))
        failed = show(broker.map("square", INT, numbers, item_bytes=4),
                      lambda value: struct.unpack("=i", value)[0])
    else:
        sys.exit(__doc__)
    broker.close()
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]))
    except Lost as reason:
        print(f"client.py: {sys.argv[1]}: {reason}", file=sys.stderr)
        sys.exit(3)
