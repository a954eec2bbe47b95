"""What launches should take on a card, by models that an H100 and an H200 have calibrated (cuda/results).

A launch takes LAUNCH seconds and then the longest of: its bytes at the rate at which kernels have read; its tensor-core
operations at the share of the peak that wgmma has reached; and, where the machine code says how many, its instructions
at the rate at which gemm has issued them.
"""
import csv
import json
import math
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUDGETS = ROOT / "cuda/budgets"
RECORDED = ROOT / "cuda/results/h100-2026-11-27/demitasse.jsonl"
RECORDED_ON = "H100 SXM"  # by its name in cards.tsv
PROFILED = ROOT / "cuda/results/h200-2026-11-26/ncu-raw.csv"  # as many multiprocessors

LAUNCH = 2.8e-6  # seconds that a launch of a graph adds: with STREAM it gives the recorded steps within 6 %
READABLE = 3178 / 3350  # of a data sheet's bandwidth: what reading alone reached (ceilings.jsonl)
STREAM = 3130 / 3350  # of a data sheet's bandwidth: what kernels reach beside their launch
# The same of kernels that reach less: attention (32 sequences of 8,192), gemv of eight rows (sweep.jsonl).
SLOWER = {"attention_decode_f16": 2568 / 3350, "gemv_int4_per32_rows8": 2740 / 3350}
ISSUED = 0.48  # of the issue slots, by the hot loop: gemm_int4_per32_m128, 4096 rows, in kernels.csv
PEAK = 0.475  # of the tensor cores' peak: gemm_int8_per_row_wgmma, 4096 rows, in sweep.jsonl
SCHEDULERS = 4  # of a multiprocessor; each issues an instruction a clock

# A multiprocessor of compute capability 9.0: 32-bit registers, of which a warp takes 256 at a time from one of four
# parts; bytes of shared memory; threads; blocks.
REGISTERS = 65536
SHARED = 228 << 10
THREADS = 2048
BLOCKS = 32

LEAST_BALANCE = 0.9  # of launches that no budget knows
HEAVY_BYTES, HEAVY_OPERATIONS = 10**6, 10**9  # launches with less are nothing but launches

CALIBRATED = 0.06  # how far the model of steps may be from the card


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


def launched(launches):
    return sum(launch["count"] for launch in launches)


def copies(launches):
    return sum(launch["count"] for launch in launches if launch["kernel"] == "copy")


def total(launches, what):
    return sum(launch["count"] * launch[what] for launch in launches)


def recorded():
    """Steps that the card has run: model, step, launches and seconds on the GPU; of prefill no launches are known, and
    seconds are those of the host."""
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        figure = json.loads(line)
        if figure.get("cache") != "F16" or "model" not in figure:
            continue
        name = f"{figure['model']} {figure['type']}"
        if figure["operation"] == "decode":
            yield (name, f"decode {figure['sequences']} at {figure['depth']}",
                   figure["kernelsPerStep"], figure["gpuMillisecondsPerStep"] * 1e-3)
        elif figure["operation"] == "prefill":
            yield name, f"prefill {figure['tokens']}", None, figure["tokens"] / figure["tokensPerSecond"]


def calibration(launches, card):
    """Steps of one row: what the card took for as many launches as there were then, and what the model says."""
    known = steps(launches)
    for model, step, count, seconds in recorded():
        if step.startswith("decode 1 ") and (model, step) in known:
            stream = card["gigabytes"] * 1e9 * STREAM
            yield model, step, seconds, LAUNCH * count + total(known[model, step], "bytes") / stream


def peak(card, kernel):
    """Operations a second at most."""
    return card["fp16" if kernel.startswith(("attention", "gemm_f16")) else "int8"] * 1e12


def instructions(launch, code):
    """Instructions that a launch issues in the loops that do its work; 0 where the machine code does not say."""
    loop = code.get(launch["kernel"])
    if loop is None:
        return 0
    if launch["kernel"].startswith("attention_decode"):
        return launch["bytes"] * loop["instructions"] / loop["bytes"]
    if launch["kernel"].startswith(("gemm_int", "attention_prefill")):
        return launch["operations"] * loop["instructions"] / loop["operations"]
    return 0


def limit(launch, card):
    """Seconds that no kernel can be under."""
    return max(launch["bytes"] / (card["gigabytes"] * 1e9 * READABLE),
               launch["operations"] / peak(card, launch["kernel"]))


def predicted(launch, card, code):
    """Seconds of a launch; `code` has the shortest hot loop of each kernel."""
    slots = card["multiprocessors"] * SCHEDULERS * card["gigahertz"] * 1e9
    stream = next((share for kernel, share in SLOWER.items() if launch["kernel"].startswith(kernel)), STREAM)
    return LAUNCH + max(launch["bytes"] / (card["gigabytes"] * 1e9 * stream),
                        launch["operations"] / (peak(card, launch["kernel"]) * PEAK),
                        instructions(launch, code) / (slots * ISSUED))


def heavy(launch):
    return launch["bytes"] >= HEAVY_BYTES or launch["operations"] >= HEAVY_OPERATIONS


def resident(registers, shared, threads):
    """Blocks that a multiprocessor holds at once. `shared` are all bytes of a block, those for the system included."""
    warp_registers = (registers * 32 + 255) // 256 * 256
    warps = SCHEDULERS * (REGISTERS // SCHEDULERS // warp_registers)
    return min(warps * 32 // threads, SHARED // max(shared, 1), THREADS // threads, BLOCKS)


def recorded_waves(card):
    """Launches that the card has profiled: kernel, waves, and what they are here."""
    with open(PROFILED, encoding="utf-8", newline="") as file:
        for row in list(csv.DictReader(file))[1:]:  # after the units
            held = resident(int(row["launch__registers_per_thread"]),
                            round(float(row["launch__shared_mem_per_block"]) * 1000),
                            int(float(row["launch__block_size"])))
            yield (row["Kernel Name"], float(row["launch__waves_per_multiprocessor"]),
                   float(row["launch__grid_size"]) / held / card["multiprocessors"])


def wave(launch, used, card):
    """How a launch's blocks fill a card: blocks that a multiprocessor holds; waves of them; and balance, the share of
    the time of the busiest multiprocessor that an average one has work for. A kernel that divides its work among the
    blocks itself, as wgmma does, is seen by its blocks alone."""
    held = resident(used["registers"], used["shared"] + launch["shared"], launch["threads"])
    blocks = launch["x"] * launch["y"] * launch["z"]
    each = blocks / card["multiprocessors"]
    waves = each / held
    full = math.ceil(waves) * held if waves > 1 else math.ceil(each)
    return {"resident": held, "waves": f"{waves:.2f}", "balance": f"{each / full:.3f}"}
