"""The rival: CPython's multiprocessing, with the cases of bench_local.c."""
import multiprocessing
import sys
import time
from multiprocessing import shared_memory

INCREMENTS = 100000
ROUNDS = 2000


def report(case, unit, value):
    print(f"RES\tCPython\t{case}\t{unit}\t{value:.3f}", flush=True)


def increment(value, gate, n):
    gate.wait()
    for _ in range(n):
        with value.get_lock():
            value.value += 1


def bench_increments(processes):
    value = multiprocessing.Value("i", 0)
    gate = multiprocessing.Event()
    children = [multiprocessing.Process(target=increment,
                                        args=(value, gate, INCREMENTS // processes))
                for _ in range(processes)]
    for child in children:
        child.start()
    time.sleep(0.1)
    begin = time.perf_counter()
    gate.set()
    for child in children:
        child.join()
    seconds = time.perf_counter() - begin
    assert value.value == INCREMENTS
    report(f"Value += under its lock, {processes}", "k/s", INCREMENTS / seconds / 1000)


def bench_lock():
    lock = multiprocessing.Lock()
    n = 200000
    begin = time.perf_counter()
    for _ in range(n):
        lock.acquire()
        lock.release()
    report("Lock acquire + release", "ns", (time.perf_counter() - begin) / n * 1e9)


def event_echo(ping, pong):
    for _ in range(ROUNDS):
        ping.wait()
        ping.clear()
        pong.set()


def bench_event():
    ping, pong = multiprocessing.Event(), multiprocessing.Event()
    child = multiprocessing.Process(target=event_echo, args=(ping, pong))
    child.start()
    begin = time.perf_counter()
    for _ in range(ROUNDS):
        ping.set()
        pong.wait()
        pong.clear()
    report("Event there and back", "us", (time.perf_counter() - begin) / ROUNDS * 1e6)
    child.join()


def take_turns(condition, turn, mine):
    with condition:
        for _ in range(ROUNDS):
            while turn.value != mine:
                condition.wait()
            turn.value = 1 - mine
            condition.notify()


def bench_condition():
    condition = multiprocessing.Condition()
    turn = multiprocessing.Value("i", 0, lock=False)
    child = multiprocessing.Process(target=take_turns, args=(condition, turn, 1))
    child.start()
    begin = time.perf_counter()
    take_turns(condition, turn, 0)
    report("Condition there and back", "us", (time.perf_counter() - begin) / ROUNDS * 1e6)
    child.join()


def does_nothing():
    pass


def bench_start(method, n):
    context = multiprocessing.get_context(method)
    begin = 0
    for i in range(n + 1):
        if i == 1:
            begin = time.perf_counter()
        process = context.Process(target=does_nothing)
        process.start()
        process.join()
    report(f"Process start + join, {method}", "us", (time.perf_counter() - begin) / n * 1e6)


def bench_blocks(n):
    begin = 0
    for i in range(n + 1):
        if i == 1:
            begin = time.perf_counter()
        block = shared_memory.SharedMemory(create=True, size=1000)
        block.close()
        block.unlink()
    report("SharedMemory life", "us", (time.perf_counter() - begin) / n * 1e6)


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    if sys.argv[1] == "sync":
        bench_increments(1)
        bench_increments(4)
        bench_lock()
        bench_event()
        bench_condition()
    else:
        bench_start("fork", 100)
        bench_start("spawn", 10)
        bench_start("forkserver", 30)
        bench_blocks(2000)
