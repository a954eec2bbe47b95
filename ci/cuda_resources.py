#!/usr/bin/env python3
"""Looks into the compiled CUDA kernels: writes a table of registers, shared and local memory on the architectures that
CI compiles for, and fails where the machine code does not hold what was meant.

  ci/cuda_resources.py CUDA_ROOT FOLDER_OF_FATBINS cuda/results/resources.md

Checked: no kernel uses local memory (nothing is spilled); INT8 tensor-core instructions (IMMA, or IGMMA by wgmma) in
every gemm of integers and in every gemv of integers; bulk copies (UBLKCP) where wgmma is; FP16 ones (HMMA, or HGMMA by
wgmma) in gemm_f16_wgmma, in every attention_prefill kernel and in attention_decode of 16-bit and 8-bit pages; loads of
16 bytes (LDG.E….128, or LDGSTS.E….128 to shared memory, or bulk copies) in every gemv and attention_decode kernel; on
architectures that have it, the wait for the kernel before (ACQBULK) in every kernel. And where kernels.txt says that a
driver for CUDA 12 will do: its form of machine code, nothing compressed.
"""
import collections
import pathlib
import re
import subprocess
import sys

# By the beginning of a kernel's name, and what is not in it.
MEANT = ((r"gemm_(int|levels).*(?<!_wgmma)$", r"IMMA\."),
         (r"gemv_(int|levels).*(?<!_float)_rows[48]$", r"IMMA\."),
         (r"gemm_int.*_wgmma", r"IGMMA\."),
         (r"gemm_f16_wgmma", r"HGMMA\."),
         (r"gemm_.*_wgmma", r"UBLKCP\."),
         (r"attention_prefill_", r"HMMA\."),
         (r"attention_decode_.*_heads8_", r"HMMA\."),
         (r"gemv_", r"LDG(STS)?\.E\S*\.128|UBLKCP\."),
         (r"attention_decode_", r"LDG\.E\S*\.128"))

WRITTEN = ("sm_80", "sm_90a")  # what cuda/CMakeLists.txt has as `checked`
OVERLAPPING = 90  # the first architecture on which kernels may begin before the one before them has ended


def output(root, *arguments):
    return subprocess.run([f"{root}/bin/cuobjdump", *arguments], capture_output=True, text=True, check=True).stdout


def resources(root, fatbin):
    """Per kernel and architecture: registers, static shared bytes, local bytes (stack included)."""
    architecture = kernel = None
    for line in output(root, "-res-usage", str(fatbin)).splitlines():
        if match := re.search(r"arch = (sm_\w+)", line):
            architecture = match.group(1)
        elif match := re.search(r"Function (\w+):", line):
            kernel = match.group(1)
        elif (match := re.search(r"REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)", line)) and kernel:
            registers, stack, shared, local = map(int, match.groups())
            yield kernel, architecture, registers, shared, stack + local
            kernel = None


def missing_instructions(root, fatbin, architecture):
    kernel = None
    code = collections.defaultdict(list)
    for line in output(root, "-sass", "-arch", architecture, str(fatbin)).splitlines():
        if match := re.search(r"Function : (\w+)", line):
            kernel = match.group(1)
        elif kernel:
            code[kernel].append(line)
    awaits = ((r"", r"ACQBULK"),) if number(architecture) >= OVERLAPPING else ()
    for name, lines in code.items():
        for prefix, instruction in MEANT + awaits:
            if re.match(prefix, name) and not any(re.search(instruction, line) for line in lines):
                yield f"{name}, {architecture}: no {instruction}"


def unreadable(root, fatbin):
    """What a driver for CUDA 12.0 (from compute capability 10.0 on: 12.8) cannot read."""
    for piece in output(root, "-res-usage", str(fatbin)).split("Fatbin elf code:")[1:]:
        architecture, form = re.search(r"arch = (sm_\w+)\s+code version = \[1,(\d+)\]", piece).groups()
        if int(form) > (7 if number(architecture) < 100 else 8):
            yield f"{fatbin.name}, {architecture}: form {form} of machine code"
        if re.search("^compressed$", piece, re.MULTILINE):
            yield f"{fatbin.name}, {architecture}: compressed"


def number(architecture):
    return int(re.sub(r"\D", "", architecture))


def write(target, table, shared_bytes, version, faults):
    lines = ["# Registers and memory of the CUDA kernels", "",
             f"ptxas {version}; written by `ci/cuda_resources.py`. Registers a thread; shared bytes a block without "
             "dynamic ones; local bytes"
             + (" are 0 everywhere (nothing is spilled)." if not faults else ": see the end."), "",
             "| kernel | " + " | ".join(WRITTEN) + " | shared |", "|---" * (len(WRITTEN) + 2) + "|"]
    for kernel in sorted(table):
        lines.append(f"| {kernel} | " + " | ".join(str(table[kernel].get(a, "")) for a in WRITTEN)
                     + f" | {shared_bytes[kernel]} |")
    target.write_text("\n".join(lines + [""] + faults) + ("\n" if faults else ""))


def main():
    root, folder, target = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    table = collections.defaultdict(dict)
    shared_bytes = {}
    faults = []
    cuda12 = "driver 12000" in (folder / "kernels.txt").read_text().splitlines()
    for fatbin in sorted(folder.glob("*.fatbin")):
        for kernel, architecture, registers, shared, local in resources(root, fatbin):
            table[kernel][architecture] = registers
            shared_bytes[kernel] = max(shared, shared_bytes.get(kernel, 0))
            if local:
                faults.append(f"{kernel}, {architecture}: {local} bytes of local memory")
        if cuda12:
            faults += unreadable(root, fatbin)
        for architecture in sorted({a for row in table.values() for a in row}):
            faults += missing_instructions(root, fatbin, architecture)
    if not table:
        faults.append(f"there are no kernels in {folder}")
    architectures = sorted({a for row in table.values() for a in row}, key=number)
    ptxas = subprocess.run([f"{root}/bin/ptxas", "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"V([0-9.]+)", ptxas)[1]
    write(target, table, shared_bytes, version, faults)
    print(f"cuda kernels: {len(table)} for {len(architectures)} architectures, {len(faults)} faults")
    for fault in faults:
        print(f"FAILED: {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
