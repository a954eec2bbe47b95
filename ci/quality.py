#!/usr/bin/env python3
"""What quantization buys and costs on this machine: bytes, perplexity and divergence beside speed and the sessions that
fit, for a model in several weight types; and, for types of cache, the divergence along a context from a cache in F32,
whether a needle is found in it, and decode at depth.

  ci/quality.py BASE TEXT                      BASE: a GGUF file of 16 bits, or one whose decoded numbers are the base
  ci/quality.py BASE TEXT --weights Q8_0 int4:text --kv int8 int4 --ctx 8192 --work FOLDER --out quality.jsonl

The first two thirds of TEXT are scored, the rest calibrates. A weight type is given as TYPE, as TYPE:imatrix, with an
importance matrix of that rest, or as TYPE:text, with the rest itself (SmoothQuant, AWQ). Writes one JSON object a
figure to --out (default: standard output), which ci/charts.py draws, and tables in Markdown to standard error.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
WEIGHTS = ["F16", "Q8_0", "W8A8", "W8A8:text", "Q6_K:imatrix", "Q5_K_M:imatrix", "Q4_K_M", "Q4_K_M:imatrix",
           "Q3_K_M:imatrix", "IQ4_NL:imatrix", "Q4_0", "Q4_0:imatrix", "int4:text", "MXFP4:imatrix", "Q2_K:imatrix"]
NOTES = {"": "", "imatrix": " with imatrix", "text": " with a text"}


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
    more = {"": [], "imatrix": ["--imatrix", given["imatrix"]], "text": ["-f", given["text"]]}[how] if given else []
    whole = demitasse("quantize", base, out, "--weights", kind, "--overwrite", "--json", *more)[-1]
    return out, whole


def sessions(model, options):
    """How many sessions of 4,096 positions fit this machine's memory, by type of cache."""
    cells = demitasse("advise", "-m", model, "--json", *options)
    return {cell["cache"]: cell["sessionsThatFit"] for cell in cells if cell.get("weights") == "file"}


def weight_rows(base, text, files, arguments, emit):
    """Quality of files of weights, and the sessions that fit beside them."""
    rows = []
    for weights, (model, whole) in files.items():
        quality = demitasse("evaluate", model, "--base", base, "-f", text, "--json", *arguments.options)[0]
        rows.append({"figure": "weights", "weights": weights, "bytes": whole["bytes"],
                     "sessionsThatFit": sessions(model, arguments.options),
                     **{k: v for k, v in quality.items() if k not in ("curve", "needle", "model")}})
        emit(rows[-1])
    return rows


def speed_rows(files, arguments, emit):
    """Tokens/s of each file, the best of some turns in which all have theirs: a shared machine drifts for minutes."""
    best = {}
    for _ in range(arguments.turns):
        for weights, (model, _) in files.items():
            tests = demitasse("bench", "-m", model, "-p", 512, "-n", 64, "-r", 2, "--json", *arguments.options)
            for test in tests:
                kind = {"pp": "prefill", "tg": "decode"}[test["test"][:2]]
                row = best.setdefault(weights, {"figure": "speed", "weights": weights})
                row[kind] = max(row.get(kind, 0), test["max"])
    for row in best.values():
        emit(row)
    return best


def print_weights(rows, speeds):
    first = rows[0]
    fastest = speeds[first["weights"]]
    print("| weights | bits | MiB | perplexity | KL mean | KL 99 % | same top | decode | prefill | sessions |",
          file=sys.stderr)
    print("|---" * 10 + "|", file=sys.stderr)
    for row in rows:
        kind, _, how = row["weights"].partition(":")
        fit = row["sessionsThatFit"]
        speed = speeds[row["weights"]]
        print(f"| {kind}{NOTES[how]} | {row['bitsPerWeight']:.2f} | {row['bytes'] / 2**20:.0f}"
              f" | {row['perplexity']:.2f}"
              f" ({100 * (row['perplexity'] / first['basePerplexity'] - 1):+.1f} %) | {row['meanKld']:.4f}"
              f" ± {row['meanKldError']:.4f} | {row['kld99']:.3f} | {100 * row['sameTop']:.1f} %"
              f" | {speed['decode']:.0f} ({speed['decode'] / fastest['decode']:.1f} ×)"
              f" | {speed['prefill']:,.0f} ({speed['prefill'] / fastest['prefill']:.1f} ×)"
              f" | {fit['F16']} / {fit['INT8']} / {fit['INT4']} |", file=sys.stderr)


def cache_rows(base, text, arguments, emit):
    """Divergences along the context and needles in it, rotated and not."""
    rows = []
    for rotation in ["on", "off"]:
        found = demitasse("evaluate", base, "--base", base, "-f", text, "--ctx", arguments.ctx, "--curve", "--json",
                          "--base-kv-type", "f32", "--needle", "--kv-types", ",".join(arguments.kv),
                          "--kv-rotation", rotation, *arguments.options)
        for row in found:
            rows.append({"figure": "cache", **row})
            emit(rows[-1])
    return rows


def depth_rows(model, arguments, emit):
    """Decode at the end of the context."""
    rows = []
    depth = arguments.ctx * 7 // 8
    for kv in arguments.kv:
        speed = demitasse("bench", "-m", model, "-p", 0, "-n", 64, "-d", depth, "-r", 3, "--json", "--kv-type", kv,
                          *arguments.options)[-1]
        rows.append({"figure": "depth", "kv": kv, "depth": depth, "decode": speed["tokensPerSecond"],
                     "min": speed["min"], "max": speed["max"]})
        emit(rows[-1])
    return rows


def needle(found, probability):
    return f"{'found' if found else 'lost'}, {probability:.3f}"


def print_caches(rows, depths):
    count = len(rows[0]["curve"]) // 2
    print(f"\n| cache | KL mean | {' | '.join(f'{i + 1}/{count}' for i in range(count))} | perplexity |\n"
          + "|---" * (count + 3) + "|", file=sys.stderr)
    for row in rows:
        means = [part["meanKld"] for part in row["curve"]]
        pairs = [f"{(a + b) / 2:.4f}" for a, b in zip(means[0::2], means[1::2])]
        print(f"| {row['cache']} | {row['meanKld']:.4f} | {' | '.join(pairs)}"
              f" | {100 * (row['perplexity'] / row['basePerplexity'] - 1):+.1f} % |", file=sys.stderr)
    places = rows[0]["needle"]
    print("\n| needle at | " + " | ".join(f"{100 * place['depth']:.0f} %" for place in places) + " |\n"
          + "|---" * (len(places) + 1) + "|\n| f32 | "
          + " | ".join(needle(place["baseFound"], place["baseProbability"]) for place in places) + " |",
          file=sys.stderr)
    for row in rows:
        found = [needle(place["found"], place["probability"]) for place in row["needle"]]
        print(f"| {row['cache']} | {' | '.join(found)} |", file=sys.stderr)
    for row in depths:
        print(f"{row['kv']}: {row['decode']:.1f} tokens/s at a depth of {row['depth']} ({row['min']:.1f} to"
              f" {row['max']:.1f})", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--weights", nargs="*", default=WEIGHTS)
    parser.add_argument("--turns", type=int, default=3, help="in which each file's speed is measured")
    parser.add_argument("--only-speeds", action="store_true", help="of weights: without evaluating them")
    parser.add_argument("--kv", nargs="*", default=["f16", "int8", "fp8", "int4"])
    parser.add_argument("--ctx", type=int, default=8192)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.options = ["--backend", arguments.backend]
    out = open(arguments.out, "w", encoding="utf-8") if arguments.out else sys.stdout

    def emit(row):
        print(json.dumps(row), file=out, flush=True)

    with tempfile.TemporaryDirectory(dir=arguments.work) as name:
        folder = pathlib.Path(name)
        text = arguments.text.read_text(encoding="utf-8")
        cut = text.rfind("\n", 0, 2 * len(text) // 3) + 1
        (folder / "score.txt").write_text(text[:cut], encoding="utf-8")
        (folder / "calibrate.txt").write_text(text[cut:], encoding="utf-8")
        base, _ = quantized(arguments.base, "F16", {}, folder)
        base = base.rename(folder / "base.gguf")
        given = {"imatrix": folder / "imatrix.gguf", "text": folder / "calibrate.txt"}
        if arguments.weights:
            demitasse("imatrix", "-m", base, "-f", given["text"], given["imatrix"], *arguments.options)
            files = {weights: quantized(base, weights, given, folder) for weights in arguments.weights}
            speeds = speed_rows(files, arguments, emit)
            if not arguments.only_speeds:
                print_weights(weight_rows(base, folder / "score.txt", files, arguments, emit), speeds)
        if arguments.kv:
            eight, _ = quantized(base, "Q8_0", given, folder)
            rows = cache_rows(base, arguments.text, arguments, emit)
            print_caches(rows, depth_rows(eight, arguments, emit))


if __name__ == "__main__":
    main()
