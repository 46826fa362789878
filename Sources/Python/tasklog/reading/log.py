"""Logs that are open for reading."""

from __future__ import annotations

import datetime
import functools
import json
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tasklog.decoding import Decoder
from tasklog.reading.errors import LogError, LogWarning
from tasklog.reading.paths import LogPath, resolve
from tasklog.reading.readers import open_reader
from tasklog.reading.run import Run
from tasklog.reading.runs import Runs
from tasklog.reading.table import Table

_RUNS = """
    SELECT value ->> 'run' AS run, value ->> 'number' AS number, value ->> 'log' AS log,
      value ->> 'started' AS started, value ->> 'duration' AS duration, value ->> 'end' AS "end",
      value ->> 'tasks' AS tasks, value ->> 'failed' AS failed, value ->> 'events' AS events,
      value ->> 'workers' AS workers, value ->> 'missing' AS missing,
      value ->> 'engine' AS engine, value ->> 'engine_version' AS engine_version,
      value ->> 'mode' AS mode, value ->> 'ended' AS ended, value ->> 'labels' AS labels,
      value ->> 'host' AS host, value ->> 'user' AS user,
      value ->> 'git_revision' AS git_revision, value ->> 'command_line' AS command_line
    FROM json_each(:rows)
"""


_TOTALS = "SELECT run, failed, labels, host, user, git_revision, command_line FROM runs"


@dataclass(frozen=True)
class RunInfo:
    """What a log says about a run.

    Attributes
    ----------
    id
        The id of the run, a UUID.
    number
        As in ``#3``: the number in its file, or over all files if there are several.
    log
        The name of its log.
    engine, engine_version
        What was recorded: ``dask`` and its version.
    mode
        ``full``, or ``hooks`` if only public hooks were recorded.
    started, ended
        Times in UTC. A run that died ended with its last event.
    end
        ``closed``, ``died`` or ``running``.
    as_of
        The time in UTC when this log was copied from the one that the run was recorded into; None
        if it is no such copy, or knows how the run ended.
    events, tasks, workers
        How many there are.
    missing
        The number of events that are known to be missing.
    failed
        The number of tasks that ever became erred.
    labels
        The labels of the run.
    host, user, git_revision, command_line
        Of the process that requested the recording; None for what is not known.
    started_ns, ended_ns
        The times in nanoseconds since 1970.
    """

    id: str
    number: int
    log: str
    engine: str
    engine_version: str
    mode: str
    started: datetime.datetime
    ended: datetime.datetime | None
    end: str
    events: int
    tasks: int
    workers: int
    missing: int
    failed: int
    labels: dict[str, str]
    host: str | None
    user: str | None
    git_revision: str | None
    command_line: str | None
    as_of: datetime.datetime | None
    #: Where it is read from: a file, which may be temporary, its index, and the number there.
    part: int = field(repr=False)
    number_in_part: int = field(repr=False)
    path: str = field(repr=False)
    started_ns: int = field(repr=False)
    ended_ns: int | None = field(repr=False)

    @property
    def duration(self) -> float | None:
        """Seconds from start to end; None for a run that is being recorded."""
        return None if self.ended_ns is None else (self.ended_ns - self.started_ns) / 1e9


class Log:
    """One or several logs, open for reading; made by `open`.

    It is safe in a process that records, and never changes a log, except that events which a dead
    recorder left in its spool are recovered when it is opened.
    """

    paths: list[str]

    def __init__(self, paths: LogPath | Iterable[LogPath]) -> None:
        #: The names of the logs: paths or templates.
        self.paths = resolve(paths)
        #: In which they are, if they are relative.
        self._folder = os.getcwd()
        self._reader = open_reader(self.paths)
        self._warned: set[str] = set()
        described = self._reader.describe()
        self._part_count = len(described["parts"])
        for text in described["warnings"]:
            warnings.warn(text, LogWarning, stacklevel=3)

    def close(self) -> None:
        """Close the logs and remove temporary files. Tables that are being read stay valid."""
        self._reader.close()

    def __reduce__(self) -> Any:
        # An open file cannot be sent: it is opened again from its names.
        return _reopened, (self.paths, self._folder)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        infos = self._infos()
        runs = "1 run" if len(infos) == 1 else f"{len(infos)} runs"
        names = ", ".join(self.paths[:3]) + (", …" if len(self.paths) > 3 else "")
        return f"<tasklog.Log {names}: {runs}>"

    def _repr_html_(self) -> str:
        from tasklog.notebook import displays

        return displays.log(self)

    @property
    def runs(self) -> Runs:
        """The runs, in the order of the files.

        Returns
        -------
        Runs
            A table; ``duration`` is in seconds; ``end`` is ``closed``, ``died`` or ``running``;
            ``missing`` is the number of events that are known to be missing.
        """
        return Runs(self, self._table_of)

    def _table_of(self, infos: list[RunInfo]) -> tuple[Any, ...]:
        rows = [
            {
                "run": info.id, "number": info.number, "log": info.log,
                "started": info.started_ns, "duration": info.duration, "end": info.end,
                "tasks": info.tasks, "failed": info.failed, "events": info.events,
                "workers": info.workers, "missing": info.missing, "engine": info.engine,
                "engine_version": info.engine_version, "mode": info.mode, "ended": info.ended_ns,
                "labels": json.dumps(info.labels), "host": info.host, "user": info.user,
                "git_revision": info.git_revision, "command_line": info.command_line,
            }
            for info in infos
        ]  # fmt: skip
        request = {"sql": _RUNS, "part": 0, "parameters": {"rows": json.dumps(rows)}}
        return self._table(request)._arguments()

    def __iter__(self) -> Iterator[Run]:
        """All runs, in the order of the files."""
        return (Run(self, info) for info in self._infos())

    def run(self, run: str | int | None = None, *, strict: bool = False) -> Run:
        """One of the runs.

        Parameters
        ----------
        run
            ``"#3"`` or ``3`` is the run with this number in `runs`; else the beginning of an id.
            By default the newest run.
        strict
            Raise an error if events of the run are missing, instead of a warning.

        Returns
        -------
        Run

        Raises
        ------
        LogError
            If there is no such run, or more than one; with `strict` also if events are missing.
        """
        if run is not None and (isinstance(run, bool) or not isinstance(run, (str, int))):
            raise TypeError(
                f"run is {run!r}, a {type(run).__name__}; expected a number such as 3 or '#3', or "
                "the beginning of an id"
            )
        info = self._select(run)
        if info.missing:
            text = (
                f"{info.log}: {info.missing:,} events of run #{info.number} are missing; "
                "'gaps' of the run says which and why"
            )
            if strict:
                raise LogError(text)
            if info.id not in self._warned:
                self._warned.add(info.id)
                warnings.warn(text, LogWarning, stacklevel=2)
        return Run(self, info)

    def sql(self, sql: str, *, timeout: float | None = None, **parameters: Any) -> Table:
        """The result of a SELECT over the runs of all logs, as if they were in one.

        The views are those of `TheFileFormat`. Their column ``run`` has the id of a run, so that
        runs of several logs are different.

        Parameters
        ----------
        sql
            One SELECT. It reads only: no ATTACH, no extensions.
        timeout
            Seconds after which it stops with an error; by default none.
        **parameters
            Values for ``:name``: numbers, text, bytes, None, and `datetime.datetime` as
            nanoseconds since 1970.

        Returns
        -------
        Table
            Columns that are named as the times of the views (``time``, ``time_ns``, ``start``, …)
            are times, if their values are.

        Raises
        ------
        LogError
            When the result is read, if the SQL is wrong or would change anything.
        """
        return self._sql(sql, None, timeout, parameters)

    # Internals

    @property
    def _absolute(self) -> list[str]:
        """The names of the logs for another process."""
        return [os.path.join(self._folder, path) for path in self.paths]

    def _sql(
        self, sql: str, runs: list[str] | None, timeout: float | None, parameters: dict[str, Any]
    ) -> Table:
        if not isinstance(sql, str):
            raise TypeError(
                f"sql is {sql!r}, a {type(sql).__name__}; expected the text of a SELECT"
            )
        request: dict[str, Any] = {
            "sql": sql,
            "parameters": {name: _parameter(name, value) for name, value in parameters.items()},
            "timeout": _seconds(timeout),
        }
        if runs is not None:
            request["runs"] = runs
        return self._table(request)

    def _table(self, request: dict[str, Any]) -> Table:
        return Table(self._reader, request, self._decoder)

    def _decoder(self) -> Decoder:
        """Decodes args; what is stored apart is looked up in all logs."""

        @functools.lru_cache(maxsize=64)
        def blob(hash: str) -> bytes:
            for part in range(self._part_count):
                table = self._table(
                    {
                        "sql": "SELECT bytes FROM blob WHERE hash = :hash",
                        "parameters": {"hash": hash},
                        "part": part,
                    }
                )
                for (found,) in table:
                    return bytes(found)
            raise LogError(f"{self.paths[0]}: is damaged: there are no bytes of {hash}")

        return Decoder(blob=blob)

    def _infos(self) -> list[RunInfo]:
        described = self._reader.describe()
        totals = {
            row[0]: (row[1], json.loads(row[2] or "{}"), *row[3:])
            for row in self._table({"sql": _TOTALS})
        }
        infos: list[RunInfo] = []
        are_several = len(described["parts"]) > 1
        for index, part in enumerate(described["parts"]):
            for run in part["runs"]:
                failed, labels, *origin = totals.get(run["id"], (0, {}, None, None, None, None))
                host, user, git_revision, command_line = origin
                infos.append(
                    RunInfo(
                        id=run["id"],
                        number=len(infos) + 1 if are_several else run["number"],
                        log=part["name"],
                        engine=run["engine"],
                        engine_version=run["engine_version"],
                        mode=run["mode"],
                        started=_time(run["started"]),
                        ended=None if run["ended"] is None else _time(run["ended"]),
                        end=run["end"],
                        events=run["events"],
                        tasks=run["tasks"],
                        workers=run["workers"],
                        missing=run["missing"],
                        failed=failed,
                        labels=labels,
                        host=host,
                        user=user,
                        git_revision=git_revision,
                        command_line=command_line,
                        as_of=None if run["as_of"] is None else _time(run["as_of"]),
                        part=index,
                        number_in_part=run["number"],
                        path=part["path"],
                        started_ns=run["started"],
                        ended_ns=run["ended"],
                    )
                )
        return infos

    def _select(self, run: str | int | None) -> RunInfo:
        infos = self._infos()
        if not infos:
            raise LogError(f"{self.paths[0]}: holds no runs yet")
        if run is None:
            return max(infos, key=lambda info: info.started_ns)
        text = f"#{run}" if isinstance(run, int) else run
        matches = [
            info
            for info in infos
            if (f"#{info.number}" == text if text.startswith("#") else info.id.startswith(text))
        ]
        if len(matches) == 1:
            return matches[0]
        log = self.paths[0] if len(self.paths) == 1 else f"{len(self.paths)} logs"
        if matches and text:
            raise LogError(f"{log}: '{text}' begins {len(matches)} run ids; give more of it")
        numbers = f"#{infos[0].number}" + (f" to #{infos[-1].number}" if len(infos) > 1 else "")
        raise LogError(f"{log}: has no run '{text}'; it has {numbers}, which 'runs' lists")


def open_log(paths: LogPath | Iterable[LogPath]) -> Log:
    """Open one or several logs for reading.

    Parameters
    ----------
    paths
        The path of a log, a folder with logs (also in its subfolders), a pattern such as
        ``logs/*.db``, a template such as ``logs/{run}.db`` for logs with a file per run or several,
        or several of these.

    Returns
    -------
    Log
        Also a context manager.

    Raises
    ------
    LogError
        If a log is missing, damaged, of a newer version, or no log.
    """
    return Log(paths)


def _reopened(paths: list[str], folder: str) -> Log:
    """A log that was pickled, from the folder in which its names were given."""
    return Log([os.path.join(folder, path) for path in paths])


def _time(nanoseconds: int) -> datetime.datetime:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return epoch + datetime.timedelta(microseconds=nanoseconds // 1000)


def nanoseconds(time: datetime.datetime, is_end: bool = False) -> int:
    """A time as nanoseconds since 1970; one without a time zone is in UTC.

    Parameters
    ----------
    is_end
        Whether to return the last nanosecond of a time that has only microseconds.

    Raises
    ------
    LogError
        If it is no time.
    """
    if not isinstance(time, datetime.datetime):
        raise LogError(f"{time!r} is a {type(time).__name__}; give a datetime.datetime")
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.timezone.utc)
    difference = time - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    microsecond = (difference // datetime.timedelta(microseconds=1)) * 1000
    rest = getattr(time, "nanosecond", 999 if is_end else 0)
    # What is in no log is as good as the edge of what can be.
    return max(-(2**63), min(microsecond + rest, 2**63 - 1))


def text_of(key: Any) -> str:
    """A key as logs show it: the text of a tuple or a number, the key of a future."""
    key = getattr(key, "key", key)
    return key if isinstance(key, str) else repr(key)


def _seconds(timeout: Any) -> float | None:
    if timeout is None or (isinstance(timeout, (int, float)) and not isinstance(timeout, bool)):
        return timeout
    raise TypeError(
        f"timeout is {timeout!r}, a {type(timeout).__name__}; give a number of seconds, or None"
    )


def _parameter(name: str, value: Any) -> Any:
    """A value of SQL as JSON has it."""
    if isinstance(value, datetime.datetime):
        return nanoseconds(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        import base64

        return {"$bytes": base64.b64encode(bytes(value)).decode()}
    if hasattr(value, "item") and not isinstance(value, (int, float, str)):
        # A number of numpy.
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise LogError(f"SQL: {name}={value}: SQL has no such number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise LogError(f"SQL: {name}={value}: an integer of SQL has 64 bits")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise LogError(
        f"SQL: {name} is a {type(value).__name__}; give a number, text, bytes, None or a "
        "datetime.datetime"
    )
