"""Records real Dask runs, and compares the workers that tasks were put on with Dask's rules.

    python Tests/Python/placements.py              # all runs, in a temporary folder
    python Tests/Python/placements.py FOLDER       # keeps the logs there
    python Tests/Python/placements.py --run tree --run merge

For each run it prints how many workers were chosen for tasks without restrictions, how many of
these choices `tasklog explain --placements` finds among the best ones by the rules, how many of
them were ties (Dask takes any of several equally good workers), of how many only one worker was
considered, and why the others differ. Exits with 1 if fewer than 99 % are among the best, or if a
rule never occurred. The program is $TASKLOG_TEST_PROGRAM, or the newest build.
"""

from __future__ import annotations

import argparse
import json
import logging
import operator
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import dask
from distributed import Client, LocalCluster, as_completed, get_client, secede, wait

import tasklog

#: The share of decisions that must be among the best ones.
GOAL = 0.99
REPOSITORY = Path(__file__).resolve().parents[2]


def nap(seconds: float, *_: Any) -> float:
    time.sleep(seconds)
    return seconds


def block(size: int, *_: Any) -> bytes:
    return bytes(size)


def join(*parts: Any) -> int:
    return sum(len(part) if isinstance(part, bytes) else 1 for part in parts)


def fail_once(path: str) -> int:
    with open(path, "a") as file:
        file.write(".")
    if os.path.getsize(path) < 2:
        raise RuntimeError("not yet")
    return 1


def spawn(number: int) -> int:
    client = get_client()
    futures = client.map(operator.add, [number] * 3, range(3), pure=False)
    secede()
    return sum(client.gather(futures))


def some(client: Client) -> None:
    """Fewer tasks than threads, one after the other."""
    for number in range(12):
        client.gather(client.map(nap, [0.01 * (number % 3)] * 3, pure=False))


def many(client: Client) -> None:
    client.gather(client.map(nap, [0.005 * (number % 4) for number in range(300)], pure=False))


def tree(client: Client) -> None:
    level = client.map(block, range(10_000, 74_000, 1000), pure=False)
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [client.submit(join, *pair, pure=False) for pair in pairs]
    level[0].result()


def delayed_tree(client: Client) -> None:
    level = [dask.delayed(nap, pure=False)(0.01) for _ in range(128)]
    while len(level) > 1:
        level = [dask.delayed(join, pure=False)(*level[i : i + 4]) for i in range(0, len(level), 4)]
    client.compute(level[0]).result()


def chains(client: Client) -> None:
    """Tasks that stay where their data is."""
    ends = []
    for number in range(24):
        last = client.submit(block, 200_000 + number, pure=False)
        for _ in range(6):
            last = client.submit(block, 200_000 + number, last, pure=False)
        ends.append(last)
    wait(ends)


def pairs(client: Client) -> None:
    """Inputs of different sizes on different workers."""
    small = client.map(block, range(1000, 1040), pure=False)
    large = client.map(block, range(2_000_000, 2_000_040), pure=False)
    wait([*small, *large])
    wait(client.map(join, small, large[::-1], pure=False))
    wait(client.map(join, small, small[::-1], pure=False))


def sums(client: Client) -> None:
    import dask.array as da

    x = da.random.random((1200, 1200), chunks=(100, 100))
    client.compute(((x + x.T).sum(axis=0) - x.mean()).std()).result()


def product(client: Client) -> None:
    import dask.array as da

    x = da.random.random((500, 500), chunks=(100, 100))
    client.compute((x @ x.T).sum()).result()


def rechunked(client: Client) -> None:
    import dask.array as da

    x = da.random.random((800, 800), chunks=(800, 50))
    with dask.config.set({"array.rechunk.method": "tasks"}):
        client.compute(x.rechunk((50, 800)).sum(axis=1)).result()


def frame(rows: int = 4000, partitions: int = 12) -> Any:
    import dask.dataframe as dd
    import numpy as np
    import pandas as pd

    values = np.arange(rows)
    return dd.from_pandas(
        pd.DataFrame({"key": values * 7 % 101, "value": values}), npartitions=partitions
    )


def grouped(client: Client) -> None:
    client.compute(frame().groupby("key").value.sum(split_out=4)).result()


def shuffled(client: Client) -> None:
    with dask.config.set({"dataframe.shuffle.method": "tasks"}):
        client.compute(frame().set_index("key").value.sum()).result()


def merged(client: Client) -> None:
    """With the peer-to-peer shuffle, whose own tasks are restricted to workers."""
    with dask.config.set({"dataframe.shuffle.method": "p2p"}):
        client.compute(frame().merge(frame(2000, 6), on="key").value_x.sum()).result()


def growing(client: Client) -> None:
    """Each result causes new tasks."""
    done = as_completed([client.submit(nap, 0.01, number, pure=False) for number in range(8)])
    count = 8
    for future in done:
        if count < 120:
            done.add(client.submit(nap, 0.005 * (count % 5), future, pure=False))
            count += 1


def nested(client: Client) -> None:
    """Tasks that submit tasks, and leave their thread."""
    client.gather(client.map(spawn, range(16), pure=False))


def uneven(client: Client) -> None:
    """Work that is stolen."""
    first = client.submit(block, 1000, pure=False)
    wait(first)
    client.gather([client.submit(nap, 0.02, first, number, pure=False) for number in range(100)])


def retried(client: Client) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{number}" for number in range(30)]
        client.gather(client.map(fail_once, paths, retries=2, pure=False))


def scattered(client: Client) -> None:
    data = client.scatter([bytes(100_000 + number) for number in range(12)])
    for _ in range(3):
        wait([client.submit(join, *data[i : i + 3], pure=False) for i in range(10)])


def released(client: Client) -> None:
    """Results that are needed again after a worker is gone."""
    blocks = client.map(block, range(50_000, 50_040), pure=False)
    wait(blocks)
    client.retire_workers([next(iter(client.scheduler_info()["workers"]))])
    wait(client.map(join, blocks, blocks[::-1], pure=False))


def mixed(client: Client) -> None:
    sums(client)
    tree(client)
    many(client)


class Case(NamedTuple):
    run: Callable[[Client], None]
    workers: int = 2
    threads: int = 2
    processes: bool = False
    config: dict[str, Any] = {}


NO_QUEUE = {"distributed.scheduler.worker-saturation": "inf"}
CASES = {
    "some": Case(some, 3, 1),
    "many": Case(many, 3, 2),
    "many-unqueued": Case(many, 3, 2, config=NO_QUEUE),
    "tree": Case(tree, 4, 1),
    "delayed-tree": Case(delayed_tree, 3, 2, processes=True),
    "chains": Case(chains, 4, 2),
    "pairs": Case(pairs, 3, 1),
    "sums": Case(sums, 2, 4),
    "sums-unqueued": Case(sums, 4, 1, config=NO_QUEUE),
    "product": Case(product, 3, 2, processes=True),
    "rechunked": Case(rechunked, 4, 1),
    "grouped": Case(grouped, 2, 2),
    "shuffled": Case(shuffled, 4, 1, processes=True),
    "merged": Case(merged, 3, 2),
    "growing": Case(growing, 5, 1),
    "nested": Case(nested, 2, 2),
    "uneven": Case(uneven, 4, 1),
    "retried": Case(retried, 3, 1),
    "scattered": Case(scattered, 22, 1),
    "released": Case(released, 4, 1),
    "mixed": Case(mixed, 3, 3, processes=True),
}


def record(name: str, log: Path) -> None:
    case = CASES[name]
    with (
        dask.config.set({"distributed.worker.profile.enabled": False, **case.config}),
        LocalCluster(
            n_workers=case.workers, threads_per_worker=case.threads, processes=case.processes,
            dashboard_address=":0",
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        client.register_plugin(tasklog.Recorder(log, worker_spool=str(log.parent / "spool")))
        case.run(client)


def compare(log: Path, program: str) -> dict[str, list[dict[str, Any]]]:
    """The tables of `explain --placements`."""
    command = [program, "explain", "--placements", "--format", "json", "--log", str(log)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


class Counts(NamedTuple):
    """Decisions about tasks without restrictions."""

    decisions: int
    #: The recorded worker is among the best.
    expected: int
    #: The same, and it is one of several.
    ties: int
    #: Only one worker was considered.
    single: int

    def line(self, name: str) -> str:
        others = self.decisions - self.expected
        return (
            f"{name:<14} {self.decisions:>9} {self.expected:>10} {self.ties:>6} "
            f"{self.single:>6} {others:>6}"
        )


def counted(tables: dict[str, list[dict[str, Any]]]) -> Counts:
    rows = [row for row in tables["placements"] if row["rule"] != "restricted"]
    return Counts(*(sum(row[name] for row in rows) for name in Counts._fields))


def newest_program() -> str:
    built = [REPOSITORY / ".build" / kind / "tasklog" for kind in ("release", "debug")]
    found = max((path for path in built if path.exists()), key=lambda path: path.stat().st_mtime)
    return os.environ.get("TASKLOG_TEST_PROGRAM") or str(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--run", action="append", choices=list(CASES), help="only this run")
    arguments = parser.parse_args()
    # Tasks that fail do so on purpose.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    names = arguments.run or list(CASES)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        return report(names, folder, newest_program())


def report(names: list[str], folder: Path, program: str) -> int:
    total = Counts(0, 0, 0, 0)
    rules: dict[str, int] = {}
    print(
        f"{'run':<14} {'decisions':>9} {'among best':>10} {'ties':>6} {'single':>6} {'others':>6}"
    )
    for name in names:
        log = folder / name / "run.db"
        if not log.exists():
            log.parent.mkdir(parents=True)
            record(name, log)
        tables = compare(log, program)
        counts = counted(tables)
        total = Counts(*(a + b for a, b in zip(total, counts, strict=True)))
        for row in tables["placements"]:
            rules[row["rule"]] = rules.get(row["rule"], 0) + row["decisions"]
        print(counts.line(name))
        for row in tables["differences"]:
            print(f"    {row['rule']}: {row['key']} on {row['worker']}: {row['sentence']}")
    share = total.expected / max(total.decisions, 1)
    print(total.line("all"))
    print(f"{share:.2%} of {total.decisions} decisions are among the best")
    print("decisions by rule: " + ", ".join(f"{n} {rules[n]}" for n in sorted(rules)))
    missing = {"soonest", "least-work", "in-turn", "free-thread", "group"} - set(rules)
    if missing and len(names) == len(CASES):
        print(f"never decided by: {', '.join(sorted(missing))}")
        return 1
    return 0 if share >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
