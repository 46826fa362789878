"""An independent witness of every transition, and a comparison with the log.

A preload for a scheduler: writes each transition that the scheduler and each worker see to a
separate file in ``WITNESS_FOLDER``, before the hook returns. It shares no code with the recorder.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin


class SchedulerWitness(SchedulerPlugin):
    name = "witness"

    def __init__(self, folder: str, ident: str) -> None:
        self.descriptor = _open(folder, f"scheduler {ident}")

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        os.write(self.descriptor, f"{json.dumps([str(key), start, finish])}\n".encode())


class WorkerWitness(WorkerPlugin):
    name = "witness"

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def setup(self, worker: Any) -> None:
        self.descriptor = _open(self.folder, f"worker {worker.id}")

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        os.write(self.descriptor, f"{json.dumps([str(key), start, finish])}\n".encode())


def _open(folder: str, name: str) -> int:
    os.makedirs(folder, exist_ok=True)
    flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC
    return os.open(os.path.join(folder, name), flags, 0o600)


async def dask_setup(scheduler: Any) -> None:
    folder = os.environ["WITNESS_FOLDER"]
    scheduler.add_plugin(SchedulerWitness(folder, scheduler.id))
    # Workers need not have this module.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    sent = cloudpickle.dumps(WorkerWitness(folder))
    await scheduler.register_worker_plugin(None, sent, name="witness", idempotent=True)


Transitions = list[tuple[str, str, str]]


def seen(folder: Path) -> dict[tuple[str, str], Transitions]:
    """What each scheduler and each worker saw, by its kind and its id."""
    found = {}
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        kind, _, ident = path.name.partition(" ")
        # The last line may be incomplete if its process was killed.
        lines = [line for line in path.read_text().splitlines(True) if line.endswith("\n")]
        found[kind, ident] = [tuple(json.loads(line)) for line in lines]
    return found


def logged(log: Path) -> dict[tuple[str, str], Transitions]:
    """The transitions in a log, in the order of occurrence."""
    found: dict[tuple[str, str], Transitions] = {}
    connection = sqlite3.connect(f"file:{log}?mode=ro", uri=True)
    with connection:
        for kind, ident in connection.execute("SELECT kind, server_id FROM source"):
            found[kind, ident] = []
        for kind, ident, *transition in connection.execute(
            """
            SELECT source, server_id, key, start, finish FROM events WHERE hook = 'transition'
            ORDER BY server_id, run, source_seq
            """
        ):
            found[kind, ident].append(tuple(transition))
    connection.close()
    return found


@dataclass
class Difference:
    """The first difference of a source's transitions in the log from those that its witness saw."""

    source: tuple[str, str]
    seen: int
    logged: int
    words: str


def differences(
    witnessed: dict[tuple[str, str], Transitions], log: dict[tuple[str, str], Transitions]
) -> list[Difference]:
    found = []
    for source in sorted(set(witnessed) | set(log)):
        ours, theirs = log.get(source, []), witnessed.get(source, [])
        if ours != theirs:
            common = next(
                (n for n, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
                min(len(ours), len(theirs)),
            )
            words = f"equal for {common}, then {ours[common:][:2]} for {theirs[common:][:2]}"
            found.append(Difference(source, len(theirs), len(ours), words))
    return found
