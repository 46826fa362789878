"""A run of a log."""

from __future__ import annotations

import datetime
import operator
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tasklog.reading import columns, command
from tasklog.reading.errors import LogError
from tasklog.reading.table import Table

if TYPE_CHECKING:
    from tasklog.reading.log import Log, RunInfo
    from tasklog.reading.remote import RebuiltScheduler

#: What is shown of each view, the most useful first. `{run}` is the id of the run, `{number}` its
#: number in its file and `{tasks}` its tasks.
_TASKS = """
    SELECT key, state, prefix, worker, nbytes, typename, exception, first_seen, last_seen,
      transitions, dispatch_count, done, failures, key_group, life, '{run}' AS run
    FROM {tasks}
"""
_TRANSITIONS = """
    SELECT seq, time_ns AS time, source, key, start, finish, stimulus, worker, args, prefix,
      raw_time_ns AS raw_time, life, '{run}' AS run
    FROM transitions WHERE run = {number}
"""
_DURATIONS = """
    SELECT key, action, duration, worker, start, stop, prefix, seq, life, '{run}' AS run
    FROM task_durations WHERE run = {number}
"""
_GAPS = """
    SELECT source, worker, source_seq, "count", reason, time_ns AS time, life, '{run}' AS run
    FROM gaps WHERE run = {number}
"""

_ERRED = ("error", "erred")


class Report:
    """The tables of an analysis, by name: ``report.states`` or ``report["states"]``.

    It iterates over the names of its tables.
    """

    def __init__(self, name: str, tables: dict[str, Table]) -> None:
        self._name = name
        self._tables = tables

    def __getitem__(self, name: str) -> Table:
        return self._tables[name]

    def __getattr__(self, name: str) -> Table:
        try:
            return self.__dict__["_tables"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._tables]

    def show(self, rows: int = 20) -> None:
        """Print the first rows of each table."""
        for name, table in self._tables.items():
            print(f"{name}:")
            table.show(rows)

    def __repr__(self) -> str:
        return "\n".join(f"{name}:\n{table!r}" for name, table in self._tables.items())

    def _repr_html_(self) -> str:
        from tasklog.notebook import displays

        return displays.report(self)


class Errors(Table):
    """What failed: a table of the tasks that failed themselves, with the other tables of it.

    Attributes
    ----------
    causes
        Exceptions, with the number of tasks that failed with them.
    affected
        Tasks that failed because of others, with the blamed key.
    at_workers
        Failures that only a worker had.
    """

    causes: Table
    affected: Table
    at_workers: Table

    def _repr_html_(self) -> str:
        from tasklog.notebook import displays

        return displays.errors(self)


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}, a {type(value).__name__}; expected text")


def _seq(value: Any, name: str, expected: str, what: str = "the number of an event,") -> int:
    """A whole number; also one of numpy."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} is {value!r}, a {type(value).__name__}; expected {what} {expected}"
        ) from None


def _of_log(log: Log, id: str) -> Run:
    """A run that was pickled."""
    return Run(log, log._select(id))


class Run:
    """A run of a log; made by `Log.run`.

    Attributes
    ----------
    log
        The log that it is of.
    info
        What the log says about it, when it was looked up.
    """

    log: Log
    info: RunInfo

    def __init__(self, log: Log, info: RunInfo) -> None:
        self.log = log
        self.info = info

    @property
    def id(self) -> str:
        """The id of the run, a UUID."""
        return self.info.id

    @property
    def number(self) -> int:
        """As in ``#3``."""
        return self.info.number

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the run."""
        return self.info.labels

    def __repr__(self) -> str:
        info = self.info
        took = "" if info.duration is None else f" after {info.duration:.3f} s"
        if info.as_of is not None:
            took = f", as of {info.as_of:%Y-%m-%d %H:%M:%S} UTC"
        return (
            f"<tasklog.Run #{info.number} {info.id} of {info.log}: {info.end}{took}, "
            f"{info.tasks:,} tasks, {info.failed:,} failed>"
        )

    def _repr_html_(self) -> str | None:
        from tasklog.notebook import displays

        return displays.run(self)

    def __reduce__(self) -> Any:
        return _of_log, (self.log, self.id)

    # Tables

    def tasks(self) -> Table:
        """The tasks of the run.

        Returns
        -------
        Table
            One row for each key: its last state, the worker and size (``nbytes``) of its last
            result, times of its first and last transition, and how often it was given to a worker
            (``dispatch_count``), came to memory (``done``) and erred (``failures``).
        """
        return self._view(_TASKS)

    def transitions(
        self,
        key: Any = None,
        *,
        prefix: str | None = None,
        start: str | None = None,
        finish: str | None = None,
        source: str | None = None,
        worker: str | None = None,
        stimulus: str | None = None,
        since: datetime.datetime | None = None,
        until: datetime.datetime | None = None,
    ) -> Table:
        """The transitions of tasks, on the scheduler and on workers.

        Parameters
        ----------
        key, prefix, stimulus
            A name, or a pattern with ``*``, ``?`` and ``[…]``.
        start, finish
            The states before and after; ``error`` and ``erred`` mean the same.
        source
            ``scheduler`` or ``worker``: who observed it.
        worker
            The address of a worker, or a pattern.
        since, until
            The first and the last time; without a time zone in UTC. The last is the end of its
            microsecond unless it has nanoseconds, as those of pandas.

        Returns
        -------
        Table
            In the order of arrival. ``time`` is by the scheduler's clock.
        """
        from tasklog.reading.log import nanoseconds, text_of

        conditions: list[str] = []
        parameters: dict[str, Any] = {}
        key = None if key is None else text_of(key)
        for name, value in (
            ("key", key), ("prefix", prefix), ("worker", worker), ("stimulus", stimulus),
        ):  # fmt: skip
            if value is None:
                continue
            _check_text(name, value)
            is_pattern = any(character in value for character in "*?[")
            compares = f"tasklog_matches(:{name}, {name})" if is_pattern else f"{name} = :{name}"
            conditions.append(compares)
            parameters[name] = value
        for name, value in (("start", start), ("finish", finish)):
            if value is None:
                continue
            _check_text(name, value)
            names = _ERRED if value in _ERRED else (value, value)
            conditions.append(f"{name} IN (:{name}, :other_{name})")
            parameters[name], parameters[f"other_{name}"] = names
        if source is not None:
            if source not in ("scheduler", "worker"):
                raise ValueError(f"source is {source!r}; expected 'scheduler' or 'worker'")
            conditions.append("source = :source")
            parameters["source"] = source
        for name, time, compares in (("since", since, ">="), ("until", until, "<=")):
            if time is not None:
                conditions.append(f"time_ns {compares} :{name}")
                parameters[name] = nanoseconds(time, is_end=name == "until")
        sql = _TRANSITIONS + "".join(f" AND {condition}" for condition in conditions)
        return self._view(sql + " ORDER BY seq", parameters)

    def durations(self) -> Table:
        """The spans of work for tasks: computing, transfers, reading from and writing to disk.

        Returns
        -------
        Table
            ``duration`` is in seconds.
        """
        return self._view(_DURATIONS)

    @property
    def gaps(self) -> Table:
        """What is known to be missing: the number of events (``count``), and the reason."""
        return self._view(_GAPS)

    # Analyses

    def workers(self) -> Table:
        """The workers of the run.

        Returns
        -------
        Table
            ``busy`` is the seconds computed, ``utilization`` their share of the time of the
            worker's threads, ``nbytes`` the bytes of its results, and ``clock_offset`` the seconds
            by which its clock was behind the scheduler's.
        """
        return self._analysis("workers")["workers"]

    def jobs(self) -> Table:
        """The jobs within the run: named ones, what each client submitted, spans of Dask.

        Returns
        -------
        Table
            ``kind`` is ``job``, ``client`` or ``span``; ``seconds`` the time from the first
            transition of its tasks to the last one other than a release, ``compute`` the seconds
            that they computed.
        """
        return self._analysis("jobs")["jobs"]

    def errors(self) -> Errors:
        """What failed and why.

        Returns
        -------
        Errors
            A table of the tasks that failed themselves, with ``causes``, ``affected`` and
            ``at_workers``.
        """
        report = self._analysis("errors")
        errors = Errors(*report["errors"]._arguments())
        for name in ("causes", "affected", "at_workers"):
            setattr(errors, name, report[name])
        return errors

    def slowest(self, n: int = 10, *, action: str | None = None) -> Table:
        """The longest spans of work.

        Parameters
        ----------
        n
            The number of rows.
        action
            Only spans with this action: ``compute``, ``transfer``, ….

        Returns
        -------
        Table
            ``seconds`` is the length of a span.
        """
        if action is not None:
            _check_text("action", action)
        limit = _seq(n, "n", "of rows", "a number")
        return self._analysis("slowest", limit=limit, action=action)["slowest"]

    def story(self, key: Any) -> Table:
        """All events about a task, or caused by a stimulus, in causal order.

        Parameters
        ----------
        key
            The key of a task, also as a tuple or a future, or the id of a stimulus.

        Returns
        -------
        Table
            ``elapsed`` is the seconds since the previous event.

        Raises
        ------
        LogError
            If there is no such key or stimulus.
        """
        from tasklog.reading.log import text_of

        return self._analysis("story", key=text_of(key))["story"]

    def critical_path(self) -> Table:
        """The chain of tasks and waits that determined the length of the run.

        Returns
        -------
        Table
            ``seconds`` is the length of a phase, ``share`` its share of the run.
        """
        return self._analysis("critical-path")["critical_path"]

    def advice(self) -> Table:
        """What is worth knowing about the run, the most costly first.

        Returns
        -------
        Table
            ``seconds`` and ``bytes`` are what it cost, ``certainty`` says how sure it is, and
            ``evidence`` is a command that shows it, after ``tasklog``.
        """
        return self._analysis("advice")["advice"]

    def sizing(self) -> Report:
        """What the tasks needed, which workers would have held the run, and what it cost.

        Returns
        -------
        Report
            The tables ``prefixes``, ``workers`` and ``hours``. ``memory_low`` and ``memory_high``
            are the range in bytes in which the peak of a task, or of a worker's process, is
            expected; an end that is not known has no value. ``hours`` is the time of threads.
        """
        return self._analysis("sizing")

    def explain(self, key: Any) -> Report:
        """What happened to a task and why, in sentences.

        Parameters
        ----------
        key
            The key of a task, also as a tuple or a future.

        Returns
        -------
        Report
            The tables ``sentences`` and ``candidates``, the workers that were considered.
            ``attempt`` counts from 1 each time that the task was sent to a worker, and
            ``evidence`` is a JSON list with the ``seq`` of the events that show it. ``occupancy``
            and ``start_in`` are seconds, ``fetch_bytes`` what the worker would have to fetch.

        Raises
        ------
        LogError
            If there is no such task.
        """
        from tasklog.reading.log import text_of

        return self._analysis("explain", key=text_of(key))

    def stuck(self, at: int | datetime.datetime | None = None) -> Table:
        """What the unfinished tasks wait for in the end.

        Parameters
        ----------
        at
            A time, or the ``seq`` of an event, after which it is; by default the end of the log.

        Returns
        -------
        Table
            One row for each cause. ``tasks`` is the number of tasks with this cause, ``waiting``
            the number of tasks that wait for them, ``wanted`` the number of those that a client
            waits for, ``chain`` a JSON list with the keys from there to the cause, and
            ``evidence`` one with the ``seq`` of events.
        """
        return self._analysis("stuck", **({} if at is None else self._moment(at)))["causes"]

    def summary(self) -> Report:
        """How much the run did.

        Returns
        -------
        Report
            The tables ``prefixes``, ``states`` (seconds in each state) and ``workers``.
        """
        return self._analysis("summary")

    def state(self, at: int | datetime.datetime) -> Report:
        """The state of tasks and workers at a point in time.

        Parameters
        ----------
        at
            A time, or the ``seq`` of an event, after which it is.

        Returns
        -------
        Report
            The tables ``tasks``, and ``states`` with the number of tasks in each.
        """
        return self._analysis("state", **self._moment(at))

    def compare(self, other: str | int | Run) -> Report:
        """This run next to another one.

        Parameters
        ----------
        other
            The other run, also one of another log; or its name in this log, as for `Log.run`.

        Returns
        -------
        Report
            The tables ``prefixes``, ``states`` (seconds in each state), ``first_difference``,
            the first event of the schedulers that differs, and ``measures``: figures of the whole
            run. Columns that end in 1, and ``baseline``, are of this run.
        """
        two = (other if isinstance(other, Run) else self.log.run(other)).info
        arguments = [self.id, two.id, "--log2", two.path]
        rows = command.compared(self.info.path, arguments)
        return Report("compare", {name: self._rows("compare", name, rows[name]) for name in rows})

    # SQL

    def sql(self, sql: str, *, timeout: float | None = None, **parameters: Any) -> Table:
        """The result of a SELECT over this run; see `Log.sql`."""
        return self.log._sql(sql, [self.id], timeout, parameters)

    # Replay

    def replay(self, plugin: Any, /, **options: Any) -> Any:
        """Replay the run through a plugin of Dask.

        It runs in a child process, as the clock of a replay stands in for `time.time`, and
        what it prints is dropped. A scheduler, worker or task that the plugin keeps does not come
        back: a `RebuiltObject` stands for it.

        Parameters
        ----------
        plugin
            The class of a ``SchedulerPlugin`` or ``WorkerPlugin``, or a function that makes one.
        **options
            What it is called with, as JSON has it: numbers, text, lists, dictionaries.

        Returns
        -------
        object
            The plugin as it is after the run; of a ``WorkerPlugin`` a dictionary with one for each
            worker, by its address.

        Raises
        ------
        LogError
            If the plugin fails, or cannot be pickled.
        """
        from tasklog.reading.replaying import replay

        return replay(self.info.path, self.id, plugin, options)

    def state_at(self, seq: int) -> RebuiltScheduler:
        """Rebuild Dask's scheduler as it was after an event.

        It lives in a child process: attributes are read from there when they are looked at.

        Parameters
        ----------
        seq
            The number of an event, as in the column ``seq`` of `transitions`.

        Returns
        -------
        RebuiltScheduler
            To be used as a ``distributed.Scheduler`` that is only looked at; also a context
            manager.

        Raises
        ------
        LogError
            If it cannot be rebuilt.
        """
        from tasklog.reading.replaying import state_at

        seq = _seq(seq, "seq", "as in the column seq of transitions()")
        ((first, last),) = self._view("SELECT first_seq, last_seq FROM run WHERE id = {number}")
        if first is None or not first <= seq <= last:
            events = "no events" if first is None else f"the events {first} to {last}"
            raise LogError(f"{self.info.log}: run #{self.number} has {events}, and not {seq}")
        return state_at(self.info.path, self.id, seq)

    # Files

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write the report page of the run, an HTML file without links to other files.

        Parameters
        ----------
        path
            The file to write.
        """
        self._command("report", f"--output={os.fspath(path)}")

    def show(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        height: int = 720,
        largest: int = 8 << 20,
    ) -> None:
        """Show the report page of the run within a notebook, in a frame without access to it.

        Elsewhere the page is written to a file, whose path is printed.

        Parameters
        ----------
        path
            Where the page is also written.
        height
            The height of the frame in pixels.
        largest
            The size in bytes above which the page is only written, and its path shown.
        """
        from tasklog.notebook.page import show

        show(self, path, height=height, largest=largest)

    def export(self, kind: str, path: str | os.PathLike[str]) -> None:
        """Write the run for another tool.

        Parameters
        ----------
        kind
            ``perfetto``, ``csv`` or another format of ``tasklog export``.
        path
            The file or folder to write.
        """
        self._command("export", f"--to={kind}", f"--output={os.fspath(path)}")

    def anonymize(self, path: str | os.PathLike[str], *, keep: Sequence[str] = ()) -> None:
        """Write a copy of the run that can be given to others: a log with pseudonyms for names.

        Parameters
        ----------
        path
            The log to write, which must not exist.
        keep
            Names that stay: ``keys``, ``exceptions``.
        """
        kept = (f"--keep={','.join(keep)}",) if keep else ()
        self._command("anonymize", f"--output={os.fspath(path)}", *kept)

    # Internals

    def _view(self, sql: str, parameters: dict[str, Any] | None = None) -> Table:
        number = self.info.number_in_part
        filled = sql.replace("{run}", self.id).replace("{number}", str(number))
        filled = filled.replace("{tasks}", self.log._reader.tasks(number))
        return self.log._table(
            {
                "sql": filled,
                "parameters": parameters or {},
                "part": self.info.part,
                "types": columns.of_view(sql),
            }
        )

    def _command(self, name: str, *arguments: str) -> str:
        return command.run(name, *arguments, "--log", self.info.path, "--run", self.id)

    @staticmethod
    def _moment(at: int | datetime.datetime) -> dict[str, Any]:
        if isinstance(at, datetime.datetime):
            return {"time": at}
        return {"seq": _seq(at, "at", "or a datetime.datetime")}

    def _analysis(self, name: str, **asked: Any) -> Report:
        found = self.log._reader.analysis(name, self.info, asked)
        tables = {table: self._rows(name, table, rows) for table, rows in found.items()}
        return Report(name, tables)

    def _rows(self, name: str, table: str, rows: str) -> Table:
        """A table of a command's answer."""
        names = command.TABLES[name][table]
        selected = ", ".join(
            ":run AS run"
            if column == "run"
            # An object stays JSON; the JSON of nothing is a text.
            else "nullif(value -> '$.args', 'null') AS args"
            if column == "args"
            else f"value ->> '$.{column}' AS \"{column}\""
            for column in names
        )
        return self.log._table(
            {
                "sql": f"SELECT {selected} FROM json_each(:rows)",
                # An id is what a file says.
                "parameters": {"rows": rows, **({"run": self.id} if "run" in names else {})},
                "part": self.info.part,
                "types": columns.of_analysis(names),
            }
        )
