"""Medians and ratios of RES lines on stdin. The ratio says how many times better libmp is."""
import statistics
import sys

samples = {}
for line in sys.stdin:
    if line.startswith("RES\t"):
        _, peer, case, unit, value = line.rstrip("\n").split("\t")
        samples.setdefault((case, unit), {}).setdefault(peer, []).append(float(value))

print(f"\n{'case':<34} {'unit':<8} {'peer':<10} {'median':>12} {'min':>12} {'max':>12}  libmp is")
for (case, unit), peers in samples.items():
    ours = statistics.median(peers["libmp"])
    for peer, values in peers.items():
        median = statistics.median(values)
        better = median / ours if unit in ("us", "ns") else ours / median
        ratio = "" if peer == "libmp" else f"{better:.1f} x"
        print(f"{case:<34} {unit:<8} {peer:<10} {median:>12.1f} {min(values):>12.1f} "
              f"{max(values):>12.1f}  {ratio}")
