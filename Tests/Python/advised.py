"""Runs of seconds with one mistake each, and ordinary ones, for `tasklog advice`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
from distributed import Client, wait

import tasklog
from workloads import increment


def nap(_: Any, seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def fail_once(path: str) -> str:
    """Fails the first time that it is run."""
    if not os.path.exists(path):
        open(path, "x").close()
        raise OSError("no such table yet")
    return path


def make(size: int) -> bytes:
    return bytes(size)


def die_once(path: str) -> str:
    if not os.path.exists(path):
        open(path, "x").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return path


# Mistakes: each is worth the advice of its name.


def always_retried(client: Client, folder: Path) -> None:
    client.gather(client.map(fail_once, [str(folder / f"t{i}") for i in range(4)], retries=1))


def hidden_errors(client: Client, folder: Path) -> None:
    good = [str(folder / f"t{i}") for i in range(8)]
    for path in good[1:]:
        open(path, "x").close()
    client.gather(client.map(fail_once, good, retries=1))


def failed_tasks(client: Client, folder: Path) -> None:
    wait(client.submit(fail_once, str(folder / "t")))


def straggler(client: Client, folder: Path) -> None:
    client.gather(client.map(nap, range(13), [2.2] + [0.1] * 12))


def skewed_prefix(client: Client, folder: Path) -> None:
    # Long ones come one after the other, on one worker.
    one = next(iter(client.scheduler_info(n_workers=-1)["workers"]))
    short = client.map(nap, range(20), [0.02] * 20)
    long = []
    for number in range(6):
        long.append(client.submit(nap, long[-1:] or number, 0.5, workers=[one]))
    client.gather(short + long)


def imbalance(client: Client, folder: Path) -> None:
    one = next(iter(client.scheduler_info(n_workers=-1)["workers"]))
    client.gather(client.map(nap, range(32), [0.2] * 32, workers=[one]))


def large_result(client: Client, folder: Path) -> None:
    wait(client.submit(make, 550_000_000))


def lost_workers(client: Client, folder: Path) -> None:
    client.submit(die_once, str(folder / "t")).result()


MISTAKES: dict[str, Callable[[Client, Path], None]] = {
    "always-retried": always_retried,
    "hidden-errors": hidden_errors,
    "failed-tasks": failed_tasks,
    "straggler": straggler,
    "skewed-prefix": skewed_prefix,
    "imbalance": imbalance,
    "large-result": large_result,
}


# Ordinary work: none is worth a warning.


def maps(client: Client, folder: Path) -> None:
    client.submit(sum, client.map(increment, range(60))).result()


def naps(client: Client, folder: Path) -> None:
    client.gather(client.map(nap, range(40), [0.1] * 40))


def array(client: Client, folder: Path) -> None:
    import dask.array as da

    x = da.ones((2000, 2000), chunks=500)
    (x @ x.T).mean().compute()


def tree(client: Client, folder: Path) -> None:
    level = client.map(nap, range(32), [0.05] * 32)
    while len(level) > 1:
        level = [client.submit(max, level[i : i + 2]) for i in range(0, len(level), 2)]
    level[0].result()


def bag(client: Client, folder: Path) -> None:
    import dask.bag as db

    db.range(1000, npartitions=10).map(increment).groupby(lambda x: x % 3).count().compute()


def delayed(client: Client, folder: Path) -> None:
    parts = [dask.delayed(nap)(i, 0.1) for i in range(16)]
    dask.delayed(sum)(parts).compute()


ORDINARY: dict[str, Callable[[Client, Path], None]] = {
    each.__name__: each for each in (maps, naps, array, tree, bag, delayed)
}


def recorder(log: Path) -> tasklog.Recorder:
    return tasklog.Recorder(log, worker_spool=str(log.parent / "spool"))
