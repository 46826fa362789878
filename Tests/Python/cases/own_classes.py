"""Dask's own test fixtures, with a project's subclasses, in a process that ends them."""

import asyncio
import sys

import pytest
from distributed import Client, LocalCluster, Scheduler, Worker
from distributed.utils_test import cleanup, gen_cluster, inc, slowinc  # noqa: F401

from gen_clusters import test_a_restart, test_a_shutdown, test_workers_that_close  # noqa: F401


class MyScheduler(Scheduler):
    def transition(self, *args, **kwargs):
        return super().transition(*args, **kwargs)


class MyWorker(Worker):
    async def close(self, *args, **kwargs):
        return await super().close(*args, **kwargs)


@gen_cluster(client=True, Worker=MyWorker)
async def test_workers_of_a_class_of_their_own(c, s, a, b):
    assert await c.submit(inc, 1) == 2
    assert await c.submit(slowinc, 1, workers=[b.address]) == 2


def test_an_asynchronous_cluster(cleanup):  # noqa: F811
    async def body():
        async with (
            LocalCluster(
                n_workers=1, processes=False, asynchronous=True, dashboard_address=":0"
            ) as cluster,
            Client(cluster, asynchronous=True) as client,
        ):
            assert await client.submit(inc, 3) == 4

    asyncio.run(body())


def test_a_scheduler_of_a_class_of_its_own(cleanup):  # noqa: F811
    async def body():
        async with (
            MyScheduler(port=0, dashboard_address=":0") as scheduler,
            MyWorker(scheduler.address),
            Client(scheduler.address, asynchronous=True) as client,
        ):
            assert await client.submit(inc, 3) == 4

    asyncio.run(body())


if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "--noconftest", "-p", "no:cacheprovider", __file__]))
