#!/usr/bin/env python3
"""Asserts without a card that no kernel has become slower: by what steps of models launch, by the machine code, and by
how blocks fill a GPU. What is asserted lies in cuda/budgets; the models in ci/cuda_model.py.

  ci/cuda_budget.py [--write] [CUDA_ROOT FOLDER_OF_FATBINS]

Without a toolchain only what needs no machine code is checked. --write makes new budgets of what is found, after a
change for the better: of launches from what LaunchBudgetTest left in java/cuda/target. Either way
cuda/results/predicted.md must be what the budgets give (ci/cuda_predicted.py).
"""
import collections
import pathlib
import sys

import cuda_code as code
import cuda_model as model
import cuda_predicted
from cuda_resources import output, resources

PREDICTED = model.ROOT / "cuda/results/predicted.md"

ARCHITECTURE = "sm_90a"
TOLERANCE = 0.05  # of instructions for the same work, and of bytes of code

CODE_BYTES = 128 << 10  # of a kernel: what the instruction cache of a multiprocessor is taken to hold
LOOP_BYTES = CODE_BYTES // 2  # of a loop, beside which other warps run other code

ROUNDING = 0.0005  # of a balance
WAVE_ROUNDING = 0.01

REGENERATE = "after a change for the better: ci/cuda_budget.py --write CUDA_ROOT FOLDER_OF_FATBINS"


def check_calibration(launches, card):
    """The models of steps and of waves give what the card has shown."""
    for name, step, measured, expected in model.calibration(launches, card):
        if abs(expected / measured - 1) > model.CALIBRATED:
            yield (f"{name}, {step}: the launch model says {expected * 1e3:.3f} ms, "
                   f"the card {measured * 1e3:.3f}: more than {model.CALIBRATED:.0%} apart")
    for kernel, measured, expected in model.recorded_waves(card):
        if abs(expected - measured) > WAVE_ROUNDING:
            yield f"{kernel}: {expected:.2f} waves, where the card had {measured:.2f}"


def code_faults(kernel, flow, loops):
    """What is wrong in a kernel's machine code whatever a budget says."""
    for place in code.touched_accumulators(flow):
        yield f"{kernel}: touches what wgmma still adds to: {place}"
    whole = len(flow.instructions(flow.order()))
    for loop in loops:
        if code.full_waits(loop) > 1:
            yield f"{kernel}: {code.full_waits(loop)} waits for all of wgmma in a loop: its products are serialized"
        if len(loop) < whole and len(loop) * code.INSTRUCTION_BYTES > LOOP_BYTES:
            yield f"{kernel}: a loop of {len(loop)} instructions is too long for the instruction cache"


def inspect(root, folder):
    """A row for each hot loop of each kernel, and what is wrong in the machine code."""
    rows, faults = [], []
    for fatbin in sorted(folder.glob("*.fatbin")):
        used = {kernel: (registers, shared) for kernel, architecture, registers, shared, _ in resources(root, fatbin)
                if architecture == ARCHITECTURE}
        for kernel, instructions in code.kernels(output(root, "-sass", "-arch", ARCHITECTURE, str(fatbin))).items():
            flow = code.Flow(instructions)
            loops = code.hot_loops(flow)
            faults += code_faults(kernel, flow, loops)
            registers, shared = used[kernel]
            for number, loop in enumerate(loops, 1):
                pipes = collections.Counter(map(code.pipe, loop))
                rows.append({"kernel": kernel, "registers": registers, "shared": shared,
                             "code": len(instructions) * code.INSTRUCTION_BYTES,
                             "one_lane": code.one_lane_copies(instructions), "loop": number,
                             "instructions": len(loop)} | {pipe: pipes[pipe] for pipe in code.PIPES}
                            | {"bytes": sum(map(code.loaded_bytes, loop)),
                               "operations": sum(map(code.operations, loop))})
    return sorted(rows, key=lambda row: (row["kernel"], row["loop"])), faults


def work(row):
    """What a loop does, to which its instructions are compared: operations where those bound it, else bytes."""
    bound_by_operations = row["kernel"].startswith(("gemm", "attention_prefill"))
    for what in ("operations", "bytes") if bound_by_operations else ("bytes", "operations"):
        if row[what]:
            return what, row[what]
    return "iteration", 1


def check_loop(row, budget):
    """A hot loop against the one of the same number in the budget."""
    name = f"{row['kernel']}, loop {row['loop']}"
    what, amount = work(row)
    budget_what, budget_amount = work(budget)
    if what != budget_what:
        yield f"{name}: counted by {what}, not by {budget_what}; {REGENERATE}"
        return
    ratio = row["instructions"] / amount * budget_amount / budget["instructions"]
    if ratio > 1 + TOLERANCE:
        more = ", ".join(f"{pipe} {budget[pipe]} to {row[pipe]}" for pipe in code.PIPES if row[pipe] != budget[pipe])
        yield f"{name}: {ratio - 1:.1%} more instructions for the same {what} ({more})"
    elif ratio < 1 - TOLERANCE:
        yield f"{name}: {1 - ratio:.1%} fewer instructions than its budget; {REGENERATE}"


def check_code(rows, budgets):
    """Machine code against its budget, loop by loop."""
    found = {(row["kernel"], row["loop"]): row for row in rows}
    known = {(row["kernel"], row["loop"]): row for row in budgets}
    for kernel, loop in sorted(found.keys() ^ known.keys()):
        yield f"{kernel}, loop {loop}: {'not in the budget' if (kernel, loop) in found else 'gone'}; {REGENERATE}"
    for key in sorted(found.keys() & known.keys()):
        row, budget = found[key], known[key]
        yield from check_loop(row, budget)
        if row["loop"] > 1:
            continue
        if row["code"] > max(CODE_BYTES, budget["code"] * (1 + TOLERANCE)):
            yield f"{row['kernel']}: {row['code']} bytes of code; its budget has {budget['code']}"
        if row["one_lane"] > budget["one_lane"]:
            yield f"{row['kernel']}: {row['one_lane']} loops copy lane after lane; its budget has {budget['one_lane']}"


def waves(launches, rows, card):
    """How the blocks of launches that are more than a launch fill the card, by what the launch is there for."""
    used = {row["kernel"]: row for row in rows}
    found = {}
    for launch in filter(model.heavy, launches):
        if launch["kernel"] in used:
            key = tuple(launch[k] for k in ("model", "step", "bytes", "operations"))
            row = {k: launch[k] for k in ("model", "step", "bytes", "operations", "kernel", "x", "y", "z")}
            found[key] = row | model.wave(launch, used[launch["kernel"]], card)
    return found


def check_waves(found, budgets):
    """No launch fills the card less than its budget says; one that has none leaves a tenth of it idle at most."""
    known = {tuple(row[k] for k in ("model", "step", "bytes", "operations")): row for row in budgets}
    for key in sorted(known.keys() - found.keys()):
        yield f"{key[0]}, {key[1]}: no launch has {key[2]} bytes and {key[3]} operations any more; {REGENERATE}"
    for key, row in found.items():
        least = float(known[key]["balance"]) if key in known else model.LEAST_BALANCE
        if float(row["balance"]) < least - ROUNDING:
            yield (f"{row['model']}, {row['step']}: {row['kernel']} of {row['x']} x {row['y']} x {row['z']} blocks, "
                   f"{row['resident']} a multiprocessor: {row['waves']} waves, balance {row['balance']}, "
                   f"not {least:.3f}")
        elif float(row["balance"]) > least + ROUNDING and key in known:
            yield f"{row['model']}, {row['step']}: {row['kernel']} is balanced better than its budget; {REGENERATE}"


def main():
    arguments = [a for a in sys.argv[1:] if a != "--write"]
    write = len(arguments) + 1 < len(sys.argv)
    found = model.ROOT / "java/cuda/target/launches.tsv"
    if write and found.exists():
        (model.BUDGETS / "launches.tsv").write_bytes(found.read_bytes())
    launches = model.table("launches")
    cards = {card["card"]: card for card in model.table("cards")}
    faults = list(check_calibration(launches, cards[model.RECORDED_ON]))
    if arguments:
        rows, always = inspect(arguments[0], pathlib.Path(arguments[1]))
        filled = waves(launches, rows, cards[model.RECORDED_ON])
        if write:
            model.write_table("kernels", rows)
            model.write_table("waves", list(filled.values()))
        faults += always + list(check_code(rows, model.table("kernels"))) + list(
            check_waves(filled, model.table("waves")))
    predicted = cuda_predicted.text(launches, list(cards.values()), model.table("kernels"), model.table("waves"))
    if write:
        PREDICTED.write_text(predicted, encoding="utf-8")
    if PREDICTED.read_text(encoding="utf-8") != predicted:
        faults.append(f"cuda/results/predicted.md is not what the budgets give; {REGENERATE}")
    print(f"cuda budgets: {len(model.steps(launches))} steps, {len(faults)} faults")
    for fault in faults:
        print(f"FAILED: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
