"""What issue 6 wants of shared objects, beside what RES lines on stdin say: of each way of asking,
the ratio of the medians to a rival, its median over the operations and the worst of them. Says
nothing where they weren't measured."""
import statistics
import sys

LOCKS = ("lock + release", "one lock + release")
PLAIN = ("dict set", "dict get", "list append")
# way of asking, operations, rival, what is wanted
BARS = (("x100", PLAIN + LOCKS, "CPython", 10), ("x100", PLAIN + LOCKS, "Redis", 0.8),
        ("4 clients", PLAIN, "CPython", 1.5), ("4 clients", LOCKS, "CPython", 1.2),
        ("4 clients", PLAIN + LOCKS, "Redis", 0.8),
        ("1 pinned", PLAIN + LOCKS, "CPython", 1),
        *((way, PLAIN, rival, bar)
          for way in ("64 processes, durable", "4 x 16 threads, durable", "64 threads, durable")
          for rival, bar in (("LMDB", 0.3), (None, 10000))))

samples = {}
for line in sys.stdin:
    if line.startswith("RES\t"):
        _, peer, case, _, value = line.rstrip("\n").split("\t")
        samples.setdefault((peer, case), []).append(float(value))
medians = {key: statistics.median(values) for key, values in samples.items()}

lines = []
for way, operations, rival, bar in BARS:
    for peer in ("libmp", "libmp-zmq", "mp-broker"):
        for suffix in ("", ", tcp"):
            found = {}
            for operation in operations:
                case = f"{operation}, {way}{suffix}"
                if (peer, case) in medians and (rival is None or (rival, case) in medians):
                    found[operation] = medians[peer, case] / medians.get((rival, case), 1)
            if not found:
                continue
            worst = min(found, key=found.get)
            middle = statistics.median(found.values())
            what = "locks" if operations == LOCKS else "" if operations != PLAIN else "no locks"
            lines.append(f"{peer + suffix:<16} {way:<24} {what:<9} {rival or 'per s':<8} "
                         f"{middle:>9.2f} {bar:>8} {'yes' if middle >= bar else 'NO':<5} "
                         f"{found[worst]:.2f} {worst}")
if lines:
    print(f"\n{'peer':<16} {'how':<24} {'of':<9} {'beside':<8} {'median':>9} {'wanted':>8} "
          f"{'is it':<5} worst")
    print("\n".join(lines))
