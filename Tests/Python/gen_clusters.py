"""Tests of a project that uses Dask's own fixture: each has clusters that end with it."""

from distributed import Nanny
from distributed.utils_test import gen_cluster, inc


@gen_cluster(client=True)
async def test_workers_that_close(c, s, a, b):
    assert sum(await c.gather(c.map(inc, range(20)))) == 210
    await a.close()
    assert await c.submit(inc, 1, pure=False) == 2


@gen_cluster(client=True, Worker=Nanny, nthreads=[("", 1)])
async def test_a_restart(c, s, a):
    await c.restart()
    assert await c.submit(inc, 1) == 2


@gen_cluster(client=True, nthreads=[("", 1)])
async def test_a_shutdown(c, s, a):
    await c.submit(inc, 1)
    await c.shutdown()
