"""The states of tasks at a point in time, as ``StateSnapshot`` has them."""

from __future__ import annotations

import collections
from typing import Any

from tasklog.reading.pure.analyses.rows import time_text
from tasklog.reading.pure.analyses.run import RunRows

_EVENT = """
    SELECT (SELECT text FROM key WHERE id = event.key), (SELECT text FROM text WHERE id = worker),
      time, source_seq
    FROM event WHERE seq = ?
"""


class State:
    """The tasks after an event, or at a time.

    Parameters
    ----------
    seq, time
        The event, or the time in nanoseconds.
    """

    def __init__(self, run: RunRows, seq: int | None, time: int | None) -> None:
        self._run = run
        self._until = 2**63 - 1 if time is None else time
        last = run.last if seq is None else seq
        self._last = -1 if last is None else min(last, run.last if run.last is not None else last)
        #: The event and the state of each task, by source and key.
        self._found: dict[tuple[int, int], tuple[int, int]] = {}
        self._moves: dict[tuple[int, int], tuple[int, str]] = {}
        self._find()

    def _find(self) -> None:
        run = self._run
        transition, forgotten = run.text_id("transition"), run.text_id("forgotten")
        gone = {
            life.source
            for life in run.lives.all
            if life.gone_seq is not None and life.gone_ns is not None
            and life.gone_seq <= self._last and life.gone_ns <= self._until
        }  # fmt: skip
        rows = run.events("seq, time, hook, key, start, finish, source_seq", self._last)
        for source, seq, time, hook, key, start, finish, source_seq in rows:
            if hook != transition or source in gone or not finish or start == finish:
                continue
            if run.clocks.time(time, source, source_seq) > self._until:
                continue
            if finish == forgotten:
                self._found.pop((source, key), None)
            else:
                self._found[source, key] = seq, finish
        for seq, source, key, time, worker in run.moves():
            if seq <= self._last and time <= self._until:
                self._moves[source, key] = seq, worker

    def tasks(self) -> list[tuple[Any, ...]]:
        """The rows of ``tasks``, in the order in which the states were entered."""
        run = self._run
        rows = []
        for (source, key), (seq, state) in sorted(self._found.items(), key=lambda each: each[1]):
            text, worker, time, source_seq = run.connection.execute(_EVENT, (seq,)).fetchone()
            moved_seq, moved_to = self._moves.get((source, key), (-1, None))
            at = seq
            if moved_seq > seq:
                at, worker = moved_seq, moved_to
            kind, address = run.sources[source].kind, run.sources[source].address
            if source in run.schedulers:
                life = None if worker is None else run.lives.number(worker, at)
            else:
                life = run.lives.number_of_source(source)
            since = time_text(run.clocks.time(time, source, source_seq))
            rows.append((
                kind, address if kind == "worker" else worker, text or "", run.text(state),
                since, seq, life,
            ))  # fmt: skip
        return rows

    def counts(self) -> list[tuple[Any, ...]]:
        """The rows of ``states``."""
        counts = collections.Counter(
            (source, self._run.text(state) or "") for (source, _), (_, state) in self._found.items()
        )
        rows = []
        for (source, state), count in sorted(counts.items()):
            known = self._run.sources[source]
            is_worker = known.kind == "worker"
            rows.append((
                known.kind, known.address if is_worker else None, state, count,
                self._run.lives.number_of_source(source) if is_worker else None,
            ))  # fmt: skip
        return rows
