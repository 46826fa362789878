"""A task fails and thousands with it; hundreds fail, each with a different message."""

import json
from collections import Counter

from distributed import Client, wait


def fail(number: int) -> None:
    raise ValueError(f"row {number} of /data/part-{number:06d}.parquet is broken" + " " * 300)


def use(x: int, number: int) -> int:
    return x


if __name__ == "__main__":
    with Client(
        processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as client:
        root = client.submit(fail, 0, key="root-0")
        # With as many as allowed, the first has failed before the others are submitted.
        wait(root)
        count = range(1000)
        uses = client.map(use, [root] * len(count), count, key=[f"use-{i}" for i in count])
        more = client.map(use, uses, count, key=[f"then-{i}" for i in count])
        wait(more)
        own = client.map(fail, range(300), key=[f"own-{i}" for i in range(300)])
        wait(own)
        print(json.dumps(Counter(future.status for future in [root, *uses, *more, *own])))
