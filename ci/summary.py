#!/usr/bin/env python3
"""Adds up Surefire's reports: every skipped test with its reason, every failed one with its message's beginning, and
totals. Fails where nothing ran, something failed, or a test was skipped without a reason."""
import glob
import sys
import xml.etree.ElementTree as xml

LENGTH = 200  # of a message


def message(note):
    """What a test failed or was skipped with; Surefire may write it only as the beginning of a stack trace."""
    text = note.get("message")
    if not text:
        trace = (note.text or "").split("\n\tat ")[0]
        kind = note.get("type") or ""
        text = trace[len(kind):].lstrip(":") if kind and trace.startswith(kind) else trace
    return " ".join(text.split()).removeprefix("Assumption failed: ")


def short(text):
    return text if len(text) <= LENGTH else text[:LENGTH] + " …"


run = 0
failed = []
skipped = {}
for folder in sys.argv[1:]:
    for report in glob.glob(folder + "/TEST-*.xml"):
        for case in xml.parse(report).getroot().iter("testcase"):
            run += 1
            for kind in ("failure", "error"):
                note = case.find(kind)
                if note is not None:
                    failed.append(f"{case.get('classname')}.{case.get('name')}: {short(message(note))}")
            note = case.find("skipped")
            if note is not None:
                name = f"{case.get('classname').rsplit('.', 1)[-1]}.{case.get('name')}"
                skipped.setdefault(message(note), []).append(name)
nameless = skipped.pop("", [])
for reason, names in sorted(skipped.items()):
    some = ", ".join(sorted(set(names))[:4]) + (" …" if len(names) > 4 else "")
    print(f"skipped {len(names)}: {short(reason)} ({some})")
for name in sorted(nameless):
    print(f"SKIPPED WITHOUT A REASON {name}")
for line in sorted(failed):
    print(f"FAILED {line}")
count = sum(map(len, skipped.values())) + len(nameless)
print(f"{run - len(failed) - count} passed, {len(failed)} failed, {count} skipped")
sys.exit(1 if failed or nameless or run == 0 else 0)
