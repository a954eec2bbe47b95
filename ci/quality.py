#!/usr/bin/env python3
"""What quantization buys and costs on this machine: bytes, perplexity and divergence beside speed and the sessions that
fit, for a model in several weight types; and, for types of cache, the divergence along a context from a cache in F32,
whether a needle is found in it, and decode at depth.

  ci/quality.py BASE TEXT                      BASE: a GGUF file of 16 bits, or one whose decoded numbers are the base
  ci/quality.py BASE TEXT --weights Q8_0 int4:text --kv int8 int4 --ctx 8192 --work FOLDER --out quality.jsonl

The first two thirds of TEXT are scored, the rest calibrates. A weight type is given as TYPE, as TYPE:imatrix, with an
importance matrix of that rest, as TYPE:text, with the rest itself (SmoothQuant, AWQ), or as TYPE:exact, evaluated with
activations in FP32. Writes one JSON object a figure to --out (default: standard output), of which ci/charts.py draws
charts and ci/quality_tables.py makes tables, and these to standard error.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import quality_tables

ROOT = pathlib.Path(__file__).resolve().parent.parent
WEIGHTS = ["F16", "Q8_0:exact", "Q8_0", "W8A8", "W8A8:text", "Q6_K:imatrix", "Q5_K_M:imatrix", "Q4_K_M",
           "Q4_K_M:imatrix", "Q3_K_M:imatrix", "IQ4_NL:imatrix", "Q4_0", "Q4_0:imatrix", "int4:text", "MXFP4:imatrix",
           "Q2_K:imatrix"]


def demitasse(*arguments):
    """The JSON lines that a command prints."""
    done = subprocess.run([str(ROOT / "demitasse"), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"demitasse {' '.join(map(str, arguments))}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def quantized(base, weights, given, folder):
    """A file of weights `TYPE`, `TYPE:imatrix` or `TYPE:text`, and what `quantize` says of it."""
    kind, _, how = weights.partition(":")
    out = folder / f"{kind}-{how or 'plain'}.gguf"
    option = {"imatrix": "--imatrix", "text": "-f"}.get(how)
    more = [option, given[how]] if option else []
    whole = demitasse("quantize", base, out, "--weights", kind, "--overwrite", "--json", *more)[-1]
    return out, whole


def split(text, folder):
    """The part that is scored, and the part that calibrates."""
    cut = text.rfind("\n", 0, 2 * len(text) // 3) + 1
    (folder / "score.txt").write_text(text[:cut], encoding="utf-8")
    (folder / "calibrate.txt").write_text(text[cut:], encoding="utf-8")


def sessions(model, memory, options):
    """How many sessions of 4,096 positions fit, by type of cache."""
    cells = demitasse("advise", "-m", model, "--memory", memory, "--json", *options)
    return {cell["cache"]: cell["sessionsThatFit"] for cell in cells if cell.get("weights") == "file"}


def weight_rows(base, text, files, arguments, emit):
    """Quality of files of weights, and the sessions that fit beside them."""
    for weights, (model, whole) in files.items():
        exact = ["--activations", "f32"] if weights.endswith(":exact") else []
        quality = demitasse("evaluate", model, "--base", base, "-f", text, "--json", *exact, *arguments.options)[0]
        emit({"figure": "weights", "weights": weights, "bytes": whole["bytes"],
              "sessionsThatFit": sessions(model, arguments.memory, arguments.options),
              **{k: v for k, v in quality.items() if k not in ("curve", "needle", "model")}})


def speed_rows(files, arguments, emit):
    """Tokens/s of each file, medians of turns in which all have theirs: a shared machine drifts for minutes."""
    found = {}
    for _ in range(arguments.turns):
        for weights, (model, _) in files.items():
            if weights.endswith(":exact"):
                continue  # the speed of such weights is that of others' activations
            tests = demitasse("bench", "-m", model, "-p", 512, "-n", 256, "-r", 3, "--json", *arguments.options)
            for test in tests:
                kind = {"pp": "prefill", "tg": "decode"}[test["test"][:2]]
                found.setdefault(weights, {}).setdefault(kind, []).append(test["tokensPerSecond"])
    for weights, speeds in found.items():
        emit({"figure": "speed", "weights": weights,
              **{kind: statistics.median(each) for kind, each in speeds.items()},
              **{f"{kind}OfTurns": each for kind, each in speeds.items()}})


def cache_rows(base, text, arguments, emit):
    """Divergences along the context and needles in it, rotated and not."""
    for rotation in ["on", "off"]:
        found = demitasse("evaluate", base, "--base", base, "-f", text, "--ctx", arguments.ctx, "--curve", "--json",
                          "--base-kv-type", "f32", "--needle", "--kv-types", ",".join(arguments.kv),
                          "--kv-rotation", rotation, *arguments.options)
        for row in found:
            emit({"figure": "cache", **{k: v for k, v in row.items() if k != "model"}})


def depth_rows(model, arguments, emit):
    """Decode at the end of the context: medians of turns in which all types of cache have theirs."""
    depth = arguments.ctx * 7 // 8
    found = {kv: [] for kv in arguments.kv}
    for _ in range(arguments.turns):
        for kv in arguments.kv:
            found[kv] += demitasse("bench", "-m", model, "-p", 0, "-n", 64, "-d", depth, "-r", 2, "--json", "--kv-type",
                                   kv, *arguments.options)
    for kv, turns in found.items():
        emit({"figure": "depth", "kv": kv, "depth": depth,
              "decode": statistics.median(turn["tokensPerSecond"] for turn in turns),
              "min": min(turn["min"] for turn in turns), "max": max(turn["max"] for turn in turns),
              "turns": len(turns)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--weights", nargs="*", default=WEIGHTS)
    parser.add_argument("--turns", type=int, default=5, help="in which each file's speed is measured")
    parser.add_argument("--only-speeds", action="store_true", help="of weights: without evaluating them")
    parser.add_argument("--kv", nargs="*", default=["f16", "int8", "fp8", "int4"])
    parser.add_argument("--ctx", type=int, default=8192)
    parser.add_argument("--memory", type=float, default=16, help="GiB that sessions and weights have together")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.options = ["--backend", arguments.backend]
    out = open(arguments.out, "w", encoding="utf-8") if arguments.out else sys.stdout

    rows = []

    def emit(row):
        rows.append(row)
        print(json.dumps(row), file=out, flush=True)

    with tempfile.TemporaryDirectory(dir=arguments.work) as name:
        folder = pathlib.Path(name)
        split(arguments.text.read_text(encoding="utf-8"), folder)
        base, _ = quantized(arguments.base, "F16", {}, folder)
        base = base.rename(folder / "base.gguf")
        given = {"imatrix": folder / "imatrix.gguf", "text": folder / "calibrate.txt"}
        if arguments.weights:
            demitasse("imatrix", "-m", base, "-f", given["text"], given["imatrix"], *arguments.options)
            files = {weights: quantized(base, weights, given, folder) for weights in arguments.weights}
            speed_rows(files, arguments, emit)
            if not arguments.only_speeds:
                weight_rows(base, folder / "score.txt", files, arguments, emit)
        if arguments.kv:
            cache_rows(base, arguments.text, arguments, emit)
            depth_rows(arguments.base, arguments, emit)
    figures = {row["figure"] for row in rows}
    for kind, figure in [("weights", "weights"), ("cache", "cache"), ("needle", "cache"), ("depth", "depth")]:
        if figure in figures:
            print(quality_tables.KINDS[kind](rows, []), file=sys.stderr)


if __name__ == "__main__":
    main()
