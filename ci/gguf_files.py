#!/usr/bin/env python3
"""Quantizes a one-layer model to every tensor type and reads the files with gguf-py, and with llama.cpp where it is
installed. Called by ci/gguf.sh."""
import json
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = ROOT / "java/testkit/src/main/resources/dev/demitasse/testkit/golden/types/F16.gguf"
MIXES = ["F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_0", "Q5_1", "Q5_K_S", "Q4_0", "Q4_1", "Q4_K_M", "IQ4_NL", "IQ4_XS",
         "MXFP4", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q2_K", "Q2_K_S", "Q4_K_S", "Q5_K_M", "W8A8"]


def quantize(mix, out):
    done = subprocess.run([ROOT / "demitasse", "quantize", MODEL, out, "--weights", mix, "--json"], text=True,
                          capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{mix}: {done.stderr}")
    return {line["tensor"]: line for line in map(json.loads, done.stdout.splitlines()) if "tensor" in line}


def values(tensor):
    return gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float64).ravel()


def check(mix, reported, out, original):
    for tensor in gguf.GGUFReader(out).tensors:
        told = reported[tensor.name]
        assert tensor.tensor_type.name == told["to"], (mix, tensor.name, tensor.tensor_type)
        x = original[tensor.name]
        error = np.sqrt(np.sum((values(tensor) - x) ** 2) / np.sum(x ** 2))
        assert abs(error - told["relativeError"]) <= 1e-3 * error + 1e-7, (mix, tensor.name, error, told)


def run(mix, out, llama):
    """The likeliest token after three, by llama.cpp."""
    model = llama.llama_model_load_from_file(str(out).encode(), llama.llama_model_default_params())
    assert model, f"{mix}: llama.cpp does not load it"
    parameters = llama.llama_context_default_params()
    parameters.n_ctx = 64
    context = llama.llama_init_from_model(model, parameters)
    tokens = (llama.llama_token * 3)(72, 101, 108)
    assert llama.llama_decode(context, llama.llama_batch_get_one(tokens, 3)) == 0, mix
    count = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    logits = np.ctypeslib.as_array(llama.llama_get_logits_ith(context, -1), (count,))
    assert np.isfinite(logits).all(), mix
    llama.llama_free(context)
    llama.llama_model_free(model)


def main():
    try:
        import llama_cpp as llama
        silent = llama.llama_log_callback(lambda *_: None)
        llama.llama_log_set(silent, None)
    except ImportError:
        llama = None
    original = {tensor.name: values(tensor) for tensor in gguf.GGUFReader(MODEL).tensors}
    with tempfile.TemporaryDirectory() as folder:
        for mix in MIXES:
            out = pathlib.Path(folder) / f"{mix}.gguf"
            check(mix, quantize(mix, out), out, original)
            if llama:
                run(mix, out, llama)
    print(f"gguf: {len(MIXES)} mixes are read with the errors that were told;",
          "llama.cpp runs them" if llama else "llama.cpp is not installed: not tried")


if __name__ == "__main__":
    main()
