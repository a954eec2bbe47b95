#!/usr/bin/env python3
"""PyTorch's own kernels on this GPU, one JSON line each: the peers of Demitasse's in the same run.

Read-only and copy bandwidth; INT8 products (torch._int_mm), FP8 (torch._scaled_mm), packed INT4
(torch._weight_int4pack_mm), FP16 matmul; decode attention (scaled_dot_product_attention). Operands rotate through more
memory than the second-level cache holds; all operations of a shape are one CUDA graph; median of 20. What this build of
PyTorch lacks is named on standard error.
"""
import json
import statistics
import sys

import torch

COLD_BYTES = 256 << 20
MATRICES = ((4096, 4096), (14336, 4096), (4096, 14336), (2048, 8192))
ROWS = (1, 4, 16, 64, 512, 4096)
LIST_SECONDS = 4e-3


def as_graph(operations):
    """A call that runs all operations: a CUDA graph, so that the host costs nothing; one by one where that fails."""
    def one_by_one():
        for operation in operations:
            operation()

    one_by_one()  # libraries choose and load their kernels
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            one_by_one()
    except RuntimeError as e:
        torch.cuda.synchronize()
        print(f"not as a graph: {str(e).splitlines()[0]}", file=sys.stderr)
        return one_by_one
    return graph.replay


def seconds_of(run, times):
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(times):
        run()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) * 1e-3 / times


def median_seconds(operations):
    """Seconds of one of the operations, each with operands of its own; lists are repeated to about LIST_SECONDS."""
    run = as_graph(operations)
    seconds_of(run, 1)
    times = max(1, min(32, int(LIST_SECONDS / seconds_of(run, 1))))
    return statistics.median([seconds_of(run, times) for _ in range(23)][3:]) / len(operations)


def report(name, make, weight_bytes, operations=0, **fields):
    """make() gives one operation with operands of its own."""
    try:
        copies = max(2, COLD_BYTES // max(1, weight_bytes))
        seconds = median_seconds([make() for _ in range(copies)])
    except (RuntimeError, AttributeError, NotImplementedError) as e:
        print(f"{name} {fields}: {str(e).splitlines()[0]}", file=sys.stderr)
        return
    finally:
        torch.cuda.empty_cache()
    print(json.dumps({"backend": "torch", "operation": name, **fields, "microseconds": round(seconds * 1e6, 2),
                      "gigabytesPerSecond": round(weight_bytes / seconds / 1e9, 1),
                      "teraoperationsPerSecond": round(operations / seconds / 1e12, 2)}), flush=True)


def bandwidth():
    words = torch.ones(1 << 28, device="cuda")  # 1 GiB
    target = torch.empty_like(words)
    for name, readers, size in (("readBandwidth", (words.sum, words.max), words.nbytes),
                                ("copyBandwidth", (lambda: target.copy_(words),), 2 * words.nbytes)):
        seconds = min(median_seconds([reader]) for reader in readers)
        print(json.dumps({"backend": "torch", "operation": name, "gigabytesPerSecond": round(size / seconds / 1e9, 1)}),
              flush=True)


def matrices():
    def bytes_(rows, columns):
        return torch.randint(-127, 128, (rows, columns), dtype=torch.int8, device="cuda")

    for outputs, columns in MATRICES:
        for rows in ROWS:
            count = 2 * rows * outputs * columns
            shape = {"rows": rows, "outputs": outputs, "columns": columns}
            x16 = torch.randn(rows, columns, dtype=torch.float16, device="cuda")

            def f16():
                w = torch.randn(outputs, columns, dtype=torch.float16, device="cuda")
                return lambda: torch.matmul(x16, w.t())

            def int8():
                x, w = bytes_(max(rows, 32), columns), bytes_(outputs, columns)  # the operation wants more than 16 rows
                return lambda: torch._int_mm(x, w.t())

            def fp8():
                kind = torch.float8_e4m3fn
                x = torch.randn(max(rows, 16), columns, device="cuda").to(kind)
                w = torch.randn(outputs, columns, device="cuda").to(kind)
                one = torch.ones((), device="cuda")
                return lambda: torch._scaled_mm(x, w.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16)

            def int4():
                group = 32
                packed = torch._convert_weight_to_int4pack(
                    torch.randint(0, 256, (outputs, columns // 2), dtype=torch.uint8, device="cuda"), 8)
                scales = torch.ones(columns // group, outputs, 2, dtype=torch.bfloat16, device="cuda")
                x = x16.to(torch.bfloat16)
                return lambda: torch._weight_int4pack_mm(x, packed, group, scales)

            report("fp16 matmul", f16, 2 * outputs * columns, count, **shape)
            report("_int_mm", int8, outputs * columns, count, **shape)
            report("_scaled_mm fp8", fp8, outputs * columns, count, **shape)
            report("_weight_int4pack_mm", int4, outputs * columns // 2, count, **shape)


def attention():
    for sequences in (1, 32):
        def make():
            q = torch.randn(sequences, 32, 1, 128, dtype=torch.float16, device="cuda")
            k = torch.randn(sequences, 8, 8192, 128, dtype=torch.float16, device="cuda")
            v = torch.randn_like(k)
            return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)

        report("sdpa decode", make, 2 * 2 * sequences * 8 * 128 * 8192, sequences=sequences, depth=8192)


if __name__ == "__main__":
    print(json.dumps({"backend": "torch", "version": torch.__version__, "device": torch.cuda.get_device_name(0)}))
    bandwidth()
    matrices()
    attention()
