"""Logs that are read with Python's own SQLite."""

from __future__ import annotations

import contextlib
import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasklog.elsewhere import sentence
from tasklog.reading import command
from tasklog.reading.errors import LogError
from tasklog.reading.interrupting import stoppable
from tasklog.reading.pure import ending, files
from tasklog.reading.pure.analyses import ANALYSES, tables
from tasklog.reading.pure.entries import Entry
from tasklog.reading.pure.query import Query
from tasklog.reading.pure.rows import PureBatches
from tasklog.reading.pure.segments import Scratch, join
from tasklog.reading.pure.selection import select

if TYPE_CHECKING:
    from tasklog.reading.log import RunInfo

#: Numbers and texts as a typed column has them, whatever a damaged file has.
_RUNS = """
    SELECT id, coalesce(CAST(uuid AS TEXT), ''),
      coalesce(CAST(engine AS TEXT), ''), coalesce(CAST(engine_version AS TEXT), ''),
      coalesce(CAST(recorder_version AS TEXT), ''), coalesce(CAST(mode AS TEXT), ''),
      coalesce(CAST(started AS INTEGER), 0), CAST(ended AS INTEGER), CAST(end AS TEXT),
      CAST(first_seq AS INTEGER), CAST(last_seq AS INTEGER), coalesce(CAST(events AS INTEGER), 0),
      CAST(CASE WHEN end IS NULL THEN coalesce(
        (SELECT max((SELECT event.time + coalesce((SELECT offset FROM clock_offset
            WHERE clock_offset.source = event.source
              AND clock_offset.source_seq <= event.source_seq
            ORDER BY clock_offset.source_seq DESC LIMIT 1), 0)
          FROM event WHERE event.source = source.id ORDER BY source_seq DESC LIMIT 1))
        FROM source WHERE source.run = run.id), started) END AS INTEGER),
      CAST(coalesce((SELECT tasks FROM run_total WHERE run_total.run = run.id), (
        SELECT count(DISTINCT key) FROM event
        WHERE key IS NOT NULL
          AND source IN (SELECT id FROM source WHERE source.run = run.id))) AS INTEGER),
      (SELECT count(*) FROM source WHERE source.run = run.id AND kind = 'worker'),
      (SELECT CAST(total(count) AS INTEGER) FROM gap
        WHERE source IN (SELECT id FROM source WHERE source.run = run.id)),
      CASE json_valid(metadata) WHEN 1 THEN CAST(metadata ->> '$.copied' AS INTEGER) END,
      CASE json_valid(metadata) WHEN 1 THEN metadata ->> '$.partial' IS NULL
        AND metadata ->> '$.unordered' IS NULL
        AND (metadata ->> '$.continues' IS NOT NULL OR metadata ->> '$.continued' IS NOT NULL)
        ELSE 0 END
    FROM run ORDER BY id
"""


@dataclass
class Part:
    """A file with some of the runs."""

    path: str
    #: The number of each run in this file, by its id.
    numbers: dict[str, int]
    name: str
    #: The file that the recorder of its last run writes to, if it is alive.
    recorded: str

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
        self._scratch: Scratch | None = None
        try:
            stoppable(lambda: self._open(paths))
        except BaseException:
            self.close()
            raise

    def _open(self, paths: Sequence[str]) -> None:
        seen: set[str] = set()
        for name, group in _grouped(paths):
            for path in group:
                self._warn_of_spool(path)
            path = group[0] if len(group) == 1 else self._joined(name, group)
            runs = [run for run in _runs(path, group[-1]) if run["id"] not in seen]
            seen.update(run["id"] for run in runs)
            numbers = {run["id"]: run["number"] for run in runs}
            self.parts.append(Part(path, numbers, name, group[-1]))

    def _joined(self, name: str, paths: list[str]) -> str:
        """The segments of a run as one file."""
        self._scratch = self._scratch or Scratch()
        path = self._scratch.path()
        join(paths, path, is_template="{run}" in name)
        return path

    def _warn_of_spool(self, path: str) -> None:
        if ending.has_spool(path):
            self._warnings.append(
                f"{path}: the last events of a run are still in its spool: "
                + sentence("recovering them")
            )

    def close(self) -> None:
        self._is_closed = True
        if self._scratch is not None:
            self._scratch.remove()

    def _check_open(self) -> None:
        if self._is_closed:
            raise LogError("this log is closed; open it again with tasklog.open()")

    def describe(self) -> dict[str, Any]:
        """The files and their runs."""
        self._check_open()
        return stoppable(self._described)

    def _described(self) -> dict[str, Any]:
        parts = []
        for part in self.parts:
            runs = [
                run
                for run in _runs(part.path, part.recorded)
                if part.numbers.get(run["id"]) == run["number"]
            ]
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


def _grouped(names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The logs with their names: files, and the segments of each rotated run in their order."""
    groups: list[tuple[str, list[str]]] = []
    single: list[str] = []
    for name in names:
        for paths in _files(name):
            if len(paths) == 1:
                single += paths
            else:
                groups.append((name, _in_order(paths)))
    return groups + _related(single)


def _related(paths: list[str]) -> list[tuple[str, list[str]]]:
    """Single files, and those that have different parts of a run as one log.

    A copy of a run is no part of it.
    """
    groups: list[tuple[list[str], list[dict[str, Any]]]] = []
    for path in paths:
        runs = _runs(path, path)
        related = [
            group
            for group in groups
            if any(
                known["id"] == run["id"] and known["extent"] != run["extent"]
                for known in group[1]
                for run in runs
            )
        ]
        if not related:
            groups.append(([path], runs))
            continue
        for group in related[1:]:
            groups.remove(group)
            related[0][0].extend(group[0])
            related[0][1].extend(group[1])
        related[0][0].append(path)
        related[0][1].extend(runs)
    return [
        (" + ".join(found), found if len(found) == 1 else _in_order(found)) for found, _ in groups
    ]


def _in_order(paths: list[str]) -> list[str]:
    """The segments of one rotated run in the order of recording.

    Raises
    ------
    LogError
        If the files are something else, such as what several recorders have of one run.
    """
    found = []
    for path in paths:
        runs = _runs(path, path)
        run = runs[0]
        if len(runs) != 1 or not run["is_segment"] or None in run["extent"]:
            raise LogError(_parts(run["id"], paths))
        found.append((run["extent"], run["id"], path))
    found.sort()
    for (before, id, _), (after, other, _) in zip(found, found[1:], strict=False):
        if id != other or after[0] <= before[1]:
            raise LogError(_parts(id, paths))
    return [path for _, _, path in found]


def _files(name: str) -> list[list[str]]:
    """The files of a path or a template, those of one run together."""
    head, mark, tail = name.partition("{run}")
    if not mark:
        return [[name]]
    id = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    pattern = re.compile(rf"{re.escape(head)}({id})(?:\.(\d+))?{re.escape(tail)}")
    found: dict[str, list[str]] = {}
    for path in sorted(glob.glob(f"{glob.escape(head)}*{glob.escape(tail)}")):
        match = pattern.fullmatch(path)
        # A file that is being created is still empty.
        if match and (os.path.getsize(path) or files.wal_size(path)):
            found.setdefault(match[1], []).append(path)
    if not found:
        raise LogError(
            f"{name}: there is no such log; check the path, or name a folder or a pattern"
        )
    return [paths for _, paths in sorted(found.items())]


def _parts(run: str, paths: list[str]) -> str:
    return f"{paths[0]}: has a part of run {run}, of which {paths[1]} has another: " + sentence(
        "reading them as one"
    )


def _runs(path: str, recorded: str) -> list[dict[str, Any]]:
    """What a log says about its runs; a recorder that is alive writes to ``recorded``."""
    runs = _read_runs(path, recorded)
    # Since a row was read, its run may have been ended and its lock released.
    if any(run["is_open"] and run["end"] != "running" for run in runs):
        return _read_runs(path, recorded)
    return runs


def _read_runs(path: str, recorded: str) -> list[dict[str, Any]]:
    connection, _ = files.open_for_reading(path)
    with contextlib.closing(connection):
        with files.naming_damage(connection, path):
            rows = connection.execute(_RUNS).fetchall()
    return [_run(recorded, *row) for row in rows]


def _run(
    path: str, number: int, id: str, engine: str, engine_version: str, recorder_version: str,
    mode: str, started: int, ended: int | None, end: str | None, first: int | None,
    last: int | None, events: int, last_time: int | None, tasks: int, workers: int, missing: int,
    copied: int | None, is_segment: int,
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
        "is_segment": bool(is_segment),
    }  # fmt: skip
