"""Prints the tests of files, and whether each is run and not skipped, as a JSON object.

    python collecting.py FILE…

A test that is selected by its name must exist, and must be run.
"""

from __future__ import annotations

import json
import sys

import pytest


class Collected:
    def __init__(self) -> None:
        self.tests: dict[str, bool] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            marks = [mark for mark in item.iter_markers() if mark.name in ("skip", "skipif")]
            is_skipped = any(mark.name == "skip" or mark.args[0] for mark in marks)
            self.tests[f"{item.path.name}::{item.name}"] = not is_skipped


if __name__ == "__main__":
    collected = Collected()
    options = ["--collect-only", "-qqq", "-p", "no:cacheprovider"]
    code = pytest.main([*options, *sys.argv[1:]], plugins=[collected])
    print(json.dumps(collected.tests))
    sys.exit(code)
