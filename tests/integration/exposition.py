#!/usr/bin/env python3
"""Reads Prometheus' text format, version 0.0.4, as strictly as it is written down, and prints
each sample: name{label="value"} number. Exit status 1: it isn't that."""
import math, re, sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}


def number(text):
    if text in ("+Inf", "-Inf", "NaN"):
        return float(text.replace("Inf", "inf"))
    if not re.fullmatch(r"-?\d+(\.\d+)?(e[-+]?\d+)?", text):
        raise ValueError(f"no number: {text}")
    return float(text)


def check_histogram(name, samples):
    """samples: (suffix, labels without le, le, value)"""
    series = {}
    for suffix, labels, le, value in samples:
        series.setdefault(labels, {}).setdefault(suffix, []).append((le, value))
    for labels, parts in series.items():
        assert set(parts) == {"_bucket", "_sum", "_count"}, (name, labels, set(parts))
        assert len(parts["_sum"]) == len(parts["_count"]) == 1, (name, labels)
        bounds = [le for le, _ in parts["_bucket"]]
        counts = [value for _, value in parts["_bucket"]]
        assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, (name, bounds)
        assert counts == sorted(counts), (name, labels, "buckets are cumulative")
        assert counts[-1] == parts["_count"][0][1], (name, labels, "+Inf is the count")
        assert (parts["_sum"][0][1] > 0) <= (counts[-1] > 0), (name, labels)


def check(text):
    assert text.endswith("\n"), "the last line has no end"
    families, samples, seen, current = {}, {}, set(), None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            current = line.split(" ", 3)[2]
            assert re.fullmatch(NAME, current) and len(line.split(" ", 3)[3]) > 3, line
            assert current not in families, f"{current} comes twice"
            families[current] = None
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and families[name] is None and kind in TYPES, line
            families[name] = kind
            continue
        assert line and not line.startswith("#"), f"what is {line!r}?"
        match = SAMPLE.fullmatch(line)
        assert match, f"no sample: {line!r}"
        name, labels, value = match[1], match[2] or "", number(match[match.lastindex])
        assert (name, labels) not in seen, f"twice: {line}"
        seen.add((name, labels))
        kind = families[current]
        suffix = name[len(current):]
        allowed = {"_bucket", "_sum", "_count"} if kind == "histogram" else {""}
        assert name.startswith(current) and suffix in allowed, f"{name} is not of {current}"
        assert current.startswith("mp_"), current
        assert (kind == "counter") == current.endswith("_total"), f"{current} is a {kind}"
        assert value >= 0 and not math.isnan(value), line
        pairs = re.findall(LABEL, labels)
        le = [number(v) for n, v in pairs if n == "le"]
        assert bool(le) == (suffix == "_bucket"), line
        others = tuple(pair for pair in pairs if pair[0] != "le")
        samples.setdefault(current, []).append((suffix, others, le[0] if le else 0, value))
        print(line)
    for name, kind in families.items():
        assert kind, f"{name} has no type"
        if kind == "histogram":
            check_histogram(name, samples.get(name, []))


if __name__ == "__main__":
    check(open(sys.argv[1], encoding="utf-8", newline="").read())
