"""Feeds the host of a replay from the log without the command: for inspection, and for
measurements of the host alone."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from log import Log
from tasklog.replay import frames
from tasklog.replay.host import Host


def frames_of(path: Path | str, without: int | None = None) -> list[list]:
    """All frames of a log with one run, except the greeting and the end.

    without:
        The number of an event that is omitted.
    """
    log = Log(path)
    made: list[list] = [
        [frames.SOURCE, number, kind, server, address, json.loads(name)]
        for number, kind, server, address, name in log.rows(
            "SELECT id, kind, server_id, address, name FROM source ORDER BY id"
        )
    ]
    for row in log.rows("SELECT hash, bytes FROM blob"):
        made.append([frames.BLOB, *row])
    heartbeats = _heartbeats(path)
    for row in log.connection.execute(
        """
        SELECT seq, event.source, source_seq, time, hook.text, key.text, nullif(key.typed, ''),
          start.text, finish.text, stimulus.text, worker.text, task_run, args, snapshot
        FROM event JOIN text AS hook ON hook.id = hook
        LEFT JOIN key ON key.id = event.key
        LEFT JOIN text AS start ON start.id = event.start
        LEFT JOIN text AS finish ON finish.id = event.finish
        LEFT JOIN text AS stimulus ON stimulus.id = event.stimulus
        LEFT JOIN text AS worker ON worker.id = event.worker
        ORDER BY seq
        """
    ):
        if row[0] != without:
            *about, args, snapshot = row
            made.append([frames.EVENT, True, *about, heartbeats.get(row[0], args), snapshot])
    return made


_UNPACK = """
import json, sys, tasklog
rows = tasklog.open(sys.argv[1]).sql(
    "SELECT seq, tasklog_args(args, time) AS object FROM event"
    " WHERE hook = (SELECT id FROM text WHERE text = 'heartbeat')")
print(json.dumps([tuple(row) for row in rows]))
"""


def _heartbeats(path: Path | str) -> dict[int, str]:
    """The args of heartbeats, by seq: the command unpacks them, too. In another process, because
    one that has imported the reading API ends a replay in another way.
    """
    done = subprocess.run(
        [sys.executable, "-c", _UNPACK, str(path)], capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


def greeting(path: Path | str, plugins: list, **about: Any) -> dict[str, Any]:
    engine, version, metadata = Log(path).rows("SELECT engine, engine_version, metadata FROM run")[
        0
    ]
    return {
        "protocol": frames.PROTOCOL,
        "plugins": [list(plugin) for plugin in plugins],
        "run": {"engine": engine, "engineVersion": version, "metadata": metadata},
        **about,
    }


class Fed:
    """Stands in for the pipe."""

    def __init__(self, made: list[list]) -> None:
        self._made = made

    async def chunks(self) -> AsyncIterator[Any]:
        for start in range(0, len(self._made), 500):
            yield self._made[start : start + 500]
            await asyncio.sleep(0)


class Kept:
    """Keeps the answers of a host."""

    def __init__(self) -> None:
        self.answers: list[tuple] = []

    def send(self, *frame: Any) -> None:
        self.answers.append(frame)


def main() -> None:
    """A replay in a separate process: the host changes Dask's modules in its process."""
    about = json.loads(sys.argv[1])
    host = feed(
        about["log"], about["plugins"], about.get("without"), about.get("pauses", False),
        results=about["results"],
    )  # fmt: skip
    lines = host.kept.answers[-1][1]["results"]  # type: ignore[attr-defined]
    print(json.dumps({"drift": dict(host.drift), "results": lines}))


def feed(
    path: Path | str,
    plugins: list,
    without: int | None = None,
    pauses: bool = False,
    **about: Any,
) -> Host:
    """Replays a log through plugins in this process, and returns the host in its final state.

    pauses:
        Whether the host has to wait after each event, as in a run that is followed.
    """
    kept = Kept()
    host = Host(kept)  # type: ignore[arg-type]
    made = frames_of(path, without)
    if pauses:
        made = [frame for each in made for frame in (each, [frames.FLUSH])]
    all_frames = [
        [frames.HELLO, greeting(path, plugins, **about)],
        *made,
        [frames.FINISH],
    ]
    asyncio.run(host.run(Fed(all_frames)))  # type: ignore[arg-type]
    host.kept = kept  # type: ignore[attr-defined]
    return host


if __name__ == "__main__":
    main()
