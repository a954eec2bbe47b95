#!/usr/bin/env python3
"""Figures of a run of ci/gpu.sh as tables in Markdown, with what they are measured against.

  cuda/bench/table.py FILE.jsonl ... > table.md

Bandwidth is per cent of the read-only bandwidth that PyTorch measured in the same run; `x` is the peer's time over
Demitasse's, for the quickest peer of that shape, or Demitasse's tokens a second over llama.cpp's. A dash: there is no
such figure in the files.
"""
import json
import sys

PEERS = {"linear": ("fp16 matmul", "_int_mm", "_scaled_mm fp8", "_weight_int4pack_mm"), "attention": ("sdpa decode",)}
PEER = "llama.cpp"
SHAPE = {"linear": ("rows", "outputs", "columns"), "attention": ("sequences", "depth")}


def number(value, digits=1):
    return "–" if value is None else f"{value:.{digits}f}"


def share(value, limit):
    return "–" if value is None or limit is None else f"{100 * value / limit:.0f} %"


def line(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def head(title, *columns):
    print(f"\n## {title}\n")
    line(*columns)
    line(*("---" for _ in columns))


def quickest_peers(figures, operation):
    """The quickest peer of each shape."""
    peers = {}
    for figure in figures:
        if figure["backend"] == "torch" and figure.get("operation") in PEERS[operation]:
            shape = tuple(figure[name] for name in SHAPE[operation])
            if shape not in peers or figure["microseconds"] < peers[shape]["microseconds"]:
                peers[shape] = figure
    return peers


def operations(figures, operation, columns, limit):
    own = [f for f in figures if f["backend"] != "torch" and f.get("operation") == operation]
    if not own:
        return
    peers = quickest_peers(figures, operation)
    head(operation, *columns, *SHAPE[operation], "µs", "GB/s", "of read", "TOP/s", "quickest peer", "x")
    for f in own:
        peer = peers.get(tuple(f[name] for name in SHAPE[operation]))
        line(*(f[c] for c in columns), *(f[c] for c in SHAPE[operation]), number(f["microseconds"], 2),
             number(f["gigabytesPerSecond"]), share(f["gigabytesPerSecond"], limit),
             number(f.get("teraoperationsPerSecond"), 2),
             "–" if peer is None else f"{peer['operation']} {peer['microseconds']:.2f} µs",
             "–" if peer is None else f"{peer['microseconds'] / f['microseconds']:.2f}")


def samples(figures):
    own = [f for f in figures if f.get("operation") == "sample"]
    if own:
        head("sample", "draw", "sequences", "columns", "µs")
        for f in own:
            line(f["draw"], f["sequences"], f["columns"], number(f["microseconds"], 2))


def models(figures, limit):
    columns = ("backend", "model", "type", "cache")
    own = [f for f in figures if f["backend"] != PEER]
    peers = {(f["operation"], f["model"], f["type"], f["tokens"] if f["operation"] == "prefill" else f["depth"]): f
             for f in figures if f["backend"] == PEER and (f["operation"] == "decode" or f["depth"] == 0)}
    prefill = [f for f in own if f.get("operation") == "prefill"]
    decode = [f for f in own if f.get("operation") == "decode"]

    def beside(f, size):
        peer = peers.get((f["operation"], f["model"], f["type"], size)) if f["cache"] == "F16" else None
        speed = None if peer is None else peer["tokensPerSecond"]
        return number(speed), number(speed and f["tokensPerSecond"] / speed, 2)

    if prefill:
        head("prefill", *columns, "tokens", "tokens/s", "llama.cpp", "x")
        for f in prefill:
            line(*(f[c] for c in columns), f["tokens"], number(f["tokensPerSecond"]), *beside(f, f["tokens"]))
    if decode:
        head("decode", *columns, "sequences", "depth", "tokens/s", "llama.cpp", "x", "ms a step", "weights GB/s",
             "of read", "kernels a step", "ms on the GPU", "ms elsewhere")
        for f in decode:
            depth = None if f["sequences"] > 1 else 0 if f["depth"] == 1 else f["depth"]
            line(*(f[c] for c in columns), f["sequences"], f["depth"], number(f["tokensPerSecond"]),
                 *beside(f, depth), number(f["millisecondsPerStep"], 3), number(f["weightGigabytesPerSecond"]),
                 share(f["weightGigabytesPerSecond"], limit), number(f.get("kernelsPerStep"), 0),
                 number(f.get("gpuMillisecondsPerStep"), 3), number(f.get("otherMillisecondsPerStep"), 3))


def main():
    figures = []
    for name in sys.argv[1:]:
        with open(name, encoding="utf-8") as file:
            figures += [json.loads(text) for text in file if text.strip()]
    bandwidth = {f["operation"]: f["gigabytesPerSecond"] for f in figures
                 if f.get("operation", "").endswith("Bandwidth")}
    limit = bandwidth.get("readBandwidth")
    print("# Figures of one run\n")
    print(f"Read-only bandwidth {number(limit)} GB/s, copies {number(bandwidth.get('copyBandwidth'))} GB/s (PyTorch).")
    operations(figures, "linear", ("weights", "activations", "results", "instructions"), limit)
    operations(figures, "attention", ("cache",), limit)
    samples(figures)
    models(figures, limit)


if __name__ == "__main__":
    main()
