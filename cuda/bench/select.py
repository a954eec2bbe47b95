#!/usr/bin/env python3
"""Writes cuda/selection.tsv: of every multiplication of many rows in a sweep, the form that was the quickest.

    cuda/bench/select.py SWEEP.jsonl CAPABILITY MULTIPROCESSORS

SWEEP.jsonl is what cuda/bench/sweep.cpp wrote on a card of that compute capability (90 for 9.0) with so many
multiprocessors. Lines of other cards stay. Forms whose results differed are left out.
"""
import json
import pathlib
import re
import sys

TABLE = pathlib.Path(__file__).parent.parent / "selection.tsv"
HEADER = "capability\tmultiprocessors\tweights\trows\toutputs\tcolumns\tform\tus"


def form(variant: str) -> str:
    tile = re.fullmatch(r"(tile \d+), segments (\d+)", variant)
    return variant if tile is None else tile[1] if tile[2] == "1" else f"{tile[1]}, divided"


def quickest(path: str, card: str) -> list[str]:
    best: dict[str, tuple[float, str]] = {}
    for line in pathlib.Path(path).read_text().splitlines():
        cell = json.loads(line)
        name = cell["cell"].split("/")
        if name[0] != "gemm" or not cell["same"] or not cell["dependent"]:
            continue
        _, bits, group, rows, shape = name
        outputs, columns = shape.split("x")
        key = "\t".join([card, f"{bits}/{group}", rows, outputs, columns])
        best[key] = min(best.get(key, (1e30, "")), (cell["us"], form(cell["variant"])))
    return [f"{key}\t{name}\t{us:.2f}" for key, (us, name) in best.items()]


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    card = f"{int(sys.argv[2])}\t{int(sys.argv[3])}"
    others = TABLE.read_text().splitlines()[1:] if TABLE.exists() else []
    kept = [line for line in others if not line.startswith(card + "\t")]
    lines = kept + quickest(sys.argv[1], card)
    TABLE.write_text("\n".join([HEADER, *sorted(lines)]) + "\n")
    print(f"{TABLE.name}: {len(lines)} multiplications")


if __name__ == "__main__":
    main()
