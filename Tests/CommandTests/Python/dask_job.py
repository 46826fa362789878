"""Records a small job on a Dask cluster. Usage: dask_job.py SOURCES LOG"""

import os
import sys
import time

sys.path.insert(0, sys.argv[1] + "/Python")
log = sys.argv[2]

# From the sources: the path comes first.
from distributed import Client, LocalCluster  # noqa: E402

import tasklog  # noqa: E402


def increment(x):
    return x + 1


def total(xs):
    return sum(xs)


def broken(x):
    raise ValueError(f"cannot take {x}")


def slowly(x, seconds):
    time.sleep(seconds)
    return x + 1


def second_time(marker):
    if not os.path.exists(marker):
        open(marker, "w").close()
        raise RuntimeError("the first time")
    return 1


with LocalCluster(
    n_workers=2, threads_per_worker=2, processes=False, dashboard_address=None
) as cluster:
    with Client(cluster) as client:
        client.register_plugin(tasklog.Recorder(log))
        numbers = client.map(increment, range(20))
        assert client.submit(total, numbers).result() == 210
        failed = client.submit(total, [client.submit(broken, 1)])
        assert isinstance(failed.exception(), ValueError)
        assert client.submit(second_time, log + ".marker", retries=2).result() == 1
        # The last to end, which determine the length of the run: three in a row.
        slow = client.submit(slowly, 0, 0.5, key="first-1")
        slow = client.submit(slowly, slow, 0.2, key=("middle", 1))
        assert client.submit(slowly, slow, 0.1, key="last-1").result() == 3
