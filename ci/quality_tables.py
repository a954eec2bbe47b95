#!/usr/bin/env python3
"""Writes tables of figures that ci/quality.py took into Markdown files:

  ci/quality_tables.py README.md docs/numbers.md
  ci/quality_tables.py --check README.md docs/numbers.md     writes nothing, and fails where one is not of its figures

What stands between `<!-- table KIND FILE [TYPE…] -->` and `<!-- end -->` is replaced by the table of FILE's figures
(beside the Markdown file), of the weights that are named or of all. Kinds: weights, cache, needle, depth.
"""
import json
import pathlib
import re
import sys

NOTES = {"": "", "imatrix": " with imatrix", "text": " with a text", "exact": ", activations in FP32"}
MARK = re.compile(r"(<!-- table (\w+) (\S+)([^>]*) -->\n).*?(<!-- end -->)", re.S)


def table(head, rows):
    lines = ["| " + " | ".join(row) + " |\n" for row in [head, *rows]]
    return lines[0] + "|---" * len(head) + "|\n" + "".join(lines[1:])


def of(rows, figure, wanted=()):
    return [row for row in rows if row["figure"] == figure and (not wanted or row["weights"] in wanted)]


def small(value):
    """Four places, or two digits that count."""
    return f"{value:.4f}" if value >= 0.001 else f"{value:.2g}"


def more(row, base):
    """How much higher a perplexity is than the base's."""
    return f"{100 * (row['perplexity'] / base['basePerplexity'] - 1):+.1f} %".replace("-0.0", "+0.0").replace("-", "−")


def name(row):
    kind, _, how = row["weights"].partition(":")
    return kind + NOTES[how]


def weights(rows, wanted):
    """Quality, speed, and the sessions that fit, a line a type of weights."""
    speeds = {row["weights"]: row for row in of(rows, "speed")}
    quality = of(rows, "weights")
    first = quality[0]
    fastest = next(iter(speeds.values()))

    def speed(row, kind):
        mine = speeds.get(row["weights"])
        return f"{mine[kind]:,.0f} ({mine[kind] / fastest[kind]:.1f} ×)" if mine else ""

    return table(
        ["weights", "bits", "MiB", "perplexity", "KL mean", "KL 99 %", "same top", "decode", "prefill", "sessions"],
        [[name(row), f"{row['bitsPerWeight']:.2f}", f"{row['bytes'] / 2**20:.0f}",
          f"{row['perplexity']:.2f} ({more(row, first)})",
          f"{small(row['meanKld'])} ± {row['meanKldError']:.4f}" if row["meanKld"] > 1e-8 else "0",
          f"{row['kld99']:.3f}", f"{100 * row['sameTop']:.1f} %", speed(row, "decode"), speed(row, "prefill"),
          " / ".join(str(row["sessionsThatFit"][cache]) for cache in ("F16", "INT8", "INT4"))]
         for row in of(rows, "weights", wanted)])


def cache(rows, _):
    """Divergence along a context, a line a type of cache."""
    found = of(rows, "cache")
    eighths = len(found[0]["curve"]) // 2
    lines = []
    for row in found:
        means = [part["meanKld"] for part in row["curve"]]
        pairs = [small((a + b) / 2) for a, b in zip(means[0::2], means[1::2])]
        lines.append([row["cache"], small(row["meanKld"]), *pairs,
                      more(row, row)])
    return table(["cache", "KL mean", *(f"{i + 1}/{eighths}" for i in range(eighths)), "perplexity"], lines)


def needle(rows, _):
    """What became of a needle at several depths, and its probability."""
    found = of(rows, "cache")
    places = found[0]["needle"]

    def told(place, base):
        there, probability = (place["baseFound"], place["baseProbability"]) if base else (
            place["found"], place["probability"])
        return f"{'found' if there else 'lost'}, {probability:.2g}"

    return table(
        ["needle at", *(f"{100 * place['depth']:.0f} %" for place in places)],
        [[found[0]["baseCache"], *(told(place, True) for place in places)],
         *([row["cache"], *(told(place, False) for place in row["needle"])] for row in found)])


def depth(rows, _):
    """Decode at the end of a context, a line a type of cache."""
    return table(["cache", "tokens before", "tokens/s", "of all runs"],
                 [[row["kv"].upper(), f"{row['depth']:,}", f"{row['decode']:.1f}",
                   f"{row['min']:.1f} to {row['max']:.1f}"] for row in of(rows, "depth")])


KINDS = {"weights": weights, "cache": cache, "needle": needle, "depth": depth}


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def main():
    check = sys.argv[1:2] == ["--check"]
    stale = []
    for path in map(pathlib.Path, sys.argv[2 if check else 1:]):
        text = path.read_text(encoding="utf-8")
        made = MARK.sub(lambda m: m[1] + KINDS[m[2]](read(path.parent / m[3]), m[4].split()) + m[5], text)
        if check and made != text:
            stale.append(str(path))
        elif not check:
            path.write_text(made, encoding="utf-8")
    if stale:
        sys.exit(f"Tables in {', '.join(stale)} are not of their figures; ci/figures.sh makes them.")


if __name__ == "__main__":
    main()
