#!/usr/bin/env python3
"""Draws the charts of docs/numbers.md as SVG, of the figures that ci/quality.py and ci/peers.py wrote:

  ci/charts.py docs/charts/{weights,cache}-sapphire-rapids.jsonl docs/charts/peers-zen3.jsonl --out docs/charts

(ci/quality_tables.py makes the tables; ci/figures.sh calls both.)

`weights.svg`: divergence against bytes; `cache.svg`: divergence along a context; `peers.svg`: tokens/s beside
llama.cpp's, as ratios. One of them is drawn where there are figures for it. Readable on light and on dark pages: the
background is transparent. Needs the Python package matplotlib.
"""
import argparse
import json
import pathlib
import sys

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402 (after the choice of what it draws to)

INK = "#808080"  # seen on white and on black
COLORS = ["#2f7ed8", "#d9822b", "#2ca05a", "#c04f7c", "#8467c7", "#b0902a"]
pyplot.rcParams.update({
    "svg.hashsalt": "demitasse", "svg.fonttype": "none", "font.size": 11, "text.color": INK, "axes.edgecolor": INK,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False,
    "axes.spines.right": False, "grid.color": INK, "grid.alpha": 0.3, "legend.frameon": False})


def figures(paths):
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines() if line]


def save(figure, path):
    figure.savefig(path, transparent=True, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    print(path)


def weights(rows, path):
    rows = [row for row in rows if row.get("figure") == "weights" and row["meanKld"] > 1e-8]
    if not rows:
        return
    figure, axes = pyplot.subplots(figsize=(7.5, 4.2))
    ways = {"": "plain", "exact": "plain, activations in FP32", "imatrix": "with an importance matrix",
            "text": "with a text (SmoothQuant, AWQ)"}
    for color, (how, name) in zip(COLORS, ways.items()):
        mine = [row for row in rows if row["weights"].partition(":")[2] == how]
        axes.errorbar([row["bytes"] / 2**20 for row in mine], [row["meanKld"] for row in mine],
                      [row["meanKldError"] for row in mine], fmt="o", color=color, label=name)
        side = -1 if how == "imatrix" else 1  # of its point, so that two of a size have room
        for row in mine:
            axes.annotate(row["weights"].partition(":")[0], (row["bytes"] / 2**20, row["meanKld"]),
                          (6 * side, 4), textcoords="offset points", fontsize=9, ha="left" if side > 0 else "right")
    axes.margins(x=0.12)
    axes.set(xlabel="MiB", ylabel="mean KL divergence from F16", yscale="log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.grid(True)
    axes.legend()
    save(figure, path)


def cache(rows, path):
    rows = [row for row in rows if row.get("figure") == "cache"]
    if not rows:
        return
    figure, axes = pyplot.subplots(figsize=(7.5, 4.2))
    kinds = sorted({row["cache"].partition(" ")[0] for row in rows})
    for row in sorted(rows, key=lambda row: row["cache"]):
        kind, _, rotated = row["cache"].partition(" ")
        axes.plot([(part["first"] + part["last"]) / 2 for part in row["curve"]],
                  [part["meanKld"] for part in row["curve"]], color=COLORS[kinds.index(kind)],
                  linestyle="-" if rotated else ":", label=kind.upper() + (", rotated" if rotated else ""))
    axes.set(xlabel="position in the context", ylabel=f"mean KL divergence from {rows[0]['baseCache'].upper()}",
             yscale="log")
    axes.grid(True)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=len(kinds))
    save(figure, path)


def peers(rows, path):
    rows = [row for row in rows if "llamaCpp" in row][::-1]  # bars are drawn from below
    if not rows:
        return
    figure, axes = pyplot.subplots(figsize=(5, 0.9 + 0.32 * len(rows)))
    names = []
    for place, row in enumerate(rows):
        prefill = row["test"].startswith("pp")
        axes.barh(place, row["ratio"], color=COLORS[0 if prefill else 1])
        axes.text(row["ratio"], place, f" {row['ratio']:.1f} × ({row['tokensPerSecond']:,.0f} tokens/s)", va="center",
                  fontsize=9)
        names.append(f"{row['model']} {'prefill' if prefill else 'decode'}"
                     + (f" at {row['depth']:,}" if row["depth"] else "")
                     + (f", {row['kv']} cache" if row["kv"] != "f16" else ""))
    axes.set_yticks(range(len(names)), names)
    axes.axvline(1, color=INK)
    axes.set_xlim(0, 1.5 * max(row["ratio"] for row in rows))
    axes.set(xlabel="times llama.cpp's tokens/s")
    save(figure, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=pathlib.Path, nargs="+")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    rows = figures(arguments.figures)
    for draw in (weights, cache, peers):
        draw(rows, arguments.out / f"{draw.__name__}.svg")


if __name__ == "__main__":
    sys.exit(main())
