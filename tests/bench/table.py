"""Medians and ratios of RES lines on stdin. The ratios say how many times better libmp is, libmp
with its lanes switched off or over ipc, and an mp-broker, where they were measured."""
import statistics
import sys

OURS = ("libmp", "libmp-zmq", "libmp-ipc", "libmp-data", "libmp-curve", "curve+data", "mp-broker")
SHOWN = ("libmp", "libmp-zmq", "libmp-ipc", "libmp-curve", "mp-broker")

samples = {}
for line in sys.stdin:
    if line.startswith("RES\t"):
        _, peer, case, unit, value = line.rstrip("\n").split("\t")
        samples.setdefault((case, unit), {}).setdefault(peer, []).append(float(value))


def better(unit, ours, rival):
    return f"{rival / ours if unit in ('us', 'ns', 'ms') else ours / rival:.1f} x"


print(f"\n{'case':<34} {'unit':<5} {'peer':<11} {'median':>12} {'min':>12} {'max':>12}"
      f" {'libmp is':>10} {'-zmq is':>9} {'-ipc is':>9} {'-curve is':>9} {'broker is':>10}")
for (case, unit), peers in samples.items():
    medians = {peer: statistics.median(values) for peer, values in peers.items()}
    for peer, values in peers.items():
        ratios = ["" if peer in OURS or ours not in medians
                  else better(unit, medians[ours], medians[peer]) for ours in SHOWN]
        print(f"{case:<34} {unit:<5} {peer:<11} {medians[peer]:>12.1f} {min(values):>12.1f} "
              f"{max(values):>12.1f} {ratios[0]:>10} {ratios[1]:>9} {ratios[2]:>9} {ratios[3]:>9} "
              f"{ratios[4]:>10}")
