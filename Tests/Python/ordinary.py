"""Ordinary workloads, varied and honest, none of which is worth a warning of `tasklog advice`.

    ordinary.py [NAMES]

runs them, and prints each warning, and how many workloads have one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import dask.bag as db
import numpy as np
from distributed import Client, Queue, Variable, as_completed, fire_and_forget, wait, worker_client

import advised
from advised import nap
from planting import Situation, told, warned
from workloads import increment

ORDINARY: dict[str, Situation] = {
    name: Situation(name, run, ()) for name, run in advised.ORDINARY.items()
}
#: With two processes of two threads each.
SEVERAL = {"processes": True}


def ordinary(function: Callable[[Client, Path], Any]) -> Callable[[Client, Path], Any]:
    ORDINARY[function.__name__] = Situation(function.__name__, function, ())
    return function


def _work(name: str, function: Callable[[], Any], **cluster: Any) -> None:
    ORDINARY[name] = Situation(name, lambda client, folder: function(), (), cluster=cluster)


def square(value: float) -> float:
    time.sleep(0.03)
    return value * value


def add(*values: float) -> float:
    time.sleep(0.03)
    return sum(values)


def spin(count: int) -> int:
    return sum(i * i for i in range(count))


# Futures


@ordinary
def completed(client: Client, folder: Path) -> None:
    for future in as_completed(client.map(square, range(40))):
        future.result()


@ordinary
def more_as_completed(client: Client, folder: Path) -> None:
    futures = as_completed(client.map(square, range(12)))
    for count, future in enumerate(futures):
        if count < 12:
            futures.add(client.submit(square, 100 + future.result()))


@ordinary
def batches(client: Client, folder: Path) -> None:
    client.gather(client.map(square, range(60), batch_size=20))


@ordinary
def chain(client: Client, folder: Path) -> None:
    value = client.submit(square, 2)
    for _ in range(10):
        value = client.submit(add, value, 1)
    value.result()


@ordinary
def chains(client: Client, folder: Path) -> None:
    ends = []
    for start in range(8):
        value = client.submit(square, start)
        for step in range(5):
            value = client.submit(add, value, step)
        ends.append(value)
    client.gather(ends)


@ordinary
def fan_out(client: Client, folder: Path) -> None:
    one = client.submit(square, 3)
    client.gather([client.submit(add, one, n) for n in range(40)])


@ordinary
def scattered(client: Client, folder: Path) -> None:
    data = client.scatter(np.arange(500_000))
    client.gather([client.submit(lambda d, n: d[n::7].sum(), data, n) for n in range(7)])


@ordinary
def broadcast(client: Client, folder: Path) -> None:
    data = client.scatter(np.arange(100_000), broadcast=True)
    client.gather([client.submit(lambda d, n: int(d[n]), data, n) for n in range(20)])


@ordinary
def forgotten(client: Client, folder: Path) -> None:
    fire_and_forget(client.submit(nap, 0, 0.3))
    client.gather(client.map(square, range(20)))


@ordinary
def priorities(client: Client, folder: Path) -> None:
    low = client.map(square, range(20), priority=-1)
    client.gather(client.map(square, range(20, 40), priority=10))
    client.gather(low)


@ordinary
def cancelled(client: Client, folder: Path) -> None:
    futures = client.map(nap, range(20), [0.2] * 20)
    time.sleep(0.5)
    client.cancel(futures[10:])
    client.gather(futures[:4])


@ordinary
def retried_never(client: Client, folder: Path) -> None:
    client.gather(client.map(square, range(30), retries=3))


@ordinary
def within_tasks(client: Client, folder: Path) -> None:
    client.submit(launch, 8).result()


def launch(count: int) -> float:
    with worker_client() as client:
        return sum(client.gather(client.map(square, range(count))))


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self, step: int) -> int:
        self.count += step
        return self.count


@ordinary
def actor(client: Client, folder: Path) -> None:
    counter = client.submit(Counter, actor=True).result()
    for _ in range(30):
        counter.add(1).result()


@ordinary
def queue(client: Client, folder: Path) -> None:
    queue = Queue("work")
    for future in client.map(square, range(10)):
        queue.put(future)
    client.gather([queue.get() for _ in range(10)])


@ordinary
def variable(client: Client, folder: Path) -> None:
    Variable("x").set(client.submit(square, 3))
    Variable("x").get().result()


@ordinary
def published(client: Client, folder: Path) -> None:
    client.publish_dataset(squares=client.map(square, range(12)))
    client.gather(client.get_dataset("squares"))
    client.unpublish_dataset("squares")


@ordinary
def two_clients(client: Client, folder: Path) -> None:
    with Client(client.cluster) as other:
        mine, theirs = client.map(square, range(20)), other.map(square, range(50, 70))
        client.gather(mine)
        other.gather(theirs)


@ordinary
def replicated(client: Client, folder: Path) -> None:
    made = client.map(square, range(8))
    wait(made)
    client.replicate(made)
    client.gather(client.map(add, made))


@ordinary
def rebalanced(client: Client, folder: Path) -> None:
    made = client.map(np.ones, [100_000] * 8, pure=False)
    wait(made)
    client.rebalance(made)
    client.gather(client.map(len, made))


@ordinary
def interactive(client: Client, folder: Path) -> None:
    for start in range(0, 12, 4):
        client.gather(client.map(square, range(start, start + 4)))
        time.sleep(0.5)


@ordinary
def scaled_up(client: Client, folder: Path) -> None:
    client.gather(client.map(square, range(20)))
    client.cluster.scale(3)
    client.wait_for_workers(3)
    client.gather(client.map(square, range(20, 60)))


@ordinary
def scaled_down(client: Client, folder: Path) -> None:
    client.gather(client.map(square, range(20)))
    client.cluster.scale(1)
    client.gather(client.map(square, range(20, 40)))


@ordinary
def twice(client: Client, folder: Path) -> None:
    client.gather(client.map(square, range(10)))
    client.gather(client.map(square, range(10, 30)))


@ordinary
def uneven(client: Client, folder: Path) -> None:
    seconds = [0.05 + 0.02 * (n % 7) for n in range(40)]
    client.gather(client.map(nap, range(40), seconds))


@ordinary
def files(client: Client, folder: Path) -> None:
    for number in range(8):
        (folder / f"{number}.txt").write_text("a few words\n" * 1000)
    db.read_text(str(folder / "*.txt")).map(len).sum().compute()


def _pure_python() -> None:
    dask.compute(*[dask.delayed(spin)(200_000) for _ in range(16)])


def _nested() -> None:
    rows = [[dask.delayed(square)(r * 4 + c) for c in range(4)] for r in range(6)]
    dask.delayed(add)(*[dask.delayed(add)(*row) for row in rows]).compute()


# Collections


def _arrays() -> dict[str, Callable[[], Any]]:
    def x(size: int = 2000, chunk: int = 500) -> Any:
        return da.random.random((size, size), chunks=chunk)

    return {
        "array_mean": lambda: x().mean().compute(),
        "array_transposed": lambda: (x() + x().T).sum(axis=0).compute(),
        "array_rechunked": lambda: x().rechunk((2000, 250)).std().compute(),
        "array_overlap": lambda: da.overlap.overlap(x(), 2, "reflect").sum().compute(),
        "array_blocks": lambda: x().map_blocks(np.sqrt).max().compute(),
        "array_svd": lambda: da.linalg.svd(x(1000, 1000).rechunk((250, 1000)))[1].compute(),
        "array_slices": lambda: x()[::3, 100:900].sum().compute(),
        "array_persisted": lambda: [each.sum().compute() for each in [x().persist()] * 2],
        "array_histogram": lambda: da.histogram(x(), 20, (0, 1))[0].compute(),
        "array_stored": lambda: x().store(np.empty((2000, 2000)), lock=False),
    }


def _frames() -> dict[str, Callable[[], Any]]:
    import dask.dataframe as dd
    import pandas as pd

    def frame(count: int = 8) -> Any:
        whole = pd.DataFrame({"key": np.arange(40_000) % 17, "x": np.arange(40_000.0)})
        return dd.from_pandas(whole, npartitions=count)

    return {
        "frame_mean": lambda: frame().x.mean().compute(),
        "frame_groups": lambda: frame().groupby("key").x.sum().compute(),
        "frame_merged": lambda: frame().merge(frame(4), on="x").x.sum().compute(),
        "frame_shuffled": lambda: frame().shuffle("key").x.sum().compute(),
        "frame_sorted": lambda: frame().sort_values("x", ascending=False).head(),
        "frame_filtered": lambda: frame().query("x > 100").x.max().compute(),
        "frame_applied": lambda: frame().map_partitions(lambda part: part * 2).sum().compute(),
        "frame_counted": lambda: frame().key.value_counts().compute(),
    }


_work("delayed_nested", _nested)
_work("pure_python", _pure_python)
_work("bag_folded", lambda: db.range(2000, 8).map(increment).fold(lambda a, b: a + b).compute())
_work("bag_filtered", lambda: db.range(2000, 8).filter(lambda n: n % 2).topk(5).compute())
_work("bag_joined", lambda: db.range(100, 4).join([1, 2, 3], lambda n: n).count().compute())
for _name, _function in _arrays().items():
    _work(_name, _function)
try:
    for _name, _function in _frames().items():
        _work(_name, _function)
except ImportError:  # pandas
    pass
_work("array_of_processes", lambda: da.ones((2000, 2000), chunks=500).sum().compute(), **SEVERAL)
_work("pure_python_processes", _pure_python, **SEVERAL)


def main(names: Iterable[str]) -> int:
    chosen = [ORDINARY[name] for name in names] or list(ORDINARY.values())
    false = 0
    for planted in chosen:
        rows, seconds = told(planted)
        warnings = warned(rows)
        false += bool(warnings)
        notes = [row["kind"] for row in rows if row["kind"] not in warnings]
        print(
            f"{planted.name:24} {seconds:5.1f} s  "
            f"{'FALSE: ' + ', '.join(warnings) if warnings else 'no warning'}"
            + (f" (notes: {', '.join(notes)})" if notes else ""),
            flush=True,
        )
    print(f"{false} of {len(chosen)} have a warning")
    return 1 if false > len(chosen) // 50 else 0


def limit_threads() -> None:
    """Starts the program again as Dask's nannies start workers: threads of BLAS spin while others
    wait for a processor, and a task takes 10 times as long on a busy machine."""
    limits = dask.config.get("distributed.nanny.pre-spawn-environ")
    limits = {name: str(value) for name, value in limits.items() if name.endswith("_NUM_THREADS")}
    if not limits.keys() <= os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.argv], limits | os.environ)


if __name__ == "__main__":
    limit_threads()
    sys.exit(main(sys.argv[1:]))
