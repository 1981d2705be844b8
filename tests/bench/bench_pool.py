"""The rival: CPython's multiprocessing.Pool, with the cases of bench_pool.c."""
import multiprocessing
import sys
import time


def square(x):
    return x * x


def report(case, unit, value):
    print(f"RES\tCPython\t{case}\t{unit}\t{value:.3f}", flush=True)


def bench_map(pool):
    for n, chunk, name in ((20000, 1, "map 20k ints, chunk 1"),
                           (1000000, None, "map 1M ints, automatic")):
        xs = list(range(n))
        pool.map(square, xs[:1000])
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


def bench_latency(pool, where):
    times = []
    for i in range(2000):
        begin = time.perf_counter()
        pool.apply(square, (i,))
        times.append(time.perf_counter() - begin)
    times.sort()
    report(f"apply p50, {where}", "us", times[len(times) // 2] * 1e6)
    report(f"apply p99, {where}", "us", times[len(times) * 99 // 100] * 1e6)


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    with multiprocessing.Pool(2) as the_pool:
        if sys.argv[1] == "map":
            bench_map(the_pool)
        elif sys.argv[1] == "async":
            bench_async(the_pool)
        else:
            bench_latency(the_pool, sys.argv[2])
