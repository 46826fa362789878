"""A worker whose last events are not accepted keeps them, logs that once, and ends as usual."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgpack
import pytest
from distributed import Client, LocalCluster

import witness
import workloads
from log import Log
from tasklog import Recorder
from tasklog.encoding import TRANSITION
from tasklog.spool import MAGIC, orphans, records


async def never(**_: object) -> dict:
    await asyncio.get_running_loop().create_future()
    return {}


def always(answer: object) -> Callable[..., Awaitable[object]]:
    async def handler(**_: object) -> object:
        return answer

    return handler


ANSWERS = {
    "the recording is over": always({"status": "closed"}),
    "another run is recorded": always({"status": "other run", "run": "x"}),
    "an error": always({"status": "error", "error": "no room"}),
    "nonsense": always(None),
    "no answer": never,
}


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("interval", ["10ms", "1h"])
def test_what_nobody_takes_stays_in_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog, what: str, interval: str
) -> None:
    import dask

    monkeypatch.setenv("WITNESS_FOLDER", str(tmp_path / "witness"))
    options = {"worker_spool": str(tmp_path / "spool"), "worker_interval": interval}
    with (
        dask.config.set({"distributed.scheduler.preload": ["witness"]}),
        LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(Recorder(tmp_path / "run.db", close_seconds=0.3, **options))
        recorder = cluster.scheduler.plugins["tasklog"]
        # The remaining events are not accepted at the end either.
        recorder._options.workers = False
        cluster.scheduler.handlers["tasklog_records"] = ANSWERS[what]
        client.gather(client.map(workloads.increment, range(30), pure=False))
    told = [record for record in caplog.records if record.name == "tasklog"]
    assert len(told) == 1 and "the last events of this worker stay in" in told[0].getMessage()
    assert f"'tasklog import {tmp_path / 'spool'}' adds them" in told[0].getMessage()
    assert all(record.exc_info is None for record in caplog.records)
    (run,) = Log(tmp_path / "run.db").rows("SELECT uuid, end FROM run")
    assert run[1] == "closed"
    left = 0
    for orphan in orphans(str(tmp_path / "spool"), run[0]):
        bodies = [msgpack.unpackb(body) for _, body in records(MAGIC + orphan.batch)]
        left += sum(body[2] == TRANSITION for body in bodies)
        orphan.release(remove=False)
    seen = witness.seen(tmp_path / "witness")
    (expected,) = (len(transitions) for (kind, _), transitions in seen.items() if kind == "worker")
    # After the end of a recording a worker is notified, and records nothing more.
    assert left == expected if "over" not in what and "another" not in what else left <= expected
