"""A job on a real Dask cluster with failures, retries and lost workers, recorded into a log.

Usage: lost_job.py LOG
"""

import os
import sys
from pathlib import Path

from distributed import Client, LocalCluster, wait

import tasklog
from dask_job import increment, total, wait_for_log


class Rejected(Exception):
    pass


def unsteady(folder):
    """Fails the first two times."""
    attempts = len(list(Path(folder).glob("unsteady-*")))
    (Path(folder) / f"unsteady-{attempts}").touch()
    if attempts < 2:
        raise OSError(f"attempt {attempts + 1}")
    return attempts


def fatal_once(folder, part):
    """Ends its worker the first time, which takes the worker's results with it."""
    mark = Path(folder) / "fatal"
    if not mark.exists():
        mark.touch()
        os._exit(1)
    return part


def reject(x):
    raise Rejected(f"cannot take {x}")


def fatal():
    os._exit(1)


if __name__ == "__main__":
    log = sys.argv[1]
    folder = str(Path(log).parent)
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(processes=True, **options) as cluster, Client(cluster) as client:
        client.register_plugin(tasklog.Recorder(log))
        parts = client.map(increment, range(12))
        wait(parts)
        sums = [client.submit(total, parts[i : i + 4], key=f"sum-{i}") for i in (0, 4, 8)]
        wait(sums)
        wait_for_log(log, 12 + 3)
        survivor = client.submit(fatal_once, folder, sums[0], key="fatal-once")
        last = client.submit(total, [survivor, *sums, *parts], key="last")
        wait(last)
        steady = client.submit(unsteady, folder, key="unsteady", retries=2)
        wait(steady)
        rejected = client.map(reject, range(3), retries=1)
        equal = [client.submit(reject, 7, key=f"equal-{i}") for i in range(4)]
        after = [
            client.submit(total, [rejected[0], other], key=f"after-{i}")
            for i, other in enumerate([last, steady])
        ]
        further = client.submit(total, after, key="further")
        wait([*rejected, *equal, *after, further])
        wait(client.submit(fatal, key="fatal"))
        # The chain of this one is not the one that ended last.
        wait(client.submit(total, client.map(increment, range(100, 104)), key="end"))
