"""Logs that are read with Python's own SQLite."""

from __future__ import annotations

import contextlib
import glob
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasklog.elsewhere import sentence
from tasklog.reading import command
from tasklog.reading.errors import LogError
from tasklog.reading.pure import ending, files
from tasklog.reading.pure.analyses import ANALYSES, tables
from tasklog.reading.pure.entries import Entry
from tasklog.reading.pure.query import Query
from tasklog.reading.pure.rows import PureBatches
from tasklog.reading.pure.selection import select

if TYPE_CHECKING:
    from tasklog.reading.log import RunInfo

_RUNS = """
    SELECT id, coalesce(CAST(uuid AS TEXT), ''),
      engine, engine_version, recorder_version, mode, started, ended, end,
      first_seq, last_seq, events,
      CASE WHEN end IS NULL THEN coalesce(
        (SELECT max((SELECT event.time + coalesce((SELECT offset FROM clock_offset
            WHERE clock_offset.source = event.source
              AND clock_offset.source_seq <= event.source_seq
            ORDER BY clock_offset.source_seq DESC LIMIT 1), 0)
          FROM event WHERE event.source = source.id ORDER BY source_seq DESC LIMIT 1))
        FROM source WHERE source.run = run.id), started) END,
      coalesce((SELECT tasks FROM run_total WHERE run_total.run = run.id), (
        SELECT count(DISTINCT key) FROM event
        WHERE key IS NOT NULL AND source IN (SELECT id FROM source WHERE source.run = run.id))),
      (SELECT count(*) FROM source WHERE source.run = run.id AND kind = 'worker'),
      (SELECT coalesce(sum(count), 0) FROM gap
        WHERE source IN (SELECT id FROM source WHERE source.run = run.id)),
      CASE json_valid(metadata) WHEN 1 THEN metadata ->> '$.copied' END
    FROM run ORDER BY id
"""


@dataclass
class Part:
    """A file with some of the runs."""

    path: str
    #: The number of each run in this file, by its id.
    numbers: dict[str, int]

    @property
    def name(self) -> str:
        return self.path

    def selected(self, runs: set[str] | None) -> str:
        """The numbers of the selected runs, separated by commas."""
        chosen = [number for id, number in self.numbers.items() if runs is None or id in runs]
        return ",".join(map(str, sorted(chosen)))


class PureLog:
    """Open logs; see `tasklog.reading.native.NativeLog`.

    It has no connections: each query opens its own.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._is_closed = False
        self.parts: list[Part] = []
        self._warnings: list[str] = []
        #: The first and the last event of each run, and its file.
        extents: dict[str, tuple[tuple[Any, Any], str]] = {}
        for path in [path for name in paths for path in _files(name)]:
            self._warn_of_spool(path)
            numbers: dict[str, int] = {}
            for run in _runs(path):
                known = extents.get(run["id"])
                if known is None:
                    extents[run["id"]] = run["extent"], path
                    numbers[run["id"]] = run["number"]
                elif known[0] != run["extent"]:
                    raise LogError(_segments(run["id"], [known[1], path]))
            self.parts.append(Part(path, numbers))

    def _warn_of_spool(self, path: str) -> None:
        if ending.has_spool(path):
            self._warnings.append(
                f"{path}: the last events of a run are still in its spool: "
                + sentence("recovering them")
            )

    def close(self) -> None:
        self._is_closed = True

    def _check_open(self) -> None:
        if self._is_closed:
            raise LogError("this log is closed; open it again with tasklog.open()")

    def describe(self) -> dict[str, Any]:
        """The files and their runs."""
        self._check_open()
        parts = []
        for part in self.parts:
            runs = [run for run in _runs(part.path) if part.numbers.get(run["id"]) == run["number"]]
            parts.append({"path": part.path, "name": part.name, "runs": runs})
        return {"parts": parts, "warnings": self._warnings}

    def batches(self, request: dict[str, Any]) -> PureBatches:
        """Runs SQL."""
        self._check_open()
        return Query(self.parts, request).batches()

    def capsule(self, request: dict[str, Any]) -> Any:
        """Runs SQL; the rows are an Arrow stream in a capsule of Python."""
        from tasklog.reading import frames

        try:
            import pyarrow
        except ImportError:
            raise LogError(
                "an Arrow stream needs pyarrow where tasklog has no native part: pip install "
                "pyarrow"
            ) from None
        batches = self.batches(request)
        schema = frames.arrow_schema(pyarrow, batches)
        reader = pyarrow.RecordBatchReader.from_batches(
            schema, (batch.to_arrow(pyarrow, schema) for batch in batches)
        )
        return reader.__arrow_c_stream__()

    def analysis(self, name: str, info: RunInfo, asked: dict[str, Any]) -> dict[str, str]:
        """The tables of an analysis of a run, each as a JSON array of its rows."""
        self._check_open()
        if name not in ANALYSES:
            # The command says what it needs.
            return command.tables(name, info.path, info.id, asked)
        options = {**asked, "log": info.log}
        return tables(info.path, info.number_in_part, name, command.TABLES[name], options)

    def select(self, expression: str, infos: list[RunInfo], logs: list[str]) -> list[str]:
        """The ids of the runs of which an expression is true, the oldest first."""
        entries = [Entry(info) for info in infos]
        entries.sort(key=lambda entry: (entry.info.started_ns, entry.info.id))
        return [entry.info.id for entry in select(entries, expression)]

    def tasks(self, number: int) -> str:
        """The SQL of the tasks of a run, by its number in its file."""
        return f"(SELECT * FROM tasks WHERE run = {number})"


def _files(name: str) -> list[str]:
    """The files of a path or a template."""
    head, mark, tail = name.partition("{run}")
    if not mark:
        return [name]
    id = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    pattern = re.compile(rf"{re.escape(head)}({id})(?:\.(\d+))?{re.escape(tail)}")
    found: dict[str, list[str]] = {}
    for path in sorted(glob.glob(f"{glob.escape(head)}*{glob.escape(tail)}")):
        match = pattern.fullmatch(path)
        if match:
            found.setdefault(match[1], []).append(path)
    if not found:
        raise LogError(
            f"{name}: there is no such log; check the path, or name a folder or a pattern"
        )
    for id, paths in found.items():
        if len(paths) > 1:
            raise LogError(_segments(id, paths))
    return [path for _, paths in sorted(found.items()) for path in paths]


def _segments(run: str, paths: list[str]) -> str:
    return f"{paths[0]}: has a part of run {run}, of which {paths[1]} has another: " + sentence(
        "reading them as one"
    )


def _runs(path: str) -> list[dict[str, Any]]:
    """What a log says about its runs."""
    runs = _read_runs(path)
    # Since a row was read, its run may have been ended and its lock released.
    if any(run["is_open"] and run["end"] != "running" for run in runs):
        return _read_runs(path)
    return runs


def _read_runs(path: str) -> list[dict[str, Any]]:
    connection, _ = files.open_for_reading(path)
    with contextlib.closing(connection):
        try:
            rows = connection.execute(_RUNS).fetchall()
        except sqlite3.Error as problem:
            raise files.error(problem, path, files.version_of(connection)) from None
    return [_run(path, *row) for row in rows]


def _run(
    path: str, number: int, id: str, engine: str, engine_version: str, recorder_version: str,
    mode: str, started: int, ended: int | None, end: str | None, first: int | None,
    last: int | None, events: int, last_time: int | None, tasks: int, workers: int, missing: int,
    copied: int | None,
) -> dict[str, Any]:  # fmt: skip
    as_of = None
    is_open = end is None
    if end is None:
        end, ended, as_of = ending.of_run(path, id, last_time, copied)
    return {
        "number": number, "id": id, "engine": engine, "engine_version": engine_version,
        "recorder_version": recorder_version, "mode": mode, "started": started, "ended": ended,
        "end": end, "events": events, "tasks": tasks, "workers": workers, "missing": missing,
        "as_of": as_of, "extent": (first, last), "is_open": is_open,
    }  # fmt: skip
