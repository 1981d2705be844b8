"""The rival: CPython's multiprocessing.Manager, with the cases of bench_objects.c. It can't have
several calls under way, so that its plain rate stands beside x100."""
import multiprocessing
import os
import random
import sys
import time
from multiprocessing.managers import SyncManager

KEYS = [f"key-{i}" for i in range(1000)]
VALUE = b"sixteen bytes ab"
CLIENTS = 4
SECONDS = float(os.environ.get("BENCH_SECONDS", "1"))


def report(case, value):
    print(f"RES\tCPython\t{case}\t/s\t{value:.3f}", flush=True)


def set_key(target, key):
    target[key] = VALUE


def get_key(target, key):
    if target[key] != VALUE:
        sys.exit("bench_objects.py: a value isn't what was set")


def append(target, _):
    target.append(VALUE)


def lock(target, _):
    target.acquire()
    target.release()


def make_dict(manager):
    return manager.dict({key: VALUE for key in KEYS})


def make_list(manager):
    return manager.list()


def make_lock(manager):
    return manager.Lock()


# name, what makes the object, the operation, whether each client has its own
OPERATIONS = [("dict set", make_dict, set_key, False), ("dict get", make_dict, get_key, False),
              ("list append", make_list, append, False), ("lock + release", make_lock, lock, True),
              ("one lock + release", make_lock, lock, False)]


def rate_of(operation, target):
    keys = random.choices(KEYS, k=4096)
    clock = time.perf_counter
    for key in keys[:20]:
        operation(target, key)
    begin = now = clock()
    count = 0
    while now - begin < SECONDS:
        operation(target, keys[count & 4095])
        count += 1
        now = clock()
    return count / (now - begin)


def client(operation, target, gate, rates, i):
    gate.wait()
    rates[i] = rate_of(operation, target)


def rate_of_many(operation, targets):
    gate = multiprocessing.Event()
    rates = multiprocessing.Array("d", len(targets))
    children = [multiprocessing.Process(target=client, args=(operation, target, gate, rates, i))
                for i, target in enumerate(targets)]
    for child in children:
        child.start()
    time.sleep(0.1)
    gate.set()
    for child in children:
        child.join()
    assert all(rates)
    return sum(rates)


def bench(where, suffix, address):
    with SyncManager(address=address) as manager:
        for name, make, operation, own in OPERATIONS:
            if where == "pinned":
                if name != "one lock + release":
                    report(f"{name}, 1 pinned{suffix}", rate_of(operation, make(manager)))
                continue
            if name != "one lock + release":
                rate = rate_of(operation, make(manager))
                report(f"{name}, 1 client{suffix}", rate)
                report(f"{name}, x100{suffix}", rate)
            one = make(manager)
            targets = [make(manager) if own else one for _ in range(CLIENTS)]
            report(f"{name}, 4 clients{suffix}", rate_of_many(operation, targets))


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    bench(sys.argv[1], "", None)
    bench(sys.argv[1], ", tcp", ("127.0.0.1", 0))
