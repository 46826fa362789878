"""All events about a key or a stimulus, causes before effects."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tasklog.reading.pure.analyses.causal import Item, ordered
from tasklog.reading.pure.analyses.rows import Raw, time_text
from tasklog.reading.pure.analyses.run import RunRows

#: A worker's transition out of one of these states ends its run of the task.
_STATES_OF_RUN = ("executing", "long-running", "cancelled", "resumed")
_ODD = re.compile(r"[^\x00-\x7f]+|\\(?:u([0-9a-fA-F]{4})|.)", re.S)

_EVENTS = """
    SELECT seq, source, source_seq, time, (SELECT text FROM text WHERE id = hook),
      (SELECT text FROM key WHERE id = event.key), coalesce(key, 0),
      (SELECT text FROM text WHERE id = start), (SELECT text FROM text WHERE id = finish),
      (SELECT text FROM text WHERE id = stimulus), coalesce(stimulus, 0),
      (SELECT text FROM text WHERE id = worker), task_run, args
    FROM event WHERE {column} = ? ORDER BY seq
"""


@dataclass
class _Event:
    seq: int
    source: int
    source_seq: int
    time: int
    hook: str
    key: str | None
    key_id: int
    start: str | None
    finish: str | None
    stimulus: str | None
    stimulus_id: int
    worker: str | None
    task_run: int | None
    args: str | None

    def item(self, is_scheduler: bool) -> Item:
        """What its place in the order depends on."""
        done = ("done", self.key_id, self.stimulus_id)
        sent = ("sent", self.key_id, self.task_run)
        given: Any = None
        cause: Any = None
        is_transition = self.hook == "transition"
        if self.key_id and is_scheduler:
            if self.task_run is not None and (
                self.hook == "logEvent" or is_transition and self.finish == "processing"
            ):
                given = sent
            if (
                is_transition and self.start == "processing"
                and self.finish in ("memory", "erred") and self.stimulus_id
            ):  # fmt: skip
                cause = done
        elif self.key_id:
            if (
                is_transition and self.finish is not None and self.start in _STATES_OF_RUN
                and self.stimulus_id
            ):  # fmt: skip
                given = done
            if self.task_run is not None and self.task_run >= 0:
                cause = sent
        return Item(self.seq, self.source, given, cause, self)


def rows(run: RunRows, name: str) -> list[tuple[Any, ...]]:
    """The rows of ``story``, without the run; those of keys of several types one after the other.

    There are none if the run has no such key or stimulus.
    """
    return [row for column, id in _subjects(run, name) for row in _story(run, column, id)]


def _subjects(run: RunRows, name: str) -> list[tuple[str, int]]:
    """The keys with a name, or else the stimulus."""
    found = run.connection.execute(*_keys(name)).fetchall()
    if found:
        return [("key", id) for (id,) in found]
    found = run.connection.execute("SELECT id FROM text WHERE text = ?", (name,)).fetchall()
    return [("stimulus", id) for (id,) in found]


def _keys(name: str) -> tuple[str, tuple[str]]:
    """The SQL that finds the keys with a name, which ``json:`` may begin: ``json:"1"``."""
    exact: Any = None
    if name.startswith("json:"):
        with contextlib.suppress(ValueError, RecursionError):
            exact = json.loads(name[5:])
    if isinstance(exact, str):
        return "SELECT id FROM key WHERE text = ? AND typed = ''", (exact,)
    if isinstance(exact, (int, float, dict)) and not isinstance(exact, bool):
        typed = json.dumps(exact, separators=(",", ":"), ensure_ascii=False)
        return "SELECT id FROM key WHERE typed = ?", (typed,)
    return "SELECT id FROM key WHERE text = ? ORDER BY id", (name,)


def _ascii(args: str | None) -> Raw | None:
    """Args as the command writes them: JSON in ASCII; None if there are none."""
    if args is None or args == "{}":
        return None
    return Raw(_ODD.sub(_written, args))


def _written(found: re.Match[str]) -> str:
    """What is not ASCII, or an escape, as the command writes it."""
    if not found[0].startswith("\\"):
        return json.dumps(found[0])[1:-1]
    if found[1] is None or int(found[1], 16) >= 0x80:
        return found[0]
    return json.dumps(chr(int(found[1], 16)))[1:-1]


def _story(run: RunRows, column: str, id: int) -> Iterator[tuple[Any, ...]]:
    found = [_Event(*row) for row in run.connection.execute(_EVENTS.format(column=column), (id,))]
    items = [
        event.item(event.source in run.schedulers) for event in found if event.source in run.sources
    ]
    before: int | None = None
    for item in ordered(items):
        event: _Event = item.value
        source = run.sources[event.source]
        at = run.clocks.time(event.time, event.source, event.source_seq)
        is_worker = source.kind == "worker"
        if is_worker:
            life: int | None = run.lives.number_of_source(event.source)
        else:
            life = None if event.worker is None else run.lives.number(event.worker, event.seq)
        yield (
            event.seq, time_text(at), None if before is None else (at - before) / 1e9,
            source.kind, source.address if is_worker else event.worker, event.hook, event.key,
            event.start, event.finish, event.stimulus,
            _ascii(event.args), time_text(event.time), life,
        )  # fmt: skip
        before = at
