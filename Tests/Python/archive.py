"""Makes an archive of small real runs, and measures how long it takes to list and to select them.

    python Tests/Python/archive.py COUNT FOLDER [--program PROGRAM]

Runs that FOLDER has already are kept, so that a stopped call resumes. Half of the runs are
labelled `branch=main`, the others `branch=other`, whose tasks of the prefix `load` take 30 %
longer. Times are medians of three, as ratios to a program that opens each log with Python's sqlite3
and reads its runs.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
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


def measure(folder: Path, program: str) -> None:
    paths = sorted(folder.rglob("*.db"))
    base = _seconds(lambda: _with_sqlite(paths))
    print(f"{len(paths)} logs, {sum(path.stat().st_size for path in paths) / 1e6:.0f} MB")
    print(f"sqlite3 in Python, which reads less: {base:.2f} s")
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "XDG_CACHE_HOME": cache}

        def tasklog_runs(*arguments: str) -> str:
            words = [program, "runs", "--log", str(folder), "--format", "csv", *arguments]
            done = subprocess.run(
                words, env=environment, capture_output=True, text=True, check=True
            )
            return done.stdout

        for name, arguments, rounds in [
            ("runs, for the first time", (), 1),
            ("runs", (), 3),
            (
                "runs --runs",
                ("--runs", "label.branch=main and prefix=load and not died last 20"),
                3,
            ),
        ]:
            seconds = _seconds(lambda arguments=arguments: tasklog_runs(*arguments), rounds)
            lines = tasklog_runs(*arguments).count("\n") - 1
            print(f"{name}: {seconds:.2f} s, {seconds / base:.2f} × sqlite3, {lines} runs")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"peak memory: {peak / 1024:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("count", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--program", default="tasklog")
    chosen = parser.parse_args()
    make(chosen.count, chosen.folder)
    measure(chosen.folder, chosen.program)


if __name__ == "__main__":
    main()
