#!/usr/bin/env python3
"""What quantization buys and costs on this machine: bytes, perplexity and divergence beside speed, for a model in
several weight types, and the divergence along a context for types of cache.

  ci/quality.py BASE TEXT                      BASE: a GGUF file of 16 bits, or one whose decoded numbers are the base
  ci/quality.py BASE TEXT --weights Q8_0 Q4_K_M --kv int8 fp8 --ctx 8192 --work FOLDER

The first two thirds of TEXT are scored, the rest calibrates. Writes one JSON object a figure to --out (default:
standard output) and tables in Markdown to standard error.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
WEIGHTS = ["F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_NL", "Q4_0", "MXFP4", "Q3_K_M", "Q2_K"]


def demitasse(*arguments):
    """The JSON lines that a command prints."""
    done = subprocess.run([str(ROOT / "demitasse"), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"demitasse {' '.join(map(str, arguments))}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def speeds(model, options):
    tests = demitasse("bench", "-m", model, "-p", 512, "-n", 64, "-r", 3, "--json", *options)
    return {line["test"][:2]: line["tokensPerSecond"] for line in tests}


def quantized(base, weights, imatrix, folder):
    out = folder / f"{weights}{'-imatrix' if imatrix else ''}.gguf"
    more = ["--imatrix", imatrix] if imatrix else []
    whole = demitasse("quantize", base, out, "--weights", weights, "--overwrite", "--json", *more)[-1]
    return out, whole


def weight_rows(base, text, imatrix, arguments, folder, emit):
    rows = []
    for weights in arguments.weights:
        integers = weights not in ("F32", "F16", "BF16")
        for matrix in [None, imatrix] if integers and weights != "Q8_0" else [None]:
            model, whole = quantized(base, weights, matrix, folder)
            quality = demitasse("evaluate", model, "--base", base, "-f", text, "--json", *arguments.options)[0]
            speed = speeds(model, arguments.options)
            rows.append({"weights": weights, "imatrix": matrix is not None, "bytes": whole["bytes"],
                         "bitsPerWeight": whole["bitsPerWeight"], "prefill": speed["pp"], "decode": speed["tg"],
                         **{k: v for k, v in quality.items() if k != "curve"}})
            emit(rows[-1])
            model.unlink()
    return rows


def print_weights(rows):
    first = rows[0]
    print("| weights | bits | MiB | perplexity | KL mean | KL 99 % | same top | decode | prefill |", file=sys.stderr)
    print("|---" * 9 + "|", file=sys.stderr)
    for row in rows:
        name = row["weights"] + (" with imatrix" if row["imatrix"] else "")
        print(f"| {name} | {row['bitsPerWeight']:.2f} | {row['bytes'] / 2**20:.0f} | {row['perplexity']:.2f}"
              f" ({100 * (row['perplexity'] / first['basePerplexity'] - 1):+.1f} %) | {row['meanKld']:.4f}"
              f" ± {row['meanKldError']:.4f} | {row['kld99']:.3f} | {100 * row['sameTop']:.1f} %"
              f" | {row['decode']:.0f} ({row['decode'] / first['decode']:.2f} ×)"
              f" | {row['prefill']:.0f} ({row['prefill'] / first['prefill']:.2f} ×) |", file=sys.stderr)


def cache_rows(base, text, arguments, emit):
    rows = []
    for kv in arguments.kv:
        row = demitasse("evaluate", base, "--base", base, "-f", text, "--ctx", arguments.ctx, "--curve", "--json",
                        "--kv-type", kv, "--base-kv-type", "f32", *arguments.options)[0]
        rows.append({"kv": kv, **row})
        emit(rows[-1])
    return rows


def print_caches(rows):
    ends = [f"… {part['last'] + 1}" for part in rows[0]["curve"]][1::2]
    print(f"\n| cache | KL mean | {' | '.join(ends)} |\n" + "|---" * (len(ends) + 2) + "|", file=sys.stderr)
    for row in rows:
        means = [part["meanKld"] for part in row["curve"]]
        pairs = [f"{(a + b) / 2:.5f}" for a, b in zip(means[0::2], means[1::2])]
        print(f"| {row['kv']} | {row['meanKld']:.5f} | {' | '.join(pairs)} |", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--weights", nargs="*", default=WEIGHTS)
    parser.add_argument("--kv", nargs="*", default=["f16", "int8", "fp8"])
    parser.add_argument("--ctx", type=int, default=8192)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    arguments.options = ["--backend", arguments.backend]
    out = open(arguments.out, "a", encoding="utf-8") if arguments.out else sys.stdout

    def emit(row):
        print(json.dumps(row), file=out, flush=True)

    with tempfile.TemporaryDirectory(dir=arguments.work) as name:
        folder = pathlib.Path(name)
        text = arguments.text.read_text(encoding="utf-8")
        cut = text.rfind("\n", 0, 2 * len(text) // 3) + 1
        (folder / "score.txt").write_text(text[:cut], encoding="utf-8")
        (folder / "calibrate.txt").write_text(text[cut:], encoding="utf-8")
        base, _ = quantized(arguments.base, "F16", None, folder)
        base = base.rename(folder / "base.gguf")
        if arguments.weights:
            imatrix = folder / "imatrix.gguf"
            demitasse("imatrix", "-m", base, "-f", folder / "calibrate.txt", imatrix, *arguments.options)
            rows = weight_rows(base, folder / "score.txt", imatrix, arguments, folder, emit)
            print_weights(rows)
        if arguments.kv:
            print_caches(cache_rows(base, arguments.text, arguments, emit))


if __name__ == "__main__":
    main()
