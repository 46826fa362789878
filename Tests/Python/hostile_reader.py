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
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tasklog
from mutations import Mutation
from tasklog.reading import log as opening
from tasklog.reading.native import NativeLog
from tasklog.reading.pure import schema
from tasklog.reading.pure.log import PureLog

#: How many of the views are read of each mutation.
VIEWS = 2
#: One of so many mutations is read by the main thread, where Ctrl-C is to work, which takes longer.
MAIN_THREAD = 10
#: A log of 300 kB that takes more memory is a fault.
MEMORY = 256 << 20
READERS = [NativeLog, PureLog]
#: What Python computes where there is no native part; with it, commands do it.
ANALYSES: dict[str, Callable[[tasklog.Run], Any]] = {
    "summary": lambda run: run.summary(),
    "errors": lambda run: run.errors(),
    "slowest": lambda run: run.slowest(5),
    "critical path": lambda run: run.critical_path(),
    "story": lambda run: run.story("top-20"),
    "state": lambda run: run.state(60),
}


def view(name: str) -> Callable[[tasklog.Log], Any]:
    return lambda log: log.sql(f"SELECT * FROM {name} LIMIT 2000", timeout=5)


def take(answer: Any) -> None:
    """Reads everything of an answer."""
    is_report = isinstance(answer, tasklog.Report)
    for table in [answer[name] for name in answer] if is_report else [answer]:
        for _ in table:
            pass


def ask(path: Path, reader: type, chance: random.Random | None) -> None:
    """Opens a log with a reader and asks it some of what it can say, without a chance all.

    An error is an answer.
    """
    views, analyses = sorted(schema.views()), list(ANALYSES.values())
    if chance is not None:
        views = chance.sample(views, VIEWS)
        analyses = chance.sample(analyses, int(chance.random() < 0.4))
    opening.open_reader = lambda paths: reader(paths)  # type: ignore[assignment]
    with contextlib.suppress(tasklog.LogError), tasklog.open(path) as log:
        for name in views:
            # A parent that hears nothing for too long ends it.
            print("view", name, flush=True)
            with contextlib.suppress(tasklog.LogError):
                take(view(name)(log))
        runs = list(log) if analyses else []
        # With the native part, commands compute the analyses.
        for analysis in analyses if runs and reader is PureLog else []:
            print("analysis", flush=True)
            with contextlib.suppress(tasklog.LogError):
                take(analysis(runs[-1]))


def read(seed: int, folder: Path, *, is_all: bool = False) -> None:
    """Reads one mutated log, with one of the readers unless `is_all`: to open it takes time."""
    mutation = Mutation(seed, folder)
    print(f"log {mutation}".replace("\n", " "), flush=True)
    for reader in READERS if is_all else [READERS[seed % 2]]:
        ask(folder / "log.db", reader, None if is_all else random.Random(-seed - 1))


def tried(seed: int, is_all: bool) -> None:
    print(f"seed {seed}", flush=True)
    before = memory()
    try:
        with tempfile.TemporaryDirectory() as folder:
            read(seed, Path(folder), is_all=is_all)
    except Exception as error:
        print(f"fault {type(error).__name__}: {error!r:.300}".replace("\n", " "), flush=True)
    if memory() - before > MEMORY:
        print(f"grown {memory() - before}", flush=True)


def memory() -> int:
    """The largest memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def main(first: int, end: int, *, is_all: bool = False) -> None:
    warnings.simplefilter("ignore", tasklog.LogWarning)
    for seed in range(first, end):
        if seed % MAIN_THREAD == 0:
            tried(seed, is_all)
        else:
            thread = threading.Thread(target=tried, args=(seed, is_all))
            thread.start()
            thread.join()
    print(f"memory {memory()}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), is_all="all" in sys.argv)
