"""A scheduler with several preloads, an argument for one of them, and a client that shuts it down
while it works."""

import json
import os
import time
from pathlib import Path

from distributed import Client, wait

from clusters import CommandCluster, Recording, wait_for

MINE = """
import click

@click.command()
@click.option("--foo", default="bar")
def dask_setup(scheduler, foo):
    scheduler.my_foo = foo

def dask_teardown(scheduler):
    print("teardown of", scheduler.my_foo, flush=True)
"""


def slow(number: int) -> int:
    time.sleep(0.01)
    return number


if __name__ == "__main__":
    Path("mine.py").write_text(MINE)
    names = ["mine.py", *json.loads(os.environ.pop("DASK_DISTRIBUTED__SCHEDULER__PRELOAD"))]
    arguments = [part for name in names for part in ("--preload", name)]
    with CommandCluster(Recording(Path.cwd()), [*arguments, "--foo", "baz"]) as cluster:
        worker = cluster.add_worker("--no-nanny")
        with Client(cluster.address) as client:
            result = client.submit(sum, client.map(abs, range(-20, 0))).result()
            foo = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.my_foo)
            busy = client.map(slow, range(3000))
            wait(busy[:40])
            client.shutdown()
        processes = [cluster.scheduler.process, worker.process]
        wait_for(lambda: None not in [p.poll() for p in processes], "end of the cluster")
        said = [line for line in cluster.scheduler.text.splitlines() if "teardown of" in line]
    told = {"result": result, "foo": foo, "codes": [p.returncode for p in processes], "said": said}
    print(json.dumps(told))
