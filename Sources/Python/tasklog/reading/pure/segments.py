"""Puts the segments of a rotated run together into one temporary log, as ``LogMerge`` does.

Events of a template keep their numbers; those of files that are named one by one are numbered by
time, as the native library does.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import os
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from tasklog.reading.errors import LogError
from tasklog.reading.pure import derived, files, schema

_EARLIER = "in an earlier file: "
#: What the metadata of a run says about its segments.
PREVIOUS, NEXT, _KEPT = "continues", "continued", "keptKeys"
#: Hooks of which there are some for every task or every second: `hook_event` has the others.
_FREQUENT = (
    "transition", "stimulus", "heartbeat", "clientDesiresKeys", "clientReleasesKeys", "addReplica",
    "removeReplica", "report",
)  # fmt: skip
_EVENT = (
    "seq, source, source_seq, time, hook, key, start, finish, stimulus, worker, task_run, args,"
    " snapshot"
)
_RUN = (
    "uuid, engine, engine_version, recorder_version, mode, started, ended, end, metadata,"
    " first_seq, last_seq"
)


class Scratch:
    """A folder for temporary logs, which goes with it."""

    def __init__(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="tasklog-")
        self.remove = weakref.finalize(self, _remove, self.folder, os.getpid())
        self._count = 0

    def path(self) -> str:
        """The path of a new file."""
        self._count += 1
        return os.path.join(self.folder, f"joined-{self._count}.db")


def _remove(folder: str, process: int) -> None:
    # The child of a fork has none of the parent's files.
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def join(paths: Sequence[str], target: str, *, is_template: bool) -> None:
    """Writes the segments of one run, in the order of recording, into a new log.

    Parameters
    ----------
    is_template
        Whether events keep their numbers.

    Raises
    ------
    LogError
    """
    try:
        with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as connection:
            files.stop_when_asked(connection)
            connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
            schema.create(connection)
            connection.execute("BEGIN")
            joined = _Join(connection)
            for path in paths:
                joined.add(path)
            if not is_template:
                joined.number()
            joined.finish()
            connection.execute("COMMIT")
    except (sqlite3.Error, OSError) as problem:
        raise LogError(
            f"{paths[0]}: its segments cannot be put together in {target}: {problem}; set TMPDIR "
            "to a folder with more room"
        ) from None


class _Join:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._texts: dict[str, int] = {}
        self._keys: dict[tuple[str, str], int] = {}
        self._sources: dict[str, int] = {}
        self._run: tuple[Any, ...] | None = None
        self._metadata: dict[str, Any] = {}
        #: Those of the last segment, which knows how the run ended.
        self._last: tuple[Any, ...] | None = None

    def add(self, path: str) -> None:
        """Adds a segment."""
        source, _ = files.open_for_reading(path)
        with contextlib.closing(source):
            try:
                source.execute("BEGIN")
                self._add(source)
            except sqlite3.Error as problem:
                if not files.is_of_file(problem):
                    raise
                raise files.error(problem, path, files.version_of(source)) from None

    def _add(self, source: sqlite3.Connection) -> None:
        (run,) = source.execute(f"SELECT {_RUN} FROM run").fetchall()
        self._run = self._run or run
        self._last = run
        texts = self._interned(source, "SELECT id, text FROM text", self._texts, "text (text, id)")
        keys = self._added_keys(source, texts)
        self._insert("blob (hash, bytes)", 2, source.execute("SELECT hash, bytes FROM blob"))
        sources: dict[int | None, int | None] = {}
        for id, kind, server_id, address, name, number in source.execute(
            "SELECT id, kind, server_id, address, name, number FROM source ORDER BY id"
        ).fetchall():
            if server_id not in self._sources:
                self._sources[server_id] = len(self._sources) + 1
                row = self._sources[server_id], 1, kind, server_id, address, name, number
                self._insert("source", 7, [row])
            sources[id] = self._sources[server_id]
        gaps = source.execute("SELECT source, source_seq, count, time, reason FROM gap ORDER BY id")
        for gap in gaps.fetchall():
            known = "SELECT 1 FROM gap WHERE (source, source_seq, count, reason) = (?, ?, ?, ?)"
            own = sources.get(gap[0])
            if not self._connection.execute(known, (own, *gap[1:3], gap[4])).fetchone():
                self._insert("gap (source, source_seq, count, time, reason)", 5, [(own, *gap[1:])])

        def events() -> Iterator[tuple[Any, ...]]:
            for row in source.execute(f"SELECT {_EVENT} FROM event ORDER BY seq"):
                named = (texts.get(each) for each in row[6:10])
                yield (
                    row[0], sources.get(row[1]), *row[2:4], texts.get(row[4]), keys.get(row[5]),
                    *named, *row[10:],
                )  # fmt: skip

        self._insert(f"event ({_EVENT})", 13, events())

    def _insert(self, into: str, count: int, rows: Any) -> None:
        # An event that two segments have is one: (source, source_seq) is its identity.
        marks = ", ".join("?" * count)
        self._connection.executemany(f"INSERT OR IGNORE INTO {into} VALUES ({marks})", rows)

    def _interned(
        self, source: sqlite3.Connection, sql: str, known: dict[Any, int], into: str
    ) -> dict[int | None, int | None]:
        """The numbers of values in the joined log by those in a segment."""
        numbers: dict[int | None, int | None] = {}
        new = []
        for id, *rest in source.execute(sql):
            value = rest[0] if len(rest) == 1 else tuple(rest)
            if value not in known:
                known[value] = len(known) + 1
                new.append((*rest, known[value]))
            numbers[id] = known[value]
        if new:
            self._insert(into, len(new[0]), new)
        return numbers

    def _added_keys(
        self, source: sqlite3.Connection, texts: dict[int | None, int | None]
    ) -> dict[int | None, int | None]:
        keys = self._interned(
            source, "SELECT id, text, typed FROM key", self._keys, "key (text, typed, id)"
        )
        groups = source.execute("SELECT prefix, key_group, id FROM key").fetchall()
        self._connection.executemany(
            "UPDATE key SET prefix = ?, key_group = ? WHERE id = ?",
            [(texts.get(prefix), texts.get(group), keys[id]) for prefix, group, id in groups],
        )
        return keys

    # What is known once all events are there

    def number(self) -> None:
        """Numbers the events by time; those of each source stay in their order."""
        self._connection.execute("CREATE TEMP TABLE place (seq INTEGER PRIMARY KEY, number)")
        self._connection.executemany(
            "INSERT INTO place VALUES (?, ?)",
            ((seq, number) for number, seq in enumerate(self._by_time(), 1)),
        )
        # Through negative numbers, as two events never have the same.
        self._connection.execute(
            "UPDATE event SET seq = -(SELECT number FROM place WHERE place.seq = event.seq)"
        )
        self._connection.execute("UPDATE event SET seq = -seq")

    def _by_time(self) -> Iterator[int]:
        """The numbers of the events by time; at one time the source that waits longest is first."""
        ready: list[tuple[int, int, int, Iterator[tuple[int, int]]]] = []
        turns = itertools.count()

        def wait(events: Iterator[tuple[int, int]]) -> None:
            event = next(events, None)
            if event is not None:
                heapq.heappush(ready, (event[0], next(turns), event[1], events))

        for source in self._sources.values():
            wait(
                self._connection.execute(
                    "SELECT time, seq FROM event WHERE source = ? ORDER BY source_seq", (source,)
                )
            )
        while ready:
            _, _, seq, events = heapq.heappop(ready)
            yield seq
            wait(events)

    def finish(self) -> None:
        """Writes the run, and what is derived from the events."""
        if self._run is None or self._last is None:
            return
        for source in self._sources.values():
            self._mend_gaps(source)
        first, last, count = self._connection.execute(
            "SELECT min(seq), max(seq), count(*) FROM event"
        ).fetchone()
        self._connection.execute(
            "INSERT INTO run (id, uuid, engine, engine_version, recorder_version, mode, started,"
            " ended, end, metadata, first_seq, last_seq, events)"
            " VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*self._run[:6], *self._last[6:8], self._described(), first, last, count),
        )
        derived.fill(self._connection, "main")
        frequent = ", ".join(f"'{hook}'" for hook in _FREQUENT)
        self._connection.execute(
            "INSERT INTO hook_event SELECT hook, seq FROM event"
            f" WHERE hook NOT IN (SELECT id FROM text WHERE text IN ({frequent}))"
        )

    def _described(self) -> str:
        """The metadata: without what is about one file, but with the files that are missing."""
        assert self._run is not None and self._last is not None
        try:
            metadata = json.loads(self._run[8])
            following = json.loads(self._last[8]).get(NEXT)
        except (ValueError, AttributeError):
            return str(self._run[8])
        for name in (PREVIOUS, NEXT, _KEPT):
            metadata.pop(name, None)
        missing = self._connection.execute(
            f"SELECT reason FROM gap WHERE reason LIKE '{_EARLIER}%'"
            " ORDER BY length(reason), reason"
        ).fetchone()
        if missing:
            metadata[PREVIOUS] = missing[0].removeprefix(_EARLIER)
        if following is not None:
            metadata[NEXT] = following
        return json.dumps(metadata, separators=(",", ":"))

    def _mend_gaps(self, source: int) -> None:
        """Events of an earlier segment are no longer missing."""
        gaps = self._connection.execute(
            "SELECT id, source_seq, count, time, reason FROM gap WHERE source = ?"
            f" AND reason LIKE '{_EARLIER}%'"
            " ORDER BY source_seq + count DESC, length(reason) DESC, reason DESC",
            (source,),
        ).fetchall()
        for id, first, count, time, reason in gaps:
            holes = self._holes(source, id, first, first + count)
            if holes == [(first, count)]:
                continue
            self._connection.execute("DELETE FROM gap WHERE id = ?", (id,))
            self._insert(
                "gap (source, source_seq, count, time, reason)", 5,
                [(source, *hole, time, reason) for hole in holes],
            )  # fmt: skip

    def _holes(self, source: int, gap: int, first: int, end: int) -> list[tuple[int, int]]:
        """What neither an event nor another gap covers: the first of each, and how many."""
        covered = self._connection.execute(
            """
            SELECT source_seq, 1 FROM event WHERE source = ?1 AND source_seq BETWEEN ?2 AND ?3
            UNION ALL SELECT source_seq, count FROM gap
            WHERE source = ?1 AND source_seq <= ?3 AND source_seq + count > ?2 AND id != ?4
            ORDER BY 1
            """,
            (source, first, end - 1, gap),
        )
        holes = []
        for start, count in covered:
            if start > first:
                holes.append((first, start - first))
            first = max(first, start + count)
        if first < end:
            holes.append((first, end - first))
        return holes
