#!/usr/bin/env python3
"""Writes the checkpoints that HuggingFaceSourceTest reads: small models of random weights, as transformers saves them,
each with the ids and logits that transformers gives (expected.json).

    pip install torch transformers safetensors compressed-tensors
    ci/checkpoints.py java/quantize/src/test/resources/dev/demitasse/quantize/source/checkpoints
"""
import json
import os
import shutil
import sys

import torch
import transformers
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

WORDS = ["the quick brown fox jumps over the lazy dog 1234567 times, it's said; don't you think? naïve café 東京 "] * 60
TEXT = "the quick fox said it's 1234567 café 東京!"
CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPLIT = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
VOCABULARY = 300
PIECES = 330
GROUP = 32


def pieces():
    """SentencePiece's kind, as Gemma's: bytes where no piece fits."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<pad>", "<eos>", "<bos>", "<unk>"] + ["<0x%02X>" % i for i in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=PIECES, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([text.replace(" ", "▁") for text in WORDS], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", unk_token="<unk>", pad_token="<pad>"
    )


def byte_level(first, use_regex, whole_words=False):
    """Byte-level BPE that splits by `first`, and by GPT-2's words where `use_regex`."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=whole_words))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [first, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(WORDS, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|im_end|>")
    fast.chat_template = TEMPLATE
    return fast


def split(numbers):
    return pre_tokenizers.Split(Regex(SPLIT % numbers), behavior="isolated")


TOKENIZERS = {
    "smollm": lambda: byte_level(pre_tokenizers.Digits(individual_digits=True), True),
    "llama3": lambda: byte_level(split(r"\p{N}{1,3}"), False, whole_words=True),
    "qwen2": lambda: byte_level(split(r"\p{N}"), False),
    "pieces": pieces,
}

BASE = dict(
    hidden_size=64,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=512,
    vocab_size=VOCABULARY,
)
LLAMA3 = dict(
    rope_type="llama3",
    rope_theta=500000.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=512,
)
GEMMA = dict(head_dim=16, query_pre_attn_scalar=16, sliding_window=16, vocab_size=PIECES)

# name: class of the configuration, what differs from BASE, tokenizer, type of the weights
CASES = {
    "llama": ("Llama", dict(tie_word_embeddings=True, vocab_size=VOCABULARY + 4), "smollm", torch.float32),
    "llama31": (
        "Llama",
        dict(max_position_embeddings=4096, head_dim=32, attention_bias=True, rope_parameters=LLAMA3),
        "llama3",
        torch.float16,
    ),
    "mistral": ("Mistral", dict(head_dim=16, sliding_window=None), "qwen2", torch.float16),
    "qwen2": ("Qwen2", dict(tie_word_embeddings=True), "qwen2", torch.bfloat16),
    "qwen3": ("Qwen3", dict(head_dim=32), "qwen2", torch.bfloat16),
    "gemma2": ("Gemma2", GEMMA, "pieces", torch.float16),
    "gemma3": ("Gemma3Text", dict(GEMMA, num_hidden_layers=7), "pieces", torch.bfloat16),
    "phi3": ("Phi3", dict(pad_token_id=0), "smollm", torch.float16),
}
SHARDED = "qwen2"


def write(folder, name):
    """A plain checkpoint; returns the model in FP32."""
    kind, differences, tokenizer_name, dtype = CASES[name]
    tokenizer = TOKENIZERS[tokenizer_name]()
    tokenizer.save_pretrained(folder)
    config = getattr(transformers, kind + "Config")(**{**BASE, **differences})
    config.bos_token_id = tokenizer.bos_token_id
    config.eos_token_id = tokenizer.eos_token_id
    model = AutoModelForCausalLM.from_config(config).to(torch.float32).eval()
    with torch.no_grad():
        for parameter, values in model.named_parameters():
            if "norm" in parameter:
                values.add_(torch.randn_like(values) * 0.3)
            elif parameter.endswith("bias"):
                values.copy_(torch.randn_like(values) * 0.3)
            else:
                values.mul_(4)
    model.to(dtype).save_pretrained(folder, max_shard_size="60KB" if name == SHARDED else "5GB")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()  # frequencies not rounded
    expect(folder, model, tokenizer)
    return model, tokenizer


def expect(folder, model, tokenizer):
    ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    tokens = (ids * 3)[:40]
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0].double()
    positions = [0, 7, len(tokens) - 1]
    rows = [[round(value, 5) for value in logits[position].tolist()] for position in positions]
    with open(os.path.join(folder, "expected.json"), "w") as out:
        json.dump(dict(text=TEXT, ids=ids, tokens=tokens, positions=positions, logits=rows), out)


def words(nibbles):
    """Eight 4-bit integers of the last dimension a word, the first lowest."""
    packed = torch.zeros(*nibbles.shape[:-1], nibbles.shape[-1] // 8, dtype=torch.int64)
    for i in range(8):
        packed |= nibbles[..., i::8].to(torch.int64) << 4 * i
    return torch.where(packed >= 1 << 31, packed - (1 << 32), packed).to(torch.int32)


def asymmetric(weight):
    """4-bit integers, zeros and scales of groups of a matrix's columns; and what they stand for."""
    groups = weight.reshape(weight.shape[0], -1, GROUP)
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    scale = ((high - low) / 15).half().float()
    zero = torch.round(-low / scale).clamp(1, 15)
    q = (torch.round(groups / scale) + zero).clamp(0, 15)
    value = ((q - zero) * scale).reshape(weight.shape)
    return q.reshape(weight.shape).to(torch.int64), zero[..., 0].to(torch.int64), scale[..., 0], value


def gptq(name, weight):
    """AutoGPTQ's first format, with columns in an order of their own (desc_act)."""
    order = torch.randperm(weight.shape[1])
    q, zero, scale, value = asymmetric(weight[:, order])
    index = torch.empty(weight.shape[1], dtype=torch.int32)
    index[order] = (torch.arange(weight.shape[1]) // GROUP).to(torch.int32)
    back = torch.argsort(order)
    parts = {
        "qweight": words(q[:, back]).T.contiguous(),
        "qzeros": words((zero - 1).T.contiguous()),
        "scales": scale.T.contiguous().half(),
        "g_idx": index,
    }
    return {name + "." + part: tensor for part, tensor in parts.items()}, value[:, back]


def awq(name, weight):
    """AutoAWQ's gemm format: nibbles of a word in the order 0 2 4 6 1 3 5 7."""
    q, zero, scale, value = asymmetric(weight)
    order = torch.tensor([0, 2, 4, 6, 1, 3, 5, 7])

    def reordered(matrix):
        return matrix.reshape(matrix.shape[0], -1, 8)[..., order].reshape(matrix.shape)

    parts = {
        "qweight": words(reordered(q.T)),
        "qzeros": words(reordered(zero.T)),
        "scales": scale.T.contiguous().half(),
    }
    return {name + "." + part: tensor for part, tensor in parts.items()}, value


def w4a16(name, weight):
    """compressed-tensors' pack-quantized."""
    groups = weight.reshape(weight.shape[0], -1, GROUP)
    scale = (groups.abs().amax(-1, keepdim=True) / 7.5).bfloat16().float()
    q = torch.round(groups / scale).clamp(-8, 7)
    parts = {
        "weight_packed": pack_to_int32(q.reshape(weight.shape).to(torch.int8), 4),
        "weight_scale": scale[..., 0].bfloat16(),
        "weight_shape": torch.tensor(weight.shape, dtype=torch.int64),
    }
    return {name + "." + part: tensor for part, tensor in parts.items()}, (q * scale).reshape(weight.shape)


def w4a16_asymmetric(name, weight):
    """pack-quantized with zeros, which are packed along the outputs."""
    q, zero, scale, value = asymmetric(weight)
    parts = {
        "weight_packed": pack_to_int32((q - 8).to(torch.int8), 4),
        "weight_scale": scale.half(),
        "weight_zero_point": pack_to_int32((zero - 8).to(torch.int8), 4, packed_dim=0).contiguous(),
        "weight_shape": torch.tensor(weight.shape, dtype=torch.int64),
    }
    return {name + "." + part: tensor for part, tensor in parts.items()}, value


def w8a8(name, weight):
    """compressed-tensors' int-quantized."""
    scale = (weight.abs().amax(-1, keepdim=True) / 127).bfloat16().float()
    q = torch.round(weight / scale).clamp(-128, 127)
    return {name + ".weight": q.to(torch.int8), name + ".weight_scale": scale.bfloat16()}, q * scale


def w8a8_asymmetric(name, weight):
    """int-quantized with a zero for each output."""
    low, high = weight.amin(-1, keepdim=True), weight.amax(-1, keepdim=True)
    scale = ((high - low) / 255).bfloat16().float()
    zero = torch.round(-128 - low / scale).clamp(-128, 127)
    q = (torch.round(weight / scale) + zero).clamp(-128, 127)
    parts = {
        "weight": q.to(torch.int8),
        "weight_scale": scale.bfloat16(),
        "weight_zero_point": zero.to(torch.int8),
    }
    return {name + "." + part: tensor for part, tensor in parts.items()}, (q - zero) * scale


QUANTIZED = {
    "gptq": (gptq, dict(quant_method="gptq", bits=4, group_size=GROUP, desc_act=True, sym=False)),
    "awq": (awq, dict(quant_method="awq", bits=4, group_size=GROUP, version="gemm", zero_point=True)),
    "w4a16": (w4a16, dict(quant_method="compressed-tensors", format="pack-quantized")),
    "w4a16_asymmetric": (w4a16_asymmetric, dict(quant_method="compressed-tensors", format="pack-quantized")),
    "w8a8": (w8a8, dict(quant_method="compressed-tensors", format="int-quantized")),
    "w8a8_asymmetric": (w8a8_asymmetric, dict(quant_method="compressed-tensors", format="int-quantized")),
}


def quantize(out, name):
    """The mistral case with quantized projections."""
    folder = os.path.join(out, name)
    os.makedirs(folder)
    model, tokenizer = write(folder, "mistral")
    pack, config = QUANTIZED[name]
    file = os.path.join(folder, "model.safetensors")
    tensors = load_file(file)
    with torch.no_grad():
        for module_name, module in model.named_modules():
            if isinstance(module, torch.nn.Linear) and module_name != "lm_head":
                parts, value = pack(module_name, module.weight.clone())
                module.weight.copy_(value)
                del tensors[module_name + ".weight"]
                tensors.update(parts)
    save_file(tensors, file, metadata={"format": "pt"})
    path = os.path.join(folder, "config.json")
    with open(path) as text:
        whole = json.load(text)
    whole["quantization_config"] = config
    with open(path, "w") as text:
        json.dump(whole, text, indent=2)
    expect(folder, model, tokenizer)


def main():
    out = sys.argv[1]
    shutil.rmtree(out, ignore_errors=True)
    for name in CASES:
        torch.manual_seed(20261128)
        folder = os.path.join(out, name)
        os.makedirs(folder)
        write(folder, name)
    for name in QUANTIZED:
        torch.manual_seed(20261128)
        quantize(out, name)


if __name__ == "__main__":
    main()
