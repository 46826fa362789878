"""A situation for each kind of advice and for each kind of waiting, on real Dask clusters.

    situations.py [--keep FOLDER] [NAMES]

runs them, and prints for each what is expected and what was found first. A warning of another kind
is a failure, too. `--keep` leaves the log of one in a folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from planting import Situation, kinds, told, warned
from situations_advice import ADVICE
from situations_stuck import STUCK

SITUATIONS = {each.name: each for each in (*ADVICE, *STUCK)}


def judge(planted: Situation, rows: list[dict]) -> str:
    """What is wrong; empty if nothing is."""
    if kinds(rows)[:1] != list(planted.expected[:1]):
        return f"expected {planted.expected[0]}"
    others = set(warned(rows)) - set(planted.expected) - set(planted.also)
    return f"also warned of {', '.join(sorted(others))}" if others else ""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", choices=[*SITUATIONS, []], metavar="NAMES")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    chosen = [SITUATIONS[name] for name in given.names] or list(SITUATIONS.values())
    failures = skipped = 0
    for planted in chosen:
        if not planted.can_run:
            skipped += 1
            print(f"{planted.name:24} skipped: {planted.needs} is not installed", flush=True)
            continue
        rows, seconds = told(planted, given.keep)
        wrong = judge(planted, rows)
        failures += bool(wrong)
        found = ", ".join(kinds(rows)[:3]) or "nothing"
        print(
            f"{planted.name:24} {seconds:5.1f} s  "
            f"{'failed: ' + wrong if wrong else 'ok'}; found: {found}",
            flush=True,
        )
    print(f"{len(chosen) - skipped - failures} of {len(chosen) - skipped} ok, {skipped} skipped")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
