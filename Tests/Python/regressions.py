"""Measures how well `tasklog compare` tells regressions from chance, with real runs of Dask.

    python Tests/Python/regressions.py COUNT FOLDER [--program PROGRAM]

Records COUNT runs of a noisy workload for each of several slowdowns of one prefix (0, 10, …,
40 %), in turn; those that FOLDER has already are kept. Then it compares 20 runs with 20 others,
drawn at random with fixed seeds: 500 times where neither side is slower (false alarms), and 100
times for each slowdown (power).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster

import tasklog
from archive import workload

SLOWDOWNS = (0, 10, 15, 20, 25, 30, 40)
SIDE = 20


def make(count: int, folder: Path) -> None:
    """Runs with the label `slower`, the slowdowns in turn, so that each sees the same machine."""
    wanted = [(number, slower) for number in range(count) for slower in SLOWDOWNS]
    missing = [pair for pair in wanted if not _path(folder, *pair).exists()]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        for number, slower in missing:
            path = _path(folder, number, slower)
            part = path.with_suffix(".part")
            part.unlink(missing_ok=True)
            labels = {"slower": slower}
            with tasklog.record(part, labels=labels, client=client):
                workload(client, number * 1000 + slower, 1 + slower / 100)
            part.rename(path)


def _path(folder: Path, number: int, slower: int) -> Path:
    return folder / f"run-{number:04}-{slower:02}.db"


class Archive:
    def __init__(self, folder: Path, program: str, cache: str) -> None:
        self.folder, self.program = folder, program
        self.environment = {**os.environ, "XDG_CACHE_HOME": cache}
        self.runs: dict[int, list[str]] = {slower: [] for slower in SLOWDOWNS}
        for row in self._command("runs"):
            self.runs[int(row["labels"]["slower"])].append(row["id"])

    def _command(self, *arguments: str) -> list[dict[str, Any]]:
        done = subprocess.run(
            [self.program, *arguments, "--log", str(self.folder), "--format", "jsonl"],
            env=self.environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return [json.loads(line) for line in done.stdout.splitlines()]

    def alarms(self, baseline: Sequence[str], runs: Sequence[str]) -> set[tuple[object, object]]:
        """The measures and prefixes that are called higher or lower."""
        sides = [" or ".join(f"id={id}" for id in side) for side in (runs, baseline)]
        rows = self._command(
            "compare", "--table", "measures", "--runs", sides[0], "--baseline", sides[1]
        )
        return {
            (row["measure"], row["prefix"]) for row in rows if row["verdict"] in ("higher", "lower")
        }


def measure(archive: Archive, equal: int, rounds: int) -> bool:
    """Prints false alarms and power; whether they are as documented."""
    chance = random.Random(24)
    same = archive.runs[0]
    false = 0
    for _ in range(equal):
        drawn = chance.sample(same, 2 * SIDE)
        false += bool(archive.alarms(drawn[:SIDE], drawn[SIDE:]))
    print(f"{false} false alarms in {equal} comparisons of {SIDE} with {SIDE} equal runs")
    least = None
    found = {}
    for slower in SLOWDOWNS[1:]:
        hits = 0
        for _ in range(rounds):
            alarms = archive.alarms(
                chance.sample(same, SIDE), chance.sample(archive.runs[slower], SIDE)
            )
            hits += bool(alarms & {("p50", "load"), ("p95", "load")})
        found[slower] = hits / rounds
        print(f"{slower} % slower: found in {hits} of {rounds} comparisons")
        if least is None and found[slower] >= 0.8:
            least = slower
    print(f"smallest slowdown that is found in at least 80 %: {least} %")
    return false <= equal / 100 and found[30] >= 0.75


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--program", default=str(tasklog.find_binary()))
    parser.add_argument("--equal", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    if arguments.count < 2 * SIDE:
        parser.error(f"COUNT: at least {2 * SIDE} runs are needed")
    make(arguments.count, arguments.folder)
    with tempfile.TemporaryDirectory() as cache:
        archive = Archive(arguments.folder, arguments.program, cache)
        return 0 if measure(archive, arguments.equal, arguments.rounds) else 1


if __name__ == "__main__":
    sys.exit(main())
