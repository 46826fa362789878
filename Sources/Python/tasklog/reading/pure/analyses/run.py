"""A run of a file, with its sources, the lives of its workers and their clocks."""

from __future__ import annotations

import bisect
import functools
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_LIVES = """
    SELECT known.worker, known.life, known.first_seq, known.server_id,
      coalesce(source.name, known.name, 'null'), known.nthreads, source.id, known.joined_ns,
      known.left_ns, known.gone_seq, known.gone_ns
    FROM worker_life AS known
    LEFT JOIN source ON source.run = known.run AND source.server_id = known.server_id
      AND source.kind = 'worker' AND source.address = known.worker
    WHERE known.run = ?1
    UNION ALL
    SELECT address,
      coalesce((SELECT 0 FROM worker_life WHERE worker_life.run = source.run
        AND worker_life.worker = source.address LIMIT 1), 1),
      0, server_id, name, NULL, id, NULL, NULL, NULL, NULL FROM source
    WHERE run = ?1 AND kind = 'worker' AND NOT EXISTS (
      SELECT 1 FROM worker_life WHERE worker_life.run = source.run
        AND worker_life.worker = source.address AND worker_life.server_id = source.server_id)
    ORDER BY 1, 3, 7
"""


@dataclass
class Source:
    """Who observed events."""

    id: int
    kind: str
    address: str
    server_id: str


@dataclass
class Life:
    """A worker; earlier and later ones at its address are others."""

    address: str
    #: 1 for the first at its address; 0 for one of which the scheduler says nothing.
    number: int
    #: From this event of the scheduler on, its address means this worker.
    first_seq: int
    server_id: str | None
    #: JSON.
    name: str
    nthreads: int | None
    #: Its source, if it was recorded itself.
    source: int | None
    joined: int | None
    left: int | None
    gone_seq: int | None
    gone_ns: int | None


class Lives:
    """The workers of a run, and which of them an address means, as ``WorkerLives`` has it."""

    def __init__(self, lives: list[Life]) -> None:
        self.all = lives
        self._by_address: dict[str, list[int]] = {}
        self._by_source: dict[int, int] = {}
        for index, life in enumerate(lives):
            # What the scheduler says is never about a worker that it has not recorded.
            if life.number > 0:
                self._by_address.setdefault(life.address, []).append(index)
            if life.source is not None:
                self._by_source[life.source] = index

    def place(self, address: Any, seq: int) -> int | None:
        """The index of the worker that an event of the scheduler means by an address."""
        places = self._by_address.get(address) if isinstance(address, str) else None
        if places is None:
            return None
        for place in reversed(places):
            if self.all[place].first_seq <= seq:
                return place
        return places[0]

    def place_of_source(self, source: int) -> int | None:
        """The index of the worker that is a source."""
        return self._by_source.get(source)

    def number(self, address: str, seq: int) -> int:
        """Which of the workers at an address an event of the scheduler means."""
        place = self.place(address, seq)
        return 1 if place is None else self.all[place].number

    def number_of_source(self, source: int) -> int:
        """Which of the workers at its address a source is."""
        place = self.place_of_source(source)
        return 1 if place is None else self.all[place].number


class Clocks:
    """By how much the clocks of workers are behind the scheduler's."""

    def __init__(self, rows: list[tuple[int, int, int]]) -> None:
        self._steps: dict[int, list[tuple[int, int]]] = {}
        for source, source_seq, offset in rows:
            self._steps.setdefault(source, []).append((source_seq, offset))

    def time(self, time: int, source: int, source_seq: int) -> int:
        """The time of an event by the scheduler's clock."""
        steps = self._steps.get(source)
        if steps is None:
            return time
        place = bisect.bisect_right(steps, source_seq, key=lambda step: step[0])
        return time + steps[place - 1][1] if place else time


class RunRows:
    """What an analysis reads of one run; the connection is within a transaction."""

    def __init__(self, connection: sqlite3.Connection, number: int) -> None:
        self.connection = connection
        self.number = number
        self.sources = {
            row[0]: Source(*row)
            for row in connection.execute(
                "SELECT id, kind, address, server_id FROM source WHERE run = ? ORDER BY id",
                (number,),
            )
        }
        self.schedulers = {id for id, source in self.sources.items() if source.kind == "scheduler"}
        self.first, self.last = connection.execute(
            "SELECT first_seq, last_seq FROM run WHERE id = ?", (number,)
        ).fetchone()

    @functools.cached_property
    def lives(self) -> Lives:
        """Its workers."""
        rows = self.connection.execute(_LIVES, (self.number,))
        return Lives([Life(*row) for row in rows])

    @functools.cached_property
    def clocks(self) -> Clocks:
        """The clocks of its workers."""
        rows = self.connection.execute(
            "SELECT source, source_seq, offset FROM clock_offset"
            " WHERE source IN (SELECT id FROM source WHERE run = ?) ORDER BY source, source_seq",
            (self.number,),
        )
        return Clocks(rows.fetchall())

    def moves(self) -> list[tuple[int, int, int, int, str]]:
        """The moves of stolen tasks: seq, source, key, time, worker."""
        return self.connection.execute(
            "SELECT seq, source, key, time, worker FROM task_move"
            " WHERE source IN (SELECT id FROM source WHERE run = ?) ORDER BY seq",
            (self.number,),
        ).fetchall()

    def text_id(self, text: str) -> int:
        """The row ID of a text; -1 if the file does not have it."""
        row = self.connection.execute("SELECT id FROM text WHERE text = ?", (text,)).fetchone()
        return row[0] if row else -1

    @functools.cached_property
    def _texts(self) -> dict[int, str]:
        return {}

    def text(self, id: int | None) -> str | None:
        """The text with a row ID."""
        if id is None:
            return None
        if id not in self._texts:
            row = self.connection.execute("SELECT text FROM text WHERE id = ?", (id,)).fetchone()
            if row is None:
                return None
            self._texts[id] = row[0]
        return self._texts[id]

    def events(self, columns: str, last: int | None = None) -> Iterator[tuple[Any, ...]]:
        """Columns of its events in the order of arrival, the first is the source."""
        if self.first is None or self.last is None:
            return
        end = self.last if last is None else min(self.last, last)
        for row in self.connection.execute(
            f"SELECT source, {columns} FROM event WHERE seq BETWEEN ? AND ? ORDER BY seq",
            (self.first, end),
        ):
            if row[0] in self.sources:
                yield row
