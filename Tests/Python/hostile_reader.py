"""Reads many mutated logs in one process, with the library; `hostile.py --in-process` watches it.

A line before each mutation says its seed, so that its parent knows which one ended the process, or
does not end.
"""

from __future__ import annotations

import contextlib
import random
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from mutations import Mutation
from tasklog.reading.errors import LogError
from tasklog.reading.native import NativeLog
from tasklog.reading.pure import schema
from tasklog.reading.pure.log import PureLog

#: The number of views of each mutation that each reader reads.
VIEWS = 4


def ask(log: Any, view: str) -> None:
    with contextlib.suppress(LogError):
        batches = log.batches({"sql": f"SELECT * FROM {view} LIMIT 2000", "timeout": 5.0})
        for batch in batches:
            for index in range(len(batches.columns)):
                list(batch.column(index))


def read(seed: int, folder: Path) -> None:
    """Reads one mutated log with both readers. An error of a log is an answer."""
    mutation = Mutation(seed, folder)
    print(f"log {mutation}".replace("\n", " "), flush=True)
    views = random.Random(-seed - 1).sample(sorted(schema.views()), VIEWS)
    for reader in (NativeLog, PureLog):
        with contextlib.suppress(LogError):
            log = reader([str(folder / "log.db")])
            log.describe()
            for view in views:
                ask(log, view)
            log.close()


def main(first: int, end: int) -> None:
    for seed in range(first, end):
        print(f"seed {seed}", flush=True)
        try:
            with tempfile.TemporaryDirectory() as folder:
                read(seed, Path(folder))
        except Exception as error:
            print(f"fault {type(error).__name__}: {error!r:.300}".replace("\n", " "), flush=True)
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
