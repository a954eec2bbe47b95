#!/usr/bin/env python3
"""The form of every tracked text file of ours: no line over 120 columns, no tab, no blank at a line's end; and names of
kernel files that are OPERATION.cu or OPERATION.VARIANT.cu. Names every offender, and fails where there is one.

Exempt: Markdown (a paragraph is a line), data (resources, budgets, results of measurements) and the license.
"""
import pathlib
import re
import subprocess
import sys

COLUMNS = 120
EXEMPT = re.compile(
    r"\.md$|/resources/|^cuda/(budgets|results|variants)/|^cuda/selection\.tsv$|^docs/charts/|^LICENSE$")
KERNELS = re.compile(r"^(native|cuda|opencl)/kernels/")
NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?\.(cu|cl|h|cpp)")

root = pathlib.Path(__file__).resolve().parent.parent
listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
if listed.returncode != 0:
    print("The form of the files is not checked: this is no checkout of git")
    sys.exit(0)
offenders = 0


def offend(where, what):
    global offenders
    offenders += 1
    print(f"{where}: {what}")


for name in sorted(filter(None, listed.stdout.split("\0"))):
    file = root / name
    if KERNELS.match(name) and not NAME.fullmatch(file.name):
        offend(name, "the name is not OPERATION.cu, .cl, .h or .cpp, or OPERATION.VARIANT before that")
    if EXEMPT.search(name) or not file.is_file():
        continue
    data = file.read_bytes()
    if b"\0" in data:
        continue
    for number, line in enumerate(data.decode("utf-8").split("\n"), 1):
        if len(line) > COLUMNS:
            offend(f"{name}:{number}", f"{len(line)} columns, more than {COLUMNS}")
        if "\t" in line:
            offend(f"{name}:{number}", "a tab")
        if line != line.rstrip():
            offend(f"{name}:{number}", "a blank at the end")
if offenders:
    print(f"ci/text.py: {offenders} offenders")
sys.exit(1 if offenders else 0)
