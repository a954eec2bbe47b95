#!/usr/bin/env python3
"""What Demitasse and llama.cpp lose by quantizing, from the same base with the same texts, and how long both take:

  ci/quality_peers.py BASE TEXT --out docs/charts/quality-peers.jsonl

BASE and TEXT are those of ci/quality.py. Q4_K_M files of both, with and without one importance matrix, are evaluated
here; llama.cpp's cache in Q4_0, which it rotates, is compared with its own in F16 over one window; and both quantize in
turns: llama_model_quantize, Quantizer in a process that has run before (QuantizeBenchmark), and the whole command.
Needs a built command line and java/bench; installs llama-cpp-python as ci/peers.py does. All logits of a window are
held twice: Gemma 3's 262,144 tokens want a shorter --ctx. Writes one JSON object a figure.
"""
import argparse
import ctypes
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import peers
import quality

ROOT = quality.ROOT
MIX = "Q4_K_M"
RUNS = 8


def silence(llama):
    silent = llama.llama_log_callback(lambda *_: None)
    llama.llama_log_set(silent, ctypes.c_void_p(0))
    return silent


def quantize(base, out, imatrix, runs):
    """Seconds of each run."""
    import gguf
    import llama_cpp as llama

    silent = silence(llama)  # noqa: F841 (kept while it is called)
    parameters = llama.llama_model_quantize_default_params()
    parameters.ftype = llama.LLAMA_FTYPE_MOSTLY_Q4_K_M
    parameters.nthread = os.cpu_count()
    if imatrix:
        tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(imatrix).tensors}
        entries = []
        for name, sums in tensors.items():
            if name.endswith(".in_sum2"):
                matrix = name.removesuffix(".in_sum2")
                means = (sums / tensors[f"{matrix}.counts"].reshape(-1, 1)).astype("float32").ravel()
                entries.append((matrix.encode(), means))
        array = (llama.llama_model_imatrix_data * (len(entries) + 1))()
        for place, (matrix, means) in enumerate(entries):
            array[place].name = matrix
            array[place].data = means.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            array[place].size = means.size
        parameters.imatrix = array
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        if llama.llama_model_quantize(base.encode(), out.encode(), ctypes.byref(parameters)) != 0:
            sys.exit("llama_model_quantize failed")
        seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds))


def cache(base, path, window):
    """Divergence of a rotated Q4_0 cache from an F16 one, and perplexities."""
    import llama_cpp as llama
    import numpy as np

    def logits(kind):
        model = llama.Llama(base, n_ctx=window, n_batch=512, n_threads=os.cpu_count(), logits_all=True, type_k=kind,
                            type_v=kind, flash_attn=True, verbose=False)
        tokens = model.tokenize(text.encode(), add_bos=True)[:window]
        model.eval(tokens)
        return tokens, np.array(model.scores[: len(tokens)])

    text = pathlib.Path(path).read_text(encoding="utf-8")
    tokens, ours = logits(llama.GGML_TYPE_F16)
    _, theirs = logits(llama.GGML_TYPE_Q4_0)
    divergences, losses = [], {"basePerplexity": [], "perplexity": []}
    for position in range(len(tokens) - 1):
        rows = []
        for row in (ours[position], theirs[position]):
            row = row.astype(np.float64)
            top = row.max()
            rows.append(row - top - np.log(np.exp(row - top).sum()))
        divergences.append(float((np.exp(rows[0]) * (rows[0] - rows[1])).sum()))
        for name, row in zip(losses, rows):
            losses[name].append(-float(row[tokens[position + 1]]))
    print(json.dumps({"cache": "Q4_0", "ctx": len(tokens), "meanKld": float(np.mean(divergences)),
                      "meanKldError": float(np.std(divergences) / len(divergences) ** 0.5),
                      **{name: float(np.exp(np.mean(each))) for name, each in losses.items()}}))


def run_child(python, task, **arguments):
    done = subprocess.run([str(python), __file__, "--task", json.dumps({"task": task, **arguments})], text=True,
                          capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{task}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def benchmark(base):
    java = pathlib.Path(os.environ["JAVA_HOME"]) / "bin/java" if "JAVA_HOME" in os.environ else "java"
    done = subprocess.run([str(java), "--add-modules", "jdk.incubator.vector", "-cp",
                           f"{ROOT}/java/bench/target/classes:{ROOT}/java/cli/target/lib/*",
                           "dev.demitasse.bench.QuantizeBenchmark", str(base), MIX, str(RUNS)], text=True,
                          capture_output=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return [float(line) for line in done.stdout.split()]


def speeds(python, base, folder, turns, emit):
    """In each turn all three; of a process's runs the median of the second half."""
    for turn in range(turns):
        ours = benchmark(base)
        start = time.perf_counter()
        quality.demitasse("quantize", base, folder / "command.gguf", "--weights", MIX, "--overwrite", "--json")
        command = time.perf_counter() - start
        theirs = run_child(python, "quantize", base=str(base), out=str(folder / "peer.gguf"), imatrix=None, runs=RUNS)
        emit({"figure": "quantizing", "turn": turn, "demitasse": statistics.median(ours[RUNS // 2:]),
              "command": command, "llamaCpp": statistics.median(theirs[RUNS // 2:])})


def main():
    if sys.argv[1:2] == ["--task"]:
        task = json.loads(sys.argv[2])
        {"quantize": quantize, "cache": cache}[task.pop("task")](**task)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=pathlib.Path)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("--ctx", type=int, default=8192)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    python = peers.environment()
    out = open(arguments.out, "w", encoding="utf-8") if arguments.out else sys.stdout

    def emit(row):
        print(json.dumps(row), file=out, flush=True)

    with tempfile.TemporaryDirectory(dir=arguments.work) as name:
        folder = pathlib.Path(name)
        quality.split(arguments.text.read_text(encoding="utf-8"), folder)
        base, _ = quality.quantized(arguments.base, "F16", {}, folder)
        speeds(python, base, folder, arguments.turns, emit)
        imatrix = folder / "imatrix.gguf"
        quality.demitasse("imatrix", "-m", base, "-f", folder / "calibrate.txt", imatrix)
        for how, given in [(MIX, None), (f"{MIX}:imatrix", str(imatrix))]:
            ours, _ = quality.quantized(base, how, {"imatrix": imatrix}, folder)
            theirs = folder / "peer.gguf"
            run_child(python, "quantize", base=str(base), out=str(theirs), imatrix=given, runs=1)
            for by, model in [("demitasse", ours), ("llamaCpp", theirs)]:
                row = quality.demitasse("evaluate", model, "--base", base, "-f", folder / "score.txt", "--json")[0]
                emit({"figure": "peer-weights", "weights": how, "by": by, "bytes": model.stat().st_size,
                      **{key: row[key] for key in ("meanKld", "meanKldError", "perplexity", "basePerplexity")}})
        emit({"figure": "peer-cache",
              **run_child(python, "cache", base=str(base), path=str(arguments.text), window=arguments.ctx)})


if __name__ == "__main__":
    main()
