#!/usr/bin/env python3
"""Asserts without a card that no kernel has become slower: by what steps of models launch, how blocks fill a GPU, and
the machine code. What is asserted lies in cuda/budgets; the models in ci/cuda_model.py.

  ci/cuda_budget.py [--write] [CUDA_ROOT FOLDER_OF_FATBINS]

Without a toolchain only what needs no machine code is checked. --write makes new budgets of what is found, after a
change for the better: of launches from what LaunchBudgetTest left in java/cuda/target.
"""
import pathlib
import sys

import cuda_model as model


def check_calibration(launches, card):
    """The model of steps gives what the card has shown."""
    for name, step, measured, expected in model.calibration(launches, card):
        if abs(expected / measured - 1) > model.CALIBRATED:
            yield (f"{name}, {step}: the launch model says {expected * 1e3:.3f} ms, "
                   f"the card {measured * 1e3:.3f}: more than {model.CALIBRATED:.0%} apart")


def main():
    arguments = [a for a in sys.argv[1:] if a != "--write"]
    write = len(arguments) + 1 < len(sys.argv)
    found = model.ROOT / "java/cuda/target/launches.tsv"
    if write and found.exists():
        (model.BUDGETS / "launches.tsv").write_bytes(found.read_bytes())
    launches = model.table("launches")
    cards = {card["card"]: card for card in model.table("cards")}
    faults = list(check_calibration(launches, cards["H200"]))
    print(f"cuda budgets: {len(model.steps(launches))} steps, {len(faults)} faults")
    for fault in faults:
        print(f"FAILED: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
