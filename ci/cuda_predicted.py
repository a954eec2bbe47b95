"""cuda/results/predicted.md: what the launches of the budgets should take on cards, and what share of the limit that
is."""
import cuda_model as model

TEXT = """# Predicted times of the CUDA kernels

Written by `ci/cuda_budget.py --write` from `cuda/budgets`; no figure here was measured except where it says so.

A launch takes {launch:.1f} µs and then the longest of: its bytes at {stream:.0%} of the data sheet's bandwidth; its \
tensor-core operations at {peak:.0%} of the data sheet's peak; and the instructions of its hot loop (gemm, attention) \
at {issued:.0%} of the issue slots. Some read less: {slower}. All of this is measured on one H100 \
and one H200 (`h100-2026-11-27`, `h200-2026-11-26`) and assumed of the other cards, of those too that have no wgmma \
and take \
`gemm_int8_per_row_m128` instead, or `gemm_int4_per32_m128` without conversions to FP16. The limit is the longer of \
bytes at {readable:.0%} of the data sheet's bandwidth, which reading alone reached on that H100, and operations at \
the peak. Bytes are those that a launch cannot do \
without: operands once, results once. Launches are those of 132 multiprocessors of compute capability 9.0, \
instructions those of sm_90a.

| card | GB/s | INT8 TOP/s | FP16 TFLOP/s | multiprocessors | GHz |
|---|---|---|---|---|---|
"""


def percent(limit, seconds):
    return f"{limit / seconds:.0%}".replace("%", " %")


def cell(launches, card, code):
    """Milliseconds of some launches, and their share of the limit."""
    seconds = sum(launch["count"] * model.predicted(launch, card, code) for launch in launches)
    limit = sum(launch["count"] * model.limit(launch, card) for launch in launches)
    return f"{seconds * 1e3:.3f} ({percent(limit, seconds)})"


def heading(columns, cards):
    names = columns + [card["card"] for card in cards]
    return ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]


def step_lines(launches, cards, code):
    yield from heading(["model", "step", "launches", "copies", "MB", "G operations"], cards)
    for (name, step), each in model.steps(launches).items():
        yield (f"| {name} | {step} | {model.launched(each)} | {model.copies(each)} | "
               f"{model.total(each, 'bytes') / 1e6:,.0f} | {model.total(each, 'operations') / 1e9:,.1f} | "
               + " | ".join(cell(each, card, code) for card in cards) + " |")


def recorded_lines(launches, card, code):
    yield "| model | step | launches then | ms on the GPU (prefill: on the host) | predicted | off by |"
    yield "|---" * 6 + "|"
    known = model.steps(launches)
    for name, step, count, seconds in model.recorded():
        if (name, step) in known:
            each = known[name, step]
            expected = sum(launch["count"] * model.predicted(launch, card, code) for launch in each)
            if count is not None:
                expected += model.LAUNCH * (count - model.launched(each))
            then = "–" if count is None else round(count)
            yield (f"| {name} | {step} | {then} | {seconds * 1e3:.3f} | {expected * 1e3:.3f} | "
                   f"{expected / seconds - 1:+.0%} |".replace("% |", " % |"))


def kernel_lines(launches, cards, code):
    yield from heading(["kernel", "blocks", "MB", "G operations", "in"], cards)
    found = {}
    for launch in launches:
        if launch["kernel"] != "copy" and model.heavy(launch):
            key = tuple(launch[k] for k in ("kernel", "x", "y", "z", "bytes", "operations"))
            found.setdefault(key, []).append(launch)
    for (kernel, x, y, z, _, _), each in sorted(found.items()):
        one = each[0] | {"count": 1000}  # milliseconds of a thousand are microseconds of one
        users = f"{each[0]['count']} in {each[0]['model']}, {each[0]['step']}"
        users += f", and {len(each) - 1} more steps" if len(each) > 1 else ""
        yield (f"| {kernel} | {x} × {y} × {z} | {one['bytes'] / 1e6:.2f} | {one['operations'] / 1e9:.2f} | {users} | "
               + " | ".join(cell([one], card, code) for card in cards) + " |")


def wave_lines(waves):
    yield "| kernel | blocks | a multiprocessor holds | waves | balance | first in |"
    yield "|---" * 6 + "|"
    seen = set()
    for row in waves:
        key = tuple(row[k] for k in ("kernel", "x", "y", "z"))
        if row["balance"] < model.LEAST_BALANCE and key not in seen:
            seen.add(key)
            yield (f"| {row['kernel']} | {row['x']} × {row['y']} × {row['z']} | {row['resident']} | {row['waves']:.2f} "
                   f"| {row['balance']:.0%} | {row['model']}, {row['step']} |".replace("% |", " % |"))


def text(launches, cards, loops, waves):
    """The whole file."""
    code = {}
    for row in loops:
        code.setdefault(row["kernel"], row)  # the shortest loop: of files that have no minimums
    own = next(card for card in cards if card["card"] == model.RECORDED_ON)
    slower = ", ".join(f"`{kernel}` {share:.0%}" for kernel, share in model.SLOWER.items())
    begin = TEXT.format(launch=model.LAUNCH * 1e6, stream=model.STREAM, slower=slower, peak=model.PEAK,
                        issued=model.ISSUED, readable=model.READABLE)
    lines = [begin.replace("%", " %").rstrip()]
    for card in cards:
        lines.append(f"| {card['card']} | {card['gigabytes']} | {card['int8']} | {card['fp16']} | "
                     f"{card['multiprocessors']} | {card['gigahertz']} |")
    lines += ["", "## Steps: milliseconds (share of the limit)", "", *step_lines(launches, cards, code)]
    lines += ["", f"## The model and the card: steps that the {model.RECORDED_ON} has run", "",
              *recorded_lines(launches, own, code)]
    lines += ["", "## Launches of a megabyte or a billion operations and more: microseconds (share of the limit)", "",
              *kernel_lines(launches, cards, code)]
    lines += ["", f"## Launches whose balance is below {model.LEAST_BALANCE:.0%} on 132 multiprocessors".replace(
        "%", " %"), "", *wave_lines(waves)]
    return "\n".join(lines) + "\n"
