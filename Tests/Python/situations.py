"""A situation for each kind of advice and for each kind of waiting, on real Dask clusters.

    situations.py [NAMES]

runs them, and prints for each what is expected and what was found first. A warning of another kind
is a failure, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from planting import Planted, kinds, told, warned
from situations_advice import ADVICE
from situations_stuck import STUCK

SITUATIONS = {each.name: each for each in (*ADVICE, *STUCK)}


def judge(planted: Planted, rows: list[dict]) -> str:
    """What is wrong; empty if nothing is."""
    if kinds(rows)[:1] != list(planted.expected[:1]):
        return f"expected {planted.expected[0]}"
    others = set(warned(rows)) - set(planted.expected) - set(planted.also)
    return f"also warned of {', '.join(sorted(others))}" if others else ""


def main(names: Iterable[str]) -> int:
    chosen = [SITUATIONS[name] for name in names] or list(SITUATIONS.values())
    failures = skipped = 0
    for planted in chosen:
        if not planted.can_run:
            skipped += 1
            print(f"{planted.name:24} skipped: {planted.needs} is not installed", flush=True)
            continue
        rows, seconds = told(planted)
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
    sys.exit(main(sys.argv[1:]))
