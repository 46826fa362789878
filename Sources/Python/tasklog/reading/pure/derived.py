"""The tables of format 2 that are derived from events, for a log of format 1, which has none.

They become temporary tables of a connection, as ``DerivedTables`` of the Swift side builds them:
workers with their lives, the clocks of workers, and tasks that were stolen.
"""

from __future__ import annotations

import json
import math
import sqlite3
from dataclasses import astuple, dataclass
from typing import Any

from tasklog.reading.pure.values import integer, load, members, text

_EVENTS = """
    SELECT event.seq, event.source, ifnull(CAST(event.source_seq AS INTEGER), 0),
      ifnull(CAST(event.time AS INTEGER), 0), event.key, event.args,
      event.snapshot, source.run, source.kind = 'scheduler', source.server_id, source.address,
      source.name, (SELECT text FROM text WHERE id = event.hook),
      (SELECT text FROM text WHERE id = event.worker)
    FROM event JOIN source ON source.id = event.source
    WHERE hook IN (SELECT id FROM text
        WHERE text IN ('addWorker', 'removeWorker', 'attach', 'setup', 'teardown'))
      OR hook = (SELECT id FROM text WHERE text = 'logEvent') AND key IS NOT NULL
      OR hook = (SELECT id FROM text WHERE text = 'stimulus')
        AND (args LIKE '{"op":"clock-offset"%' OR args LIKE '{"op":"move-task"%')
    ORDER BY event.seq
"""
#: Used if a log does not say how long a measurement of a clock took.
_ASSUMED_UNCERTAINTY = 2_000_000_000
#: An offset of more than a century is not from a clock.
_LARGEST = 3e18


@dataclass
class _Row:
    seq: int
    source: int
    source_seq: int
    time: int
    key: int | None
    args: Any
    snapshot: Any
    run: int
    is_scheduler: bool
    server_id: str
    address: str
    name: str
    hook: str
    worker: str | None

    @property
    def facts(self) -> dict[str, Any]:
        """What a snapshot says about a worker."""
        return members(members(load(self.snapshot)).get("worker"))


@dataclass
class _Life:
    """A row of ``worker_life``."""

    run: int
    worker: str
    first_seq: int
    life: int
    server_id: str | None
    name: str | None = None
    nthreads: int | None = None
    joined_ns: int | None = None
    left_ns: int | None = None
    gone_seq: int | None = None
    gone_ns: int | None = None


@dataclass
class _Offset:
    source_seq: int
    offset: int
    uncertainty: int


def fill(connection: sqlite3.Connection, database: str = "temp") -> None:
    """Fills the tables of a database, which are there and empty."""
    tables = _Tables()
    for row in connection.execute(_EVENTS).fetchall():
        tables.take(_Row(*row))
    lives = [astuple(life) for at_address in tables.lives.values() for life in at_address]
    offsets = [
        (source, *astuple(each)) for source, found in tables.offsets.items() for each in found
    ]
    for table, rows in (
        ("worker_life", lives), ("clock_offset", offsets), ("task_move", tables.moves),
    ):  # fmt: skip
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(
                f"INSERT OR REPLACE INTO {database}.{table} VALUES ({marks})", rows
            )


class _Tables:
    def __init__(self) -> None:
        #: By run and address, the earliest first.
        self.lives: dict[tuple[int, str], list[_Life]] = {}
        #: By source, the earliest first.
        self.offsets: dict[int, list[_Offset]] = {}
        self.moves: list[tuple[int, int, int, int, str]] = []

    def take(self, row: _Row) -> None:
        if row.hook in ("stimulus", "logEvent"):
            if row.is_scheduler:
                self._move(row)
            elif row.hook == "stimulus":
                self._clock(row)
        elif row.hook == "setup" and not row.is_scheduler:
            life = self._current(row.run, row.address, row.server_id, row.seq)
            self._know(life, row.server_id, row.facts, row.name)
        elif row.hook == "teardown" and not row.is_scheduler:
            life = self._current(row.run, row.address, row.server_id, row.seq)
            if life.gone_seq is None:
                known = self.offsets.get(row.source)
                life.gone_seq = row.seq
                life.gone_ns = _stored(row.time + (known[-1].offset if known else 0))
        elif row.is_scheduler and row.hook == "attach":
            self._attach(row)
        elif row.is_scheduler and row.worker is not None:
            self._join_or_leave(row, row.worker)

    # Lives

    def _join_or_leave(self, row: _Row, worker: str) -> None:
        if row.hook == "addWorker":
            server_id = text(row.facts.get("serverID"))
            life = self._current(row.run, worker, server_id, row.seq, is_added=True)
            life.joined_ns = row.time if life.joined_ns is None else min(life.joined_ns, row.time)
            life.left_ns = life.gone_seq = life.gone_ns = None
            self._know(life, server_id, row.facts)
        elif row.hook == "removeWorker":
            life = self._current(row.run, worker, None, row.seq)
            life.left_ns = row.time
            life.gone_seq = row.seq if life.gone_seq is None else life.gone_seq
            life.gone_ns = row.time if life.gone_ns is None else life.gone_ns

    def _attach(self, row: _Row) -> None:
        """The workers that were there when a recorder was attached."""
        workers = members(members(load(row.snapshot)).get("attach")).get("workers")
        for each in workers if isinstance(workers, list) else ():
            facts = members(each)
            address, server_id = text(facts.get("address")), text(facts.get("serverID"))
            if address is not None:
                life = self._current(row.run, address, server_id, row.seq)
                self._know(life, server_id, facts)

    def _current(
        self, run: int, address: str, server_id: str | None, seq: int, *, is_added: bool = False
    ) -> _Life:
        """The worker at an address, which is a new one if none is known there."""
        known = self.lives.setdefault((run, address), [])
        if server_id is not None:
            for life in reversed(known):
                if life.server_id == server_id:
                    return life
        if known:
            latest = known[-1]
            is_other = None not in (server_id, latest.server_id)
            # Without ids, a worker that joins after another one has left is a different worker.
            comes_again = is_added and latest.left_ns is not None
            if not is_other and not comes_again:
                return latest
        number = known[-1].life + 1 if known else 1
        known.append(_Life(run, address, seq if known else 0, number, server_id))
        return known[-1]

    def _know(
        self, life: _Life, server_id: str | None, facts: dict[str, Any], name: str | None = None
    ) -> None:
        life.server_id = life.server_id if life.server_id is not None else server_id
        if name is None and "name" in facts:
            name = json.dumps(facts["name"], separators=(",", ":"), ensure_ascii=False)
        life.name = life.name if name is None else name
        nthreads = integer(facts.get("nthreads"))
        if nthreads is not None:
            life.nthreads = nthreads if life.nthreads is None else max(life.nthreads, nthreads)

    # Clocks

    def _clock(self, row: _Row) -> None:
        """A measurement; an offset is kept as long as none contradicts it."""
        args = members(load(row.args))
        measured = _nanoseconds(args.get("scheduler_delay"))
        if args.get("op") != "clock-offset" or measured is None:
            return
        round_trip = _nanoseconds(args.get("round_trip"))
        uncertainty = _ASSUMED_UNCERTAINTY if round_trip is None else max(0, int(round_trip / 2))
        known = self.offsets.setdefault(row.source, [])
        if not known:
            # Valid from the first event on: nothing is known about the time before.
            offset = 0 if abs(measured) <= uncertainty else measured
            known.append(_Offset(0, offset, abs(measured - offset) + uncertainty))
            return
        difference = abs(measured - known[-1].offset)
        if difference > uncertainty:
            known.append(_Offset(row.source_seq, measured, uncertainty))
        else:
            known[-1].uncertainty = min(known[-1].uncertainty, difference + uncertainty)

    # Stolen tasks

    def _move(self, row: _Row) -> None:
        if row.key is None:
            return
        args = members(load(row.args))
        thief = row.worker
        if row.hook == "logEvent":
            message = members(args.get("message")).get("$tuple")
            if (
                args.get("topic") != "stealing" or not isinstance(message, list)
                or len(message) < 5 or message[0] != "confirm"
            ):  # fmt: skip
                return
            thief = text(message[4])
        elif args.get("op") != "move-task":
            return
        if thief is not None:
            self.moves.append((row.source, row.key, row.seq, row.time, thief))


def _stored(number: int) -> int:
    """The nearest number that SQLite stores as an integer."""
    return max(-(2**63), min(number, 2**63 - 1))


def _nanoseconds(seconds: Any) -> int | None:
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        return None
    exact = float(seconds) * 1e9
    if not abs(exact) < _LARGEST:
        return None
    # Halves away from zero.
    return int(math.copysign(math.floor(abs(exact) + 0.5), exact))
