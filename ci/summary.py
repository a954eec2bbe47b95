#!/usr/bin/env python3
"""Adds up Surefire's reports: totals, and every skipped test with its reason. Fails where nothing ran or something failed."""
import glob
import sys
import xml.etree.ElementTree as xml

run = failed = 0
skipped = {}
for folder in sys.argv[1:]:
    for report in glob.glob(folder + "/TEST-*.xml"):
        for case in xml.parse(report).getroot().iter("testcase"):
            run += 1
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
                print(f"FAILED {case.get('classname')}.{case.get('name')}")
            note = case.find("skipped")
            if note is not None:
                reason = (note.get("message") or "no reason given").removeprefix("Assumption failed: ")
                skipped.setdefault(reason, []).append(f"{case.get('classname').rsplit('.', 1)[-1]}.{case.get('name')}")
count = sum(map(len, skipped.values()))
for reason, names in sorted(skipped.items()):
    print(f"skipped {len(names)}: {reason} ({', '.join(sorted(set(names))[:4])}{' …' if len(names) > 4 else ''})")
print(f"{run - failed - count} passed, {failed} failed, {count} skipped")
sys.exit(1 if failed or run == 0 else 0)
