"""Annotations that are objects, arrays and tables, deeply nested, recursive, or very long."""

import array
import collections
import datetime
import decimal
import json
import pathlib
import re
import types

import dask
import numpy as np
import pandas as pd
from distributed import Client


class Table:
    """Its repr is long, and counted in the process of the scheduler."""

    made = 0

    def __repr__(self) -> str:
        Table.made += 1
        return "row " * 10_000


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def itself() -> types.SimpleNamespace:
    loop = types.SimpleNamespace()
    loop.me = loop
    return loop


ODD = {
    "deep": nested(300), "np": np.arange(1000), "nan": np.float32("nan"), "path": pathlib.Path("x"),
    "re": re.compile("a+"), "loop": itself(), "date": datetime.datetime(2020, 1, 1),
    "decimal": decimal.Decimal("1.5"), "set": {1, 2}, "bytes": b"\xff" * 10, "len": len,
    "map": {(1, 2): {3: 4}}, "inf": float("inf"), "counter": collections.Counter("abc"),
    "table": pd.DataFrame({"a": range(10_000)}), "array": array.array("d", [1.0]),
}  # fmt: skip
MANY = {"object": Table(), "text": "t" * 300_000}


@dask.delayed
def add(x: int, y: int = 1) -> int:
    return x + y


if __name__ == "__main__":
    sums = {}
    with Client(
        n_workers=2, threads_per_worker=1, dashboard_address=None, resources={"GPU": 1}
    ) as client:
        for values, count in ((ODD, 1), (MANY, 100)):
            for name, value in values.items():
                with dask.annotate(custom=value, priority=3, retries=2, resources={"GPU": 1}):
                    tasks = [add(number) for number in range(count)]
                futures = client.compute(tasks, optimize_graph=False)
                try:
                    sums[name] = sum(client.gather(futures))
                except Exception as error:
                    sums[name] = type(error).__name__
    odd = sorted({sums.pop(name) for name in ODD}, key=str)
    print(json.dumps({"odd": odd, "many": sums, "reprs": Table.made}))
