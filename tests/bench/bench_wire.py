"""The rival: CPython's multiprocessing.Queue and Pipe, with the cases of bench_wire.c."""
import multiprocessing
import os
import sys
import time

LOADS = (("16 B", 16), ("1 KiB", 1024), ("64 KiB", 65536), ("1 MiB", 1 << 20))


def report(case, unit, value):
    print(f"RES\tCPython\t{case}\t{unit}\t{value:.3f}", flush=True)


def timed(children):
    """How long they take, from the moment when all are there."""
    gate = multiprocessing.Event()

    def run(function, *args):
        gate.wait()
        function(*args)

    processes = [multiprocessing.Process(target=run, args=child) for child in children]
    for process in processes:
        process.start()
    time.sleep(0.1)
    begin = time.perf_counter()
    gate.set()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return time.perf_counter() - begin


def produce(queue, size, count):
    data = bytes(size)
    for _ in range(count):
        queue.put(data)


def consume(queue, count):
    for _ in range(count):
        queue.get()


def bench_queue():
    for (name, size), count in zip(LOADS, (40000, 30000, 3000)):
        for sides in (1, 2):
            queue = multiprocessing.Queue()
            share = count // sides
            spent = timed([(produce, queue, size, share), (consume, queue, share)] * sides)
            report(f"queue {name}, {sides} to {sides}", "k/s", count / spent / 1000)


def send(end, data, count):
    for _ in range(count):
        end.send_bytes(data)


def receive(end, count):
    for _ in range(count):
        end.recv_bytes()


def send_objects(end, count):
    for i in range(count):
        end.send({"name": "frame", "number": i, "at": [1.5, 2.5]})


def receive_objects(end, count):
    for _ in range(count):
        end.recv()


def bench_pipe():
    for (name, size), count in zip(LOADS, (100000, 60000, 6000, 400)):
        ours, theirs = multiprocessing.Pipe()
        spent = timed([(send, theirs, bytes(size), count), (receive, ours, count)])
        report(f"pipe {name}, one way", "k/s", count / spent / 1000)
    ours, theirs = multiprocessing.Pipe()
    spent = timed([(send_objects, theirs, 30000), (receive_objects, ours, 30000)])
    report("pipe, dict of three, one way", "k/s", 30000 / spent / 1000)


def echo(end, count):
    for _ in range(count):
        end.send_bytes(end.recv_bytes())


def bench_trips(where):
    for name, size in LOADS:
        trips = 300 if size > 100000 else 3000
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.Process(target=echo, args=(theirs, trips))
        child.start()
        data, times = os.urandom(size), []
        for _ in range(trips):
            begin = time.perf_counter()
            ours.send_bytes(data)
            ours.recv_bytes()
            times.append(time.perf_counter() - begin)
        child.join()
        times.sort()
        report(f"pipe {name}, round trip, {where}", "us", times[trips // 2] * 1e6)


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    {"queue": bench_queue, "pipe": bench_pipe}.get(sys.argv[1], lambda: bench_trips(sys.argv[2]))()
