"""`tasklog explain` says of a stolen task what Dask's own log of work stealing says."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distributed import Client, LocalCluster, wait

import tasklog as recording

SIZE = 3_000_000
UNITS = {"µs": 1e-6, "ms": 1e-3, "s": 1.0}


def make(_: int) -> bytes:
    return bytes(SIZE)


def use(_: bytes) -> None:
    time.sleep(0.25)


def seconds(text: str) -> float:
    number, unit = text.split()
    return float(number) * UNITS[unit]


def is_about(told: float, recorded: float) -> bool:
    """Equal to two digits."""
    return abs(told - recorded) <= 0.06 * abs(recorded) + 1e-6


def stolen(log: Path) -> tuple[dict[str, tuple], list[str], int]:
    """What Dask wrote of tasks that were stolen once, by key: the request and its confirmation; the
    keys of those that were requested in vain; and the size of the input of each."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(recording.Recorder(log, worker_spool=str(log.parent / "spool")))
        one = next(iter(client.scheduler_info(n_workers=-1)["workers"]))
        made = client.map(make, range(16), workers=[one])
        wait(made)
        size = client.cluster.scheduler.tasks[made[0].key].nbytes
        used = [
            client.submit(use, each, key=f"use-{n}", workers=[one], allow_other_workers=True)
            for n, each in enumerate(made)
        ]
        client.gather(used)
        events = [message for _, message in client.get_events("stealing")]
    requested: dict[str, tuple] = {}
    confirmed: dict[str, list[tuple]] = {}
    for message in events:
        if message[0] == "request":
            requested |= {entry[2]: entry for entry in message[1]}
        elif message[0] == "confirm":
            confirmed.setdefault(message[1], []).append((requested[message[1]], message))
    once = {key: each[0] for key, each in confirmed.items() if len(each) == 1}
    assert once, "nothing was stolen"
    return once, sorted(set(requested) - set(confirmed)), size


def test_a_steal_is_told_as_dask_logged_it(tasklog: Callable[..., str], tmp_path: Path) -> None:
    log = tmp_path / "run.db"
    steals, refused, size = stolen(log)

    def sentences(key: str) -> list[str]:
        tables: dict[str, Any] = json.loads(tasklog(log, "explain", key, "--format", "json"))
        return [row["sentence"] for row in tables["sentences"]]

    for key, (request, confirmation) in list(steals.items())[:4]:
        _, _, _, cost, victim, occupancy, thief, thief_occupancy = request
        assert confirmation[3:5] == (victim, thief)
        told = sentences(key)
        [place] = [n for n, each in enumerate(told) if "stole it" in each]
        found = re.fullmatch(
            rf"Worker {thief} stole it from worker {victim}, where it had been for (?P<waited>.*): "
            r"that one had (?P<occupancy>.*) of work, of which this task was (?P<cost>.*); "
            r"the thief had (?P<thief>.*), and had to fetch (?P<bytes>.*) MiB for it\.",
            told[place],
        )
        assert found, told[place]
        assert is_about(seconds(found["occupancy"]), occupancy), (told[place], request)
        assert is_about(seconds(found["cost"]), cost), (told[place], request)
        assert is_about(seconds(found["thief"]), thief_occupancy), (told[place], request)
        assert is_about(float(found["bytes"]) * 2**20, size), told[place]
        # What it waited for after that, it waited for on the thief: the sum is what passed since.
        assert told[place + 1].startswith("It began to run: since then it had waited "), told
    # A task whose victim refused is not said to be stolen.
    for key in refused[:1]:
        assert not any("stole" in each for each in sentences(key))
