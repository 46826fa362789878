"""Workloads for the clusters."""

from __future__ import annotations

import operator
import os
import signal
import time
from typing import Any

from distributed import Client, wait


def workers_of(client: Client) -> dict:
    """The workers that the scheduler knows, by address."""

    def identity(dask_scheduler: Any) -> dict:
        return {a: {"id": w.server_id, "name": w.name} for a, w in dask_scheduler.workers.items()}

    return client.run_on_scheduler(identity)


def increment(x: int) -> int:
    return x + 1


def fail(x: int) -> int:
    if x % 3 == 0:
        raise ValueError(f"not {x}")
    return x


def fail_until(path: str, times: int) -> str:
    """Fails the first times that it is run."""
    with open(path, "a") as file:
        file.write(".")
    if os.path.getsize(path) <= times:
        raise RuntimeError("not yet")
    return "at last"


def slow(seconds: float, x: Any = None) -> Any:
    time.sleep(seconds)
    return x


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Tally:
    """An actor."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, x: int) -> int:
        self.count += x
        return self.count


def maps(client: Client) -> None:
    futures = client.map(increment, range(60))
    assert client.submit(sum, futures).result() == sum(range(1, 61))


def keys_of_all_kinds(client: Client) -> None:
    """Dask takes numbers and tuples as keys, and any text."""
    keys = [("t", 1), ("t", 1, ("nested", 2.5)), 7, 1.5, "umlaut-ü", 'o\'clock \\ "quoted"']
    futures = [client.submit(increment, i, key=key) for i, key in enumerate(keys)]
    assert client.gather(futures) == list(range(1, len(keys) + 1))


def array(client: Client) -> None:
    import dask.array as da

    assert da.ones((400, 400), chunks=100).sum().compute() == 160_000
    assert da.arange(1000, chunks=100).reshape(10, 100).T.mean().compute() == 499.5


def bag(client: Client) -> None:
    import dask.bag as db

    counted = db.from_sequence(range(200), npartitions=8).map(increment)
    assert counted.fold(operator.add).compute() == sum(range(1, 201))


def errors(client: Client, folder: str) -> None:
    futures = client.map(fail, range(10, 20))
    after = client.submit(sum, futures)
    wait([*futures, after])
    assert [f.status for f in futures].count("error") == 3
    assert after.status == "error"
    retried = client.submit(fail_until, os.path.join(folder, "tries"), 2, retries=3)
    assert retried.result() == "at last"


def annotated(client: Client) -> None:
    import dask

    with dask.annotate(priority=3, retries=1, colours={"red", "green"}, pair=(1, 2.0)):
        import dask.array as da

        x = da.ones(20, chunks=5) + 1
    assert x.sum().compute(optimize_graph=False) == 40


def actors(client: Client) -> None:
    tally = client.submit(Tally, actor=True).result()
    assert [tally.add(2).result() for _ in range(3)] == [2, 4, 6]


def scatter(client: Client) -> None:
    data = client.scatter(list(range(50)), broadcast=True)
    single = client.scatter({"x": 5})
    assert client.submit(sum, data).result() == sum(range(50))
    assert client.submit(increment, single["x"]).result() == 6
    client.replicate(client.submit(increment, 41))


def released(client: Client) -> None:
    futures = client.map(slow, [0.01] * 20, range(20), pure=False)
    del futures[::2]
    wait(futures)
    client.cancel(client.submit(slow, 2, pure=False))


def stealing(client: Client) -> None:
    """All tasks begin where their data is; others help out. Dask balances once a second."""
    address = next(iter(workers_of(client)))
    data = client.scatter(1, workers=[address])
    wait([data])
    futures = [
        client.submit(
            slow, 0.1, data, key=f"steal-{i}", workers=[address], allow_other_workers=True
        )
        for i in range(40)
    ]
    assert sum(client.gather(futures)) == 40


def events(client: Client) -> None:
    """Anything can be logged on the scheduler."""

    def log(dask_scheduler: Any) -> None:
        import datetime

        circle: list = []
        circle.append(circle)
        dask_scheduler.log_event(
            "odd",
            {
                "set": {1, 2},
                ("tuple", 1): b"\x00\xff" * 300,
                "nan": float("nan"),
                "inf": -float("inf"),
                "zero": -0.0,
                "one": [1, 1.0, True],
                "big": 2**200,
                "small": -(2**63),
                "unsigned": 2**64 - 1,
                "nul": "a\0b",
                "surrogate": "\udc80x",
                "bytearray": bytearray(b"xyz"),
                "frozen": frozenset({"a"}),
                "when": datetime.datetime(2026, 1, 2, 3, 4, 5),
                "$dollar": {"$tuple": [1]},
                "text": "x" * 3000,
                None: None,
            },
        )
        dask_scheduler.log_event("odd", ("a", ["list", ("in", "tuple")]))

    client.run_on_scheduler(log)


def everything(client: Client, folder: str) -> None:
    """One after the other, each with all of its futures released at its end."""
    for part in (maps, keys_of_all_kinds, array, bag, annotated, actors, scatter, released):
        part(client)
    errors(client, folder)
    stealing(client)
    events(client)
