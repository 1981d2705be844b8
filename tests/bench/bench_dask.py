"""The rival: Dask's distributed scheduler, with the cases of bench_pool's topic broker: a scheduler
on a loopback port, two worker processes of one thread each, a client."""
import sys
import time

import dask
import distributed


def square(x):
    return x * x


def report(case, unit, value):
    print(f"RES\tDask\t{case}\t{unit}\t{value:.3f}", flush=True)


def bench(client):
    n = 1000
    for _ in range(2):  # the first one warms up
        begin = time.perf_counter()
        results = client.gather(client.map(square, range(n), pure=False, batch_size=1000))
        seconds = time.perf_counter() - begin
        assert results[-1] == (n - 1) ** 2
    report("broker: map 20k ints, chunk 1", "k/s", n / seconds / 1000)
    begin = time.perf_counter()
    futures = [client.submit(square, i, pure=False) for i in range(n)]
    for future in futures:
        future.result()
    report("broker: apply_async, pipelined", "k/s", n / (time.perf_counter() - begin) / 1000)
    times = []
    for i in range(100):
        begin = time.perf_counter()
        client.submit(square, i, pure=False).result()
        times.append(time.perf_counter() - begin)
    report("broker: apply p50", "us", sorted(times)[len(times) // 2] * 1e6)


if __name__ == "__main__":
    dask.config.set({"distributed.worker.daemon": True, "logging.distributed": "error"})
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True,
                                  host="127.0.0.1", dashboard_address=None) as cluster:
        with distributed.Client(cluster) as the_client:
            bench(the_client)
    sys.exit(0)
