"""A program that works on a cluster for a moment and ends in one of many ways.

    python ending_program.py KIND WAY

It prints ``ready to end`` when it has worked, and then ends, or continues until it is ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

from distributed import Client, LocalCluster, wait
from tornado.ioloop import PeriodicCallback


def work(number: int, seconds: float = 0.0) -> int:
    time.sleep(seconds)
    return number + 1


def some_work(client: Client, count: int = 60) -> None:
    futures = client.map(work, range(count), pure=False)
    assert client.submit(sum, futures, pure=False).result() == sum(range(1, count + 1))


def busy(client: Client) -> list:
    """Work that does not end before the program does."""
    return client.map(work, range(3000), seconds=0.01, pure=False)


def ready() -> None:
    print("ready to end", flush=True)


def cluster_of(kind: str, **options: Any) -> LocalCluster:
    return LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None,
        processes=kind == "processes", **options,
    )  # fmt: skip


def client_of(kind: str) -> Client:
    if kind == "commands":
        client = Client(os.environ["SCHEDULER"], timeout=60)
        # A worker that is still starting when its scheduler ends searches for it for long.
        client.wait_for_workers(2)
        return client
    # As most scripts do it: the cluster is the client's.
    return Client(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=kind == "processes"
    )


def settle(client: Client) -> None:
    """Waits until the scheduler has released everything."""

    def tasks(dask_scheduler: Any) -> int:
        return len(dask_scheduler.tasks)

    while client.run_on_scheduler(tasks):
        time.sleep(0.02)
    # A worker releases a task after the scheduler did.
    while any(client.run(lambda dask_worker: len(dask_worker.state.tasks)).values()):
        time.sleep(0.02)


# Ways to end


def script_end(kind: str) -> None:
    global client, futures  # As in a script: it exists until the interpreter exits.
    client = client_of(kind)
    some_work(client)
    ready()


def script_end_while_busy(kind: str) -> None:
    script_end(kind)
    futures.append(busy(client))
    wait(futures[0][:20])


def exception(kind: str) -> None:
    script_end_while_busy(kind)
    raise ValueError("the end of this script")


def sys_exit(kind: str) -> None:
    script_end_while_busy(kind)
    sys.exit(3)


def os_exit(kind: str) -> None:
    script_end_while_busy(kind)
    os._exit(4)


def wait_for_a_signal(kind: str) -> None:
    global client, futures
    client = client_of(kind)
    some_work(client)
    futures.append(busy(client))
    wait(futures[0][:20])
    ready()
    client.gather(futures[0])


def wait_to_close(kind: str) -> None:
    """Works until it is requested to close, or its cluster has ended."""
    global client, futures
    client = client_of(kind)
    some_work(client)
    futures.append(busy(client))
    wait(futures[0][:20])
    ready()
    if kind == "commands":
        while client.status == "running":
            time.sleep(0.02)
        os._exit(0)
    sys.stdin.readline()
    client.close()


def close(kind: str) -> None:
    with cluster_of(kind) as cluster, Client(cluster) as client:
        some_work(client)
        held = busy(client)
        wait(held[:20])
        ready()


def shutdown(kind: str) -> None:
    global client, futures
    client = client_of(kind)
    some_work(client)
    futures.append(busy(client))
    wait(futures[0][:20])
    ready()
    client.shutdown()


def last_of_several(kind: str) -> None:
    for _ in range(2):
        close(kind)
    script_end_while_busy(kind)


def idle_timeout(kind: str) -> None:
    async def be_impatient(dask_scheduler: Any) -> None:
        # Not before there was work, however slow this machine is.
        dask_scheduler.idle_timeout = 0.2
        PeriodicCallback(dask_scheduler.check_idle, 50).start()

    client = client_of(kind)
    some_work(client)
    settle(client)
    client.run_on_scheduler(be_impatient)
    ready()
    while client.status == "running":
        time.sleep(0.02)


def unregister(kind: str) -> None:
    client = client_of(kind)
    some_work(client)
    settle(client)
    ready()
    sys.stdin.readline()
    client.unregister_scheduler_plugin("tasklog")
    print("has ended", flush=True)
    sys.stdin.readline()
    some_work(client)
    client.shutdown()


def detach(kind: str) -> None:
    async def end(dask_scheduler: Any) -> None:
        await dask_scheduler.plugins["tasklog"].detach()

    client = client_of(kind)
    some_work(client)
    settle(client)
    ready()
    sys.stdin.readline()
    client.run_on_scheduler(end)
    print("has ended", flush=True)
    sys.stdin.readline()
    some_work(client)
    client.shutdown()


def adaptive_to_zero(kind: str) -> None:
    with (
        LocalCluster(
            n_workers=0, threads_per_worker=1, dashboard_address=None,
            processes=kind == "processes",
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        cluster.adapt(minimum=0, maximum=2, interval="50ms", wait_count=2)
        futures = client.map(work, range(40), seconds=0.01, pure=False)
        client.gather(futures)
        del futures
        while client.scheduler_info()["workers"]:
            time.sleep(0.02)
        ready()


def asyncio_end(kind: str) -> None:
    """A cluster of a coroutine that returns without closing anything."""

    async def main() -> None:
        cluster = await LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, asynchronous=True,
            processes=kind == "processes",
        )  # fmt: skip
        client = await Client(cluster, asynchronous=True)
        held = client.map(work, range(200), seconds=0.01, pure=False)
        await client.gather(held[:30])
        kept.extend([cluster, client, held])
        ready()

    kept: list = []
    futures.append(kept)
    asyncio.run(main())


def notebook(kind: str) -> None:
    """A kernel: runs cells, one after the other, until its standard input ends."""
    cell = "client = client_of(kind); some_work(client); held = busy(client); wait(held[:20])"
    namespace = dict(globals(), kind=kind)
    exec(cell, namespace)
    ready()
    for cell in sys.stdin:
        exec(cell, namespace)
    sys.exit(0)


client: Client
futures: list = []

WAYS = {
    name: value
    for name, value in list(globals().items())
    if getattr(value, "__module__", None) == __name__ and name not in ("client",)
}

if __name__ == "__main__":
    WAYS[sys.argv[2]](sys.argv[1])
