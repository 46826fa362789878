"""What a worker took with it equals what others count of it: scheduler, tasks themselves."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, wait

from clusters import CommandCluster, Recording, wait_for
from workloads import workers_of


def make(folder: str, name: str, size: int) -> bytes:
    """Data, whose making leaves a trace."""
    with open(os.path.join(folder, "made"), "a") as file:
        file.write(f"{name}\n")
    return os.urandom(size)


def length(data: bytes) -> int:
    return len(data)


def only_there(dask_scheduler: Any, address: str) -> dict[str, tuple[int, bool]]:
    """The data of which a worker has the only copy: its size, and whether it can be made again."""
    there = dask_scheduler.workers[address]
    return {
        ts.key: (ts.nbytes, ts.run_spec is not None)
        for ts in there.has_what
        if ts.who_has == {there}
    }


class Lost:
    """A recording in which a worker was killed, and what others counted."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        recording.environment["DASK_DISTRIBUTED__SCHEDULER__PRELOAD"] = '["tasklog"]'
        recording.environment["DASK_DISTRIBUTED__WORKER__PRELOAD"] = "[]"
        # On a busy machine, what is stolen would not be lost.
        recording.environment["DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING"] = "False"
        with CommandCluster(recording) as cluster:
            for name in ("lost", "stays"):
                cluster.add_worker("--no-nanny", "--name", name)
            with Client(cluster.address) as client:
                client.wait_for_workers(2, timeout=120)
                self._run(client)

    def _run(self, client: Client) -> None:
        places = {w["name"]: a for a, w in workers_of(client).items()}
        folder = str(self.recording.folder)
        # It may be made again elsewhere.
        there = {"workers": [places["lost"]], "allow_other_workers": True, "pure": False}
        kept = [
            client.submit(make, folder, f"kept-{n}", 1000 * (n + 1), key=f"kept-{n}", **there)
            for n in range(8)
        ]
        copied = [
            client.submit(make, folder, f"copied-{n}", 500, key=f"copied-{n}", **there)
            for n in range(3)
        ]
        wait([*kept, *copied])
        client.replicate(copied, n=2)
        scattered = client.scatter({"scattered": os.urandom(4000)}, workers=[places["lost"]])
        cancelled = client.submit(length, scattered["scattered"], key="of-scattered", **there)
        wait(cancelled)
        self.address = places["lost"]
        self.held = client.run_on_scheduler(only_there, address=self.address)
        (pid,) = client.run(os.getpid, workers=[self.address]).values()
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: self.address not in workers_of(client), "end of the worker")

        def made_again() -> set[str]:
            lines = (Path(folder) / "made").read_text().split()
            return {name for name, count in Counter(lines).items() if count > 1}

        # The client may not have heard yet that a result is lost.
        wait_for(lambda: {f.key for f in kept} <= made_again(), "results that are made again")
        wait(kept)
        self.made_again = made_again()


@pytest.fixture(scope="module")
def lost(new_recording: Callable) -> Lost:
    return Lost(new_recording("lost-data"))


def test_what_was_lost_is_what_the_scheduler_knew_only_there(lost: Lost, tasklog: Callable) -> None:
    output = tasklog(lost.recording.log, "workers", "--deaths", "--format", "json")
    rows = json.loads(output[: output.rindex("]") + 1])
    (row,) = [row for row in rows if row["worker"] == lost.address]
    again = {key for key, (_, can_be_made) in lost.held.items() if can_be_made}
    assert {f"kept-{n}" for n in range(8)} == lost.made_again <= again
    # What depends on lost data is forgotten with it.
    assert again - lost.made_again <= {"of-scattered"}
    assert row["recomputed"] == len(lost.made_again)
    assert row["lost_bytes"] == sum(size for size, _ in lost.held.values())
    assert row["forgotten"] == len(set(lost.held) - lost.made_again)
