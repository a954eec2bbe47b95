"""What launches should take on a card, by models that an H200 has calibrated (cuda/results/h200-2026-11-26).

A launch takes LAUNCH seconds, and its bytes at the rate at which kernels have read.
"""
import csv
import json
import math
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUDGETS = ROOT / "cuda/budgets"
RECORDED = ROOT / "cuda/results/h200-2026-11-26/demitasse.jsonl"

LAUNCH = 4.0e-6  # seconds that a launch of a graph adds: with STREAM it gives the recorded steps within 5 %
STREAM = 3500 / 4800  # of a data sheet's bandwidth: what kernels reach
SCHEDULERS = 4  # of a multiprocessor

# A multiprocessor of compute capability 9.0: 32-bit registers, of which a warp takes 256 at a time from one of four
# parts; bytes of shared memory, and what a block takes of them for the system; threads; blocks.
REGISTERS = 65536
SHARED, SYSTEM_SHARED = 228 << 10, 1 << 10
THREADS = 2048
BLOCKS = 32

HEAVY_BYTES, HEAVY_OPERATIONS = 10**6, 10**9  # launches with less are nothing but launches

CALIBRATED = 0.05  # how far the model of steps may be from the card


def table(name):
    """The rows of a budget file, numbers as such."""
    def value(text):
        try:
            return float(text) if "." in text else int(text)
        except ValueError:
            return text

    with open(BUDGETS / f"{name}.tsv", encoding="utf-8", newline="") as file:
        return [{key: value(text) for key, text in row.items()} for row in csv.DictReader(file, delimiter="\t")]


def write_table(name, rows):
    with open(BUDGETS / f"{name}.tsv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def steps(launches):
    """The launches of each model and step, in their order."""
    found = {}
    for launch in launches:
        found.setdefault((launch["model"], launch["step"]), []).append(launch)
    return found


def total(launches, what):
    return sum(launch["count"] * launch[what] for launch in launches)


def recorded():
    """Steps that the card has run: model, step, launches and seconds on the GPU."""
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        figure = json.loads(line)
        if figure.get("operation") == "decode" and figure["cache"] == "F16" and figure["model"] != "deep":
            yield (f"{figure['model']} {figure['type']}", f"decode {figure['sequences']} at {figure['depth']}",
                   figure["kernelsPerStep"], figure["gpuMillisecondsPerStep"] * 1e-3)


def calibration(launches, card):
    """Steps of one row: what the card took for as many launches as there were then, and what the model says."""
    known = steps(launches)
    for model, step, count, seconds in recorded():
        if step.startswith("decode 1 ") and (model, step) in known:
            stream = card["gigabytes"] * 1e9 * STREAM
            yield model, step, seconds, LAUNCH * count + total(known[model, step], "bytes") / stream


def heavy(launch):
    return launch["bytes"] >= HEAVY_BYTES or launch["operations"] >= HEAVY_OPERATIONS


def resident(registers, shared, threads):
    """Blocks that a multiprocessor holds at once."""
    warp_registers = (registers * 32 + 255) // 256 * 256
    warps = SCHEDULERS * (REGISTERS // SCHEDULERS // warp_registers)
    return min(warps * 32 // threads, SHARED // (shared + SYSTEM_SHARED), THREADS // threads, BLOCKS)


def wave(launch, used, card):
    """How a launch's blocks fill a card: blocks that a multiprocessor holds; waves of them; and balance, the share of
    the time of the busiest multiprocessor that an average one has work for."""
    held = resident(used["registers"], used["shared"] + launch["shared"], launch["threads"])
    blocks = launch["x"] * launch["y"] * launch["z"]
    each = blocks / card["multiprocessors"]
    waves = each / held
    full = math.ceil(waves) * held if waves > 1 else math.ceil(each)
    return {"resident": held, "waves": f"{waves:.2f}", "balance": f"{each / full:.3f}"}
