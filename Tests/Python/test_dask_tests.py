"""The plugins inside Dask's own test files, live and in a replay.

The files are neither in the wheel nor in the source distribution: the test needs a checkout of
`distributed` in ``TASKLOG_TEST_DISTRIBUTED``.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster

import dask_tests
import workloads

SOURCE = os.environ.get("TASKLOG_TEST_DISTRIBUTED")

PRELOAD = """
import test_dask_tests

async def dask_setup(server):
    await test_dask_tests.mount(server)
"""

FOUND: list[dask_tests.Found] = []
#: The expected values for the plugins of a scheduler or worker, by their position in `FOUND`.
LIVE: dict[str, dict[int, Any]] = {}


def make(found: dask_tests.Found, server: Any) -> Any:
    spec = importlib.util.spec_from_file_location(found.path.stem, found.path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kind = getattr(module, found.name)
    given = dict.fromkeys(found.arguments, "given")
    try:
        return kind(**given)
    except TypeError:
        return kind(scheduler=server, **given)


async def mount(server: Any) -> None:
    from distributed import Scheduler

    kind = "scheduler" if isinstance(server, Scheduler) else "worker"
    plugins = LIVE[server.id] = {}
    for place, found in enumerate(FOUND):
        if found.kind != kind:
            continue
        plugin = plugins[place] = make(found, server)
        if kind == "scheduler":
            server.add_plugin(plugin, name=f"own-{place}")
        else:
            await server.plugin_add(plugin, name=f"own-{place}")


@pytest.mark.skipif(not SOURCE, reason="TASKLOG_TEST_DISTRIBUTED is no checkout of distributed")
def test_the_plugins_of_dasks_own_tests_end_as_they_did_live(
    new_recording: Callable, replay: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    import test_dask_tests as this
    from tasklog.replay import results

    recording = new_recording("dasks-own-tests")
    this.FOUND[:] = dask_tests.write(Path(SOURCE or ""), recording.folder)
    assert len(this.FOUND) > 30
    monkeypatch.setenv("TASKLOG_LOG", str(recording.log))
    monkeypatch.setenv("TASKLOG_WORKER_SPOOL", str(recording.folder / "spool"))
    preloads = {
        "distributed.scheduler.preload": ["tasklog", PRELOAD],
        "distributed.worker.preload": [PRELOAD],
    }
    addresses = {}
    with (
        dask.config.set(preloads),
        LocalCluster(
            n_workers=2, threads_per_worker=2, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        workloads.everything(client, str(recording.folder))
        addresses = {worker.id: worker.address for worker in cluster.workers.values()}
        scheduler = cluster.scheduler.id
    told = replay(recording.log)
    for place, found in enumerate(this.FOUND):
        given = f"{found.path}:{found.name}"
        arguments = [f"--plugin={given}", f"--result={given}:held"]
        arguments += [f"--option={name}=given" for name in found.arguments]
        done = told.run(*arguments)
        assert "drift" not in done.stderr, done.stderr
        if found.kind == "scheduler":
            live = results.text(this.LIVE[scheduler][place].held)
        else:
            live = results.text(
                {
                    addresses[id]: this.LIVE[id][place].held
                    for id in sorted(addresses, key=addresses.get)
                }
            )
        assert done.stdout.splitlines()[-1:] == [live], f"{given}: {done.stderr}"
