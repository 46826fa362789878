"""A small job on a real Dask cluster whose keys and errors are hostile, recorded into a log.

Usage: dask_job.py LOG
"""

import contextlib
import os
import sqlite3
import sys
import time

from distributed import Client, LocalCluster, wait

import tasklog
from tasklog import observing

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "'\"&amp;<b>bold</b> é 漢字",
    "back\u202ewards\u200b",
    "line\nbreak\ttab",
    "__proto__",
    "<!-- style -->",
]


def pause():
    # Dask's profile has a sample every 10 ms, and counts the innermost function for its caller.
    time.sleep(0.01)


def increment(x):
    pause()
    return x + 1


def total(xs):
    return sum(xs)


def broken(x):
    raise ValueError(f"</pre><script>alert('{x}')</script>")


def die():
    os._exit(1)


COMPUTATIONS = "SELECT count(*) FROM task_durations WHERE action = 'compute'"
MEASURED = "SELECT count(DISTINCT worker) FROM events WHERE hook = 'heartbeat'"


def wait_for_log(path, count, select=COMPUTATIONS):
    """Waits until a query counts this number of rows of the log.

    The last events of a worker that dies arrive with the next worker on this host, or the recorder.
    """
    deadline = time.monotonic() + 30 * float(os.environ.get("TASKLOG_TEST_PATIENCE") or 1)
    while True:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as log:
            (found,) = log.execute(select).fetchone()
        if found >= count:
            return
        assert time.monotonic() < deadline, f"{found} of {count} are in the log: {select}"
        time.sleep(0.05)


if __name__ == "__main__":
    # So that a short run has some samples of the scheduler's load.
    observing.MONITOR_SECONDS = 0.5
    options = {"n_workers": 2, "threads_per_worker": 2, "dashboard_address": ":0"}
    with LocalCluster(processes=True, **options) as cluster, Client(cluster) as client:
        client.register_plugin(tasklog.Recorder(sys.argv[1], profile="1s"))
        numbers = client.map(increment, range(120))
        assert client.submit(total, numbers).result() == 7260
        failed = client.submit(broken, 1, key="broken-1")
        wait([failed, client.submit(total, [failed], key="needs-broken")])
        wait([client.submit(increment, i, key=key) for i, key in enumerate(HOSTILE)])
        wait_for_log(sys.argv[1], 120 + 1 + 1 + len(HOSTILE))
        wait_for_log(sys.argv[1], 2, MEASURED)
        # Otherwise they are computed again, and lost once more if only their worker recorded them.
        del numbers
        wait(client.submit(die, key="die-1"))
        assert client.submit(total, client.map(increment, range(20, 40))).result() == 610
