# SPDX-License-Identifier: MIT
"""Sums the TAP results in Meson's log: `N passed, N failed, N skipped`.

    count-tests.py testlog.json STATUS_OF_MESON

A program that died, or was killed for its time, is one failure more than those that it told of. Ends with
status 0 where nothing failed and something passed.
"""
import json
import re
import sys


def count(test):
    passed = failed = skipped = 0
    for line in (test.get("stdout") or "").splitlines():
        match = re.match(r"\s{0,3}(not )?ok\b([^#]*)(#\s*(skip|todo))?", line, re.IGNORECASE)
        if not match:
            continue
        if match[3] and match[4].lower() == "skip":
            skipped += 1
        elif match[1]:
            failed += 1
        else:
            passed += 1
    good = test["result"] in ("OK", "EXPECTEDFAIL")
    if not good and test["result"] != "SKIP" and failed == 0:
        failed = 1
    if passed + failed + skipped == 0:
        passed, skipped = (1, 0) if good else (0, 1)
    return passed, failed, skipped


def main(path, status):
    with open(path, encoding="utf-8") as log:
        counts = [count(json.loads(line)) for line in log]
    passed, failed, skipped = (sum(column) for column in zip(*counts)) if counts else (0, 0, 0)
    if failed == 0 and status != 0:
        failed = 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
