"""A situation for each kind of advice, of waiting and of idling, on real Dask clusters.

    situations.py [--keep FOLDER] [NAMES]

runs them, and prints for each what is expected and what was found first. A warning of another kind
is a failure, too. `--keep` leaves the log of one in a folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from planting import kinds, mistake, told
from situations_advice import ADVICE
from situations_explained import EXPLAINED
from situations_stuck import STUCK

SITUATIONS = {each.name: each for each in (*ADVICE, *STUCK, *EXPLAINED)}


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
        wrong = mistake(planted, rows)
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
