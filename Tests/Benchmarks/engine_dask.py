"""The graph of the engine's benchmark on Dask: prints the seconds from `map` to the sum."""

import sys
import time

from distributed import Client, LocalCluster


def inc(value):
    return value + 1


if __name__ == "__main__":
    tasks, branches = int(sys.argv[1]), int(sys.argv[2])
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        start = time.perf_counter()
        levels = [client.map(inc, range(tasks), pure=False)]
        while len(levels[-1]) > 1:
            level = levels[-1]
            groups = [level[at : at + branches] for at in range(0, len(level), branches)]
            levels.append(client.map(sum, groups, pure=False))
        total = levels[-1][0].result()
        print(time.perf_counter() - start, flush=True)
        assert total == tasks * (tasks + 1) // 2
