#!/usr/bin/env python3
"""Demitasse beside llama.cpp, in turns, on the same files: prefill of 512 and decode of 128 tokens, at depths, threads,
cache types.

  ci/peers.py                                  SmolLM2 as it is, and re-quantized to Q8_0 and Q4_0; Gemma
  ci/peers.py --models FILE.gguf … --depths 0 2048 --threads 1 2 --kv f16 q8
  ci/peers.py --synthetic llama-3.2-1b:Q4_0 qwen3-4b:Q4_K qwen3-30b-a3b-6-layers:Q4_K
                                               random weights in real shapes, larger than any cache

Installs llama-cpp-python (it compiles; minutes) and gguf into a virtual environment in the cache folder at the first
run. Writes one JSON object a figure to --out (default: standard output) and a table of medians and ratios to standard
error.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("DEMITASSE_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "demitasse")
PEER = "llama-cpp-python==0.3.36"

# hidden, layers, heads, key heads, head elements, feed-forward, vocabulary, RoPE base, experts, experts of a token
SHAPES = {
    "llama-3.2-1b": ("llama", 2048, 16, 32, 8, 64, 8192, 128256, 500000.0, 0, 0),
    "qwen3-4b": ("qwen3", 2560, 36, 32, 8, 128, 9728, 151936, 1000000.0, 0, 0),
    "qwen3-30b-a3b-6-layers": ("qwen3moe", 2048, 6, 32, 4, 128, 768, 151936, 1000000.0, 128, 8),
    "qwen35-24-layers": ("qwen35", 2048, 24, 8, 2, 256, 6144, 151936, 10000000.0, 0, 0),
}
# Gated delta nets, which are three of four layers: heads of keys and of values, elements of a head, kernel
DELTA_NETS = {"qwen35": (16, 16, 128, 4)}
# bytes of a block, its elements, and where its FP16 scales are
TYPES = {"Q4_0": (18, 32, (0,)), "Q8_0": (34, 32, (0,)), "Q4_K": (144, 256, (0, 2))}


def environment():
    """The virtual environment's Python, made and filled where it is not there."""
    home = pathlib.Path(os.environ.get("DEMITASSE_PEERS", CACHE / "peers"))
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    if subprocess.run([str(python), "-c", "import llama_cpp, gguf, numpy"], capture_output=True).returncode != 0:
        print(f"Installing {PEER} (it compiles; minutes) …", file=sys.stderr)
        subprocess.run([str(python), "-m", "pip", "install", "-q", PEER, "gguf", "numpy"], check=True)
    return python


def child(arguments):
    """One of the steps that need the environment, as JSON on the command line."""
    task = json.loads(arguments)
    {"measure": measure_llama, "quantize": quantize, "synthesize": synthesize}[task.pop("task")](**task)


def measure_llama(model, test, depth, threads, kv, runs):
    import llama_cpp as llama

    silent = llama.llama_log_callback(lambda *_: None)
    llama.llama_log_set(silent, None)
    loaded = llama.llama_model_load_from_file(model.encode(), llama.llama_model_default_params())
    p = llama.llama_context_default_params()
    p.n_ctx, p.n_batch, p.n_ubatch, p.n_threads, p.n_threads_batch = depth + 1024, 2048, 512, threads, threads
    if kv == "q8":
        p.type_k = p.type_v = llama.GGML_TYPE_Q8_0
        p.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_ENABLED
    context = llama.llama_init_from_model(loaded, p)
    memory = llama.llama_get_memory(context)

    def decode(tokens):
        array = (llama.llama_token * len(tokens))(*tokens)
        if llama.llama_decode(context, llama.llama_batch_get_one(array, len(tokens))) != 0:
            sys.exit("llama_decode failed")

    speeds = []
    for run in range(runs + 1):
        llama.llama_memory_clear(memory, True)
        for at in range(0, depth, 512):
            decode([100 + (at + i) % 1000 for i in range(min(512, depth - at))])
        if test == "tg128":
            decode([7])
        llama.llama_synchronize(context)
        start = time.perf_counter()
        if test == "pp512":
            decode([100 + i for i in range(512)])
        else:
            for i in range(128):
                decode([100 + i])
        llama.llama_synchronize(context)
        if run > 0:
            speeds.append((512 if test == "pp512" else 128) / (time.perf_counter() - start))
    print(json.dumps(sorted(speeds)))


def quantize(source, target, kind):
    import llama_cpp as llama

    silent = llama.llama_log_callback(lambda *_: None)
    llama.llama_log_set(silent, None)
    p = llama.llama_model_quantize_default_params()
    p.ftype = {"Q8_0": llama.LLAMA_FTYPE_MOSTLY_Q8_0, "Q4_0": llama.LLAMA_FTYPE_MOSTLY_Q4_0}[kind]
    p.allow_requantize = True
    if llama.llama_model_quantize(source.encode(), target.encode(), p) != 0:
        sys.exit("llama_model_quantize failed")


def synthesize(tokenizer, target, shape, kind):
    """A model of random weights; its vocabulary is that of the file tokenizer, filled up with unused tokens."""
    import gguf
    import numpy

    arch, hidden, layers, heads, kv_heads, head_dim, feed, vocabulary, base, experts, used = SHAPES[shape]
    fields = gguf.GGUFReader(tokenizer).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    unused = vocabulary - len(tokens)
    w = gguf.GGUFWriter(target, arch)
    w.add_context_length(8192)
    w.add_embedding_length(hidden)
    w.add_block_count(layers)
    w.add_feed_forward_length(feed)
    if experts:
        w.add_expert_count(experts)
        w.add_expert_used_count(used)
        w.add_expert_feed_forward_length(feed)
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    w.add_key_length(head_dim)
    w.add_value_length(head_dim)
    net = DELTA_NETS.get(arch)
    w.add_rope_dimension_count(head_dim // 4 if net else head_dim)
    if net:
        w.add_array(f"{arch}.rope.dimension_sections", [11, 11, 10, 0])
        w.add_uint32(f"{arch}.full_attention_interval", 4)
        for key, value in zip(("group_count", "time_step_rank", "state_size", "conv_kernel"), net):
            w.add_uint32(f"{arch}.ssm.{key}", value)
        w.add_uint32(f"{arch}.ssm.inner_size", net[1] * net[2])
    w.add_rope_freq_base(base)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("smollm")
    w.add_token_list(tokens + [f"<unused{i}>" for i in range(unused)])
    w.add_token_types(types + [5] * unused)
    w.add_token_merges(fields["tokenizer.ggml.merges"].contents())
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    block_bytes, block, scales = TYPES[kind]
    random = numpy.random.default_rng(1)
    noise = random.integers(0, 256, 32 << 20, dtype=numpy.uint8)

    def matrix(name, rows, columns, *count):
        elements = rows * columns * (count[0] if count else 1)
        data = numpy.resize(noise, elements // block * block_bytes).reshape(-1, block_bytes)
        for at in scales:  # 0.01 / sqrt(columns) or so: sums stay of about unit size
            data[:, at:at + 2] = numpy.array([0.1 / columns**0.5 / 8], dtype=numpy.float16).view(numpy.uint8)
        w.add_tensor(name, data.reshape(*count, rows, -1), raw_dtype=gguf.GGMLQuantizationType[kind])

    def ones(name, count):
        w.add_tensor(name, numpy.ones(count, dtype=numpy.float32))

    def normal(name, *shape, scale=0.1):
        w.add_tensor(name, scale * random.standard_normal(shape, dtype=numpy.float32))

    def delta_net(b):
        key_heads, value_heads, dim, kernel = net
        channels = (2 * key_heads + value_heads) * dim
        matrix(b + "attn_qkv.weight", channels, hidden)
        matrix(b + "attn_gate.weight", value_heads * dim, hidden)
        matrix(b + "ssm_out.weight", hidden, value_heads * dim)
        normal(b + "ssm_beta.weight", value_heads, hidden, scale=hidden**-0.5)
        normal(b + "ssm_alpha.weight", value_heads, hidden, scale=hidden**-0.5)
        normal(b + "ssm_conv1d.weight", channels, kernel, scale=0.5)
        normal(b + "ssm_dt.bias", value_heads)
        w.add_tensor(b + "ssm_a", -numpy.ones(value_heads, dtype=numpy.float32))
        ones(b + "ssm_norm.weight", dim)

    def attention(b):
        if arch.startswith("qwen3"):
            ones(b + "attn_q_norm.weight", head_dim)
            ones(b + "attn_k_norm.weight", head_dim)
        matrix(b + "attn_q.weight", heads * head_dim * (2 if net else 1), hidden)
        matrix(b + "attn_k.weight", kv_heads * head_dim, hidden)
        matrix(b + "attn_v.weight", kv_heads * head_dim, hidden)
        matrix(b + "attn_output.weight", hidden, heads * head_dim)

    matrix("token_embd.weight", vocabulary, hidden)
    ones("output_norm.weight", hidden)
    for layer in range(layers):
        b = f"blk.{layer}."
        ones(b + "attn_norm.weight", hidden)
        ones(b + ("post_attention_norm.weight" if net else "ffn_norm.weight"), hidden)
        if net and (layer + 1) % 4:
            delta_net(b)
        else:
            attention(b)
        several = [experts] if experts else []
        suffix = "_exps.weight" if experts else ".weight"
        if experts:
            router = random.standard_normal((experts, hidden), dtype=numpy.float32) / hidden**0.5
            w.add_tensor(b + "ffn_gate_inp.weight", router)
        matrix(b + "ffn_gate" + suffix, feed, hidden, *several)
        matrix(b + "ffn_up" + suffix, feed, hidden, *several)
        matrix(b + "ffn_down" + suffix, hidden, feed, *several)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def run_child(python, **task):
    out = subprocess.run([str(python), __file__, "--child", json.dumps(task)], check=True, stdout=subprocess.PIPE,
                         text=True)
    return json.loads(out.stdout) if out.stdout.strip() else None


def measure_demitasse(model, test, depth, threads, kv, runs, backend):
    command = [str(ROOT / "demitasse"), "bench", "-m", model, "-d", str(depth), "-t", str(threads), "-r", str(runs),
               "--json", "--backend", backend, "--kv-type", "int8" if kv == "q8" else "f16",
               "-p", "512" if test == "pp512" else "0", "-n", "128" if test == "tg128" else "0"]
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    figure = json.loads(out.stdout.strip().splitlines()[-1])
    return figure, [figure["min"], figure["tokensPerSecond"], figure["max"]]


def files(python, options):
    """The models to measure: (name, path)."""
    models = CACHE / "models"
    smol = models / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if options.models:
        return [(pathlib.Path(m).stem, m) for m in options.models]
    if options.synthetic:
        found = []
        for wanted in options.synthetic:
            shape, kind = wanted.split(":")
            path = CACHE / "peers-models" / f"{shape}-{kind}.gguf"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                run_child(python, task="synthesize", tokenizer=str(smol), target=str(path), shape=shape, kind=kind)
            found.append((path.stem, str(path)))
        return found
    found = [("SmolLM2 Q4_1", str(smol))]
    for kind in ("Q8_0", "Q4_0"):
        path = CACHE / "peers-models" / f"SmolLM2-135M-Instruct.{kind}.gguf"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            run_child(python, task="quantize", source=str(smol), target=str(path), kind=kind)
        found.append((f"SmolLM2 {kind}", str(path)))
    return found + [("gemma-3-270m Q4_K_M", str(models / "gemma-3-270m-q4_k_m.gguf"))]


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--child":
        return child(sys.argv[2])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=[])
    parser.add_argument("--synthetic", nargs="+", default=[], metavar="SHAPE:TYPE")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--tests", nargs="+", default=["pp512", "tg128"], choices=["pp512", "tg128"])
    parser.add_argument("--depths", nargs="+", type=int, default=[0, 2048])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--kv", nargs="+", default=["f16", "q8"], choices=["f16", "q8"])
    parser.add_argument("--turns", type=int, default=3, help="how often each of the two takes its turn")
    parser.add_argument("--runs", type=int, default=3, help="timed runs of a turn")
    parser.add_argument("--out", type=argparse.FileType("a"), default=sys.stdout)
    options = parser.parse_args()
    python = environment()
    print("| model | test | threads | cache | demitasse | llama.cpp | ratio |\n|---|---|---|---|---|---|---|",
          file=sys.stderr)
    for name, path in files(python, options):
        cells = [(test, depth, threads, kv) for test in options.tests for depth in options.depths
                 if test == "tg128" or depth == 0 for threads in options.threads for kv in options.kv]
        for test, depth, threads, kv in cells:
            ours, theirs = [], []
            for _ in range(options.turns):
                figure, speeds = measure_demitasse(path, test, depth, threads, kv, options.runs, options.backend)
                ours += speeds
                theirs += run_child(python, task="measure", model=path, test=test, depth=depth, threads=threads, kv=kv,
                                    runs=options.runs)
            a, b = statistics.median(ours), statistics.median(theirs)
            figure.update(model=name, test=test, depth=depth, threads=threads, kv=kv, tokensPerSecond=a, min=min(ours),
                          max=max(ours), llamaCpp=b, llamaCppMin=min(theirs), llamaCppMax=max(theirs), ratio=a / b,
                          peer=PEER)
            print(json.dumps(figure), file=options.out, flush=True)
            at = f"{test}@{depth}" if depth else test
            print(f"| {name} | {at} | {threads} | {kv} | {a:.0f} | {b:.0f} | {a / b:.2f} |", file=sys.stderr,
                  flush=True)


if __name__ == "__main__":
    main()
