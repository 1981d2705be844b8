"""The rival: CPython's multiprocessing.Pool, with the cases of bench_pool.c."""
import multiprocessing
import multiprocessing.resource_tracker
import multiprocessing.shared_memory
import statistics
import sys
import time


def square(x):
    return x * x


def report(case, unit, value, peer="CPython"):
    print(f"RES\t{peer}\t{case}\t{unit}\t{value:.3f}", flush=True)


def bench_map(pool):
    for n, chunk, name in ((20000, 1, "map 20k ints, chunk 1"),
                           (1000000, None, "map 1M ints, automatic")):
        xs = list(range(n))
        pool.map(square, xs, chunk)  # from the second one on
        begin = time.perf_counter()
        ys = pool.map(square, xs, chunk)
        seconds = time.perf_counter() - begin
        assert ys[-1] == (n - 1) ** 2
        report(name, "k/s", n / seconds / 1000)


def bench_async(pool):
    n = 20000
    for _ in range(2):
        begin = time.perf_counter()
        results = [pool.apply_async(square, (i,)) for i in range(n)]
        for result in results:
            result.get()
        seconds = time.perf_counter() - begin
    report("apply_async, pipelined", "k/s", n / seconds / 1000)


NEGATIVE = bytes(255 - i for i in range(256))


def invert(data):
    return data.translate(NEGATIVE)


def bench_bulk(pool):
    for n, size, name in ((64, 1 << 20, "64 x 1 MiB"), (8, 64 << 20, "8 x 64 MiB")):
        data = [bytes((i * 7 >> 3) & 255 for i in range(4096)) * (size // 4096)] * n
        times = []
        for _ in range(6 if size == 1 << 20 else 3):  # a second and more each
            begin = time.perf_counter()
            out = pool.map(invert, data)
            times.append(time.perf_counter() - begin)
        seconds = statistics.median(times[1:])
        assert out[-1] == invert(data[-1])
        # its only way: what it does with arrays in place is the same copy
        for case in (name, name + ", in place", name + ", in place, warm"):
            if size > 1 << 20 and case.endswith("warm"):
                continue
            report(case, "MiB/s", n * size / (1 << 20) / seconds)


blocks = {}  # a worker's, by name


def block(name):
    if name not in blocks:
        blocks[name] = multiprocessing.shared_memory.SharedMemory(name)
    return blocks[name]


def invert_in_place(where):
    source, target, begin, end = where
    block(target).buf[begin:end] = invert(bytes(block(source).buf[begin:end]))


def bench_shared(pool):
    """Arrays that lie in shared memory on both sides; only where they are travels."""
    for n, size, name in ((64, 1 << 20, "64 x 1 MiB, in place"),
                          (8, 64 << 20, "8 x 64 MiB, in place")):
        source = multiprocessing.shared_memory.SharedMemory(create=True, size=n * size)
        target = multiprocessing.shared_memory.SharedMemory(create=True, size=n * size)
        source.buf[:] = bytes((i * 7 >> 3) & 255 for i in range(4096)) * (n * size // 4096)
        parts = [(source.name, target.name, i * size, (i + 1) * size) for i in range(n)]
        times = []
        for _ in range(20 if size == 1 << 20 else 6):
            begin = time.perf_counter()
            pool.map(invert_in_place, parts)
            times.append(time.perf_counter() - begin)
        assert bytes(target.buf[-size:]) == invert(bytes(source.buf[-size:]))
        total = n * size / (1 << 20)
        report(name, "MiB/s", total / statistics.median(times[1:6]), "CPython-shm")
        if size == 1 << 20:  # each worker has seen all of it
            report(name + ", warm", "MiB/s", total / statistics.median(times[15:]), "CPython-shm")
        for shared in (source, target):
            shared.close()
            shared.unlink()


def bench_latency(pool, where):
    times = []
    for i in range(2000):
        begin = time.perf_counter()
        pool.apply(square, (i,))
        times.append(time.perf_counter() - begin)
    times.sort()
    report(f"apply p50, {where}", "us", times[len(times) // 2] * 1e6)
    report(f"apply p99, {where}", "us", times[len(times) * 99 // 100] * 1e6)


def spin(spins):
    x = 1
    for _ in range(spins):
        x = (x * 1664525 + 1013904223) & 0xFFFFFFFF
    return x


def bench_work():
    n = 1000
    begin = time.perf_counter()
    spin(200000)
    spins = int(200000 * 0.001 / (time.perf_counter() - begin))
    with multiprocessing.Pool(2) as pool:
        for chunk, name in ((None, "automatic"), (1, "chunk 1")):
            begin = time.perf_counter()
            for _ in range(n // 4):
                spin(spins)
            quarter = time.perf_counter() - begin
            begin = time.perf_counter()
            pool.map(spin, [spins] * n, chunk)
            took = time.perf_counter() - begin
            begin = time.perf_counter()
            for _ in range(n // 4):
                spin(spins)
            serial = 2 * (quarter + time.perf_counter() - begin)
            report(f"1000 x 1 ms, {name}", "of ideal", serial / 2 / took)


def bench_start():
    begin = time.perf_counter()
    with multiprocessing.Pool(4) as pool:
        pool.apply(square, (3,))
        report("pool of 4, first result", "ms", (time.perf_counter() - begin) * 1000)


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    if sys.argv[1] == "work":
        sys.exit(bench_work())
    if sys.argv[1] == "start":
        sys.exit(bench_start())
    # Workers that use a tracker of their own would think that its blocks had leaked.
    multiprocessing.resource_tracker.ensure_running()
    with multiprocessing.Pool(2) as the_pool:
        if sys.argv[1] == "map":
            bench_map(the_pool)
        elif sys.argv[1] == "async":
            bench_async(the_pool)
        elif sys.argv[1] == "bulk":
            bench_bulk(the_pool)
            bench_shared(the_pool)
        else:
            bench_latency(the_pool, sys.argv[2])
