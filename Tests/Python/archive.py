"""Makes an archive of small real runs, and measures what commands over all of them take.

    python Tests/Python/archive.py COUNT FOLDER [--program PROGRAM]

Runs that FOLDER has already are kept, so that a stopped call resumes. Half of the runs are
labelled `branch=main`, the others `branch=other`, whose tasks of the prefix `load` take 30 %
longer. Times of what is quick are medians of three. The baseline is a program that opens each log
with Python's sqlite3 and reads its runs; peak memory is that of the command alone.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from distributed import Client, LocalCluster

import tasklog

#: The mean seconds of a task by prefix, and how much they vary between runs and between tasks.
SECONDS = {"load": 0.004, "clean": 0.002}
NOISE = 0.15
REGRESSION = 1.3


def load(seconds: float) -> int:
    time.sleep(seconds)
    return 1


def clean(value: int, seconds: float) -> int:
    time.sleep(seconds)
    return value


def workload(client: Client, number: int, slower: float) -> None:
    """Eight tasks of each prefix, whose durations vary as on a machine that others use, too.

    Those of the prefix `load` take `slower` times as long.
    """
    chance = random.Random(number)
    whole = chance.gauss(1, NOISE / 2)

    def seconds(prefix: str) -> float:
        factor = slower if prefix == "load" else 1
        return max(0, SECONDS[prefix] * factor * whole * chance.gauss(1, NOISE))

    loaded = client.map(load, [seconds("load") for _ in range(8)], pure=False)
    client.gather(client.map(clean, loaded, [seconds("clean") for _ in range(8)], pure=False))


def make(count: int, folder: Path) -> None:
    missing = [number for number in range(count) if not (_path(folder, number)).exists()]
    if not missing:
        return
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        for place, number in enumerate(missing):
            path = _path(folder, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            labels = {"branch": "other" if number % 2 else "main", "number": number}
            with tasklog.record(part, labels=labels, client=client):
                workload(client, number, REGRESSION if number % 2 else 1)
            part.rename(path)
            if sys.stderr.isatty():
                print(f"\r{place + 1} of {len(missing)} runs", end="", file=sys.stderr)


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number // 100:03}" / f"run-{number:06}.db"


def _seconds(body: Callable[[], object], rounds: int = 3) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        body()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


#: A process starts with the peak of the one that started it, so that a small one comes between.
_LAUNCHER = """
import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(child, 0)
print(used.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Program:
    """The command line, with a cache folder that is empty at first."""

    def __init__(self, program: str, folder: Path, cache: str) -> None:
        self._words = [sys.executable, "-I", "-S", "-c", _LAUNCHER, program]
        self._log = f"--log={folder}"
        self._environment = {**os.environ, "XDG_CACHE_HOME": cache}
        self.rows = 0
        self.peak = 0

    def run(self, command: str, *arguments: str) -> str:
        done = subprocess.run(
            [*self._words, command, self._log, *arguments],
            env=self._environment, capture_output=True, text=True,
        )  # fmt: skip
        *said, peak = done.stderr.splitlines()
        if done.returncode:
            sys.exit(f"tasklog {command} ended with {done.returncode}: {said[-1:]}")
        self.peak = int(peak) * 1024
        self.rows = max(0, done.stdout.count("\n") - 1)
        return done.stdout


def _with_sqlite(paths: list[Path]) -> int:
    """The program that people write: all runs with their totals."""
    runs = 0
    for path in paths:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        runs += len(
            connection.execute("SELECT run, started, ended, end, events FROM runs").fetchall()
        )
        connection.close()
    return runs


#: What is measured: a name, the command with its arguments, and how often. The first of each finds
#: nothing in the catalogue.
_CSV = ("--format", "csv")
COMMANDS: list[tuple[str, tuple[str, ...], int]] = [
    ("runs, the first time", ("runs", *_CSV), 1),
    ("runs", ("runs", *_CSV), 3),
    (
        "runs --runs",
        ("runs", *_CSV, "--runs", "label.branch=main and prefix=load and not died last 20"),
        3,
    ),
    ("trend, the first time", ("trend", *_CSV, "p50(prefix=load)"), 1),
    ("trend", ("trend", *_CSV, "p50(prefix=load)"), 3),
    (
        "compare of 20 with 20",
        (
            "compare", *_CSV, "--runs", "label.branch=other last 20",
            "--baseline", "label.branch=main last 20", "--table", "measures",
        ),
        3,
    ),
    (
        "compare of jobs, the first time",
        ("compare", *_CSV, "--baseline", "client last 20", "--table", "runs"),
        1,
    ),
    ("errors --runs", ("errors", *_CSV, "--runs", "closed"), 1),
    ("query --each", ("query", *_CSV, "SELECT count(*) FROM tasks WHERE run = :run", "--each"), 1),
    ("replay --each", ("replay", *_CSV, "--each", "--plugin", "counter"), 1),
    ("check of all", ("check", *_CSV), 1),
    ("anonymize", ("anonymize", "--run", "latest", "-o", "{copy}"), 1),
]  # fmt: skip


def measure(folder: Path, program: str) -> None:
    paths = sorted(folder.rglob("*.db"))
    base = _seconds(lambda: _with_sqlite(paths))
    print(f"{len(paths)} logs, {sum(path.stat().st_size for path in paths) / 1e6:.0f} MB")
    print(f"sqlite3 in Python, which reads the runs alone: {base:.2f} s")
    with tempfile.TemporaryDirectory() as scratch:
        tasklog_program = Program(program, folder, f"{scratch}/cache")
        for name, (command, *arguments), rounds in COMMANDS:
            words = [word.format(copy=f"{scratch}/copy.db") for word in arguments]
            seconds = _seconds(
                lambda command=command, words=words: tasklog_program.run(command, *words), rounds
            )
            print(
                f"{name}: {seconds:.2f} s, {seconds / base:.2f} × sqlite3, "
                f"{tasklog_program.rows} rows, {tasklog_program.peak / 2**20:.0f} MiB"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("count", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--program", default=str(tasklog.find_binary()))
    chosen = parser.parse_args()
    program = shutil.which(chosen.program)
    if program is None:
        parser.error(f"--program {chosen.program}: there is no such program")
    make(chosen.count, chosen.folder)
    measure(chosen.folder, program)


if __name__ == "__main__":
    main()
