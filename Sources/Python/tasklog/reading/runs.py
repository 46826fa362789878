"""The runs of logs: selected, compared, sent through plugins."""

from __future__ import annotations

import concurrent.futures
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasklog.reading import columns, command
from tasklog.reading.errors import LogError
from tasklog.reading.run import Report, Run
from tasklog.reading.table import Table

if TYPE_CHECKING:
    from tasklog.reading.log import Log, RunInfo

#: True of every run.
_ALL = "id"

#: The columns of the tables about many runs; with another name here, as a run is named by its id.
_COLUMNS = {
    "measures": command.TABLES["compare"]["measures"],
    "runs": [
        "side", "id run", "job", "started", "end", "makespan", "work", "idle", "tasks", "failed",
        "log",
    ],
    "trend": [
        "id run", "run number", "job", "started", "measure", "class", "prefix", "value", "log",
    ],
    "groups": [
        "type", "frame", "runs", "tasks", "dependents", "first_id first_run", "last_id last_run",
        "exception", "key",
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Replayed:
    """What a replay of one run gave.

    Attributes
    ----------
    run
        The id of the run.
    plugin
        The plugin as it is after the run, as `Run.replay` returns it; None if that failed.
    error
        Why it failed; None if it did not.
    """

    run: str
    plugin: Any
    error: LogError | None


class Runs(Table):
    """A table of runs, which can be selected, compared, and sent through a plugin."""

    def __init__(
        self,
        log: Log,
        build: Callable[[list[RunInfo]], tuple[Any, ...]],
        expression: str | None = None,
    ) -> None:
        self._log = log
        self._build = build
        self._expression = expression
        self._infos = _selected(log, expression)
        super().__init__(*build(self._infos))

    def where(self, expression: str) -> Runs:
        """The runs of which an expression is true.

        Parameters
        ----------
        expression
            As for ``--runs``: ``label.pipeline=etl and started>-7d and not died last 20``. One that
            names ``job``, ``client`` or ``span`` selects the runs that have these; `compare`,
            `trend` and `errors` show the jobs.

        Returns
        -------
        Runs

        Raises
        ------
        LogError
            If the expression is wrong, or the runs are selected by another one already.
        """
        if self._expression is not None:
            raise LogError(
                f"these runs are those of '{self._expression}' already; join both conditions by "
                "'and' in one expression"
            )
        return Runs(self._log, self._build, expression)

    def compare(self, baseline: str) -> Report:
        """These runs compared with a baseline.

        Parameters
        ----------
        baseline
            An expression as for `where`; of its runs those that are compared are left out.

        Returns
        -------
        Report
            The tables ``measures`` and ``runs``. ``verdict`` is ``higher`` or ``lower`` for a
            difference that chance does not explain; ``p_corrected`` is the probability after Holm's
            correction; ``change`` is a part of the baseline's median.

        Raises
        ------
        LogError
            If there are no such runs.
        """
        rows = self._answer("compare", "--baseline", baseline)
        return Report("compare", {name: self._made(name, rows[name]) for name in rows})

    def trend(self, *measures: str) -> Table:
        """Numbers of each run, the oldest first.

        Parameters
        ----------
        *measures
            ``makespan``, ``p95(prefix=load)``, ``time(class=transfer)``, ….

        Returns
        -------
        Table
            Seconds, bytes or counts, by measure.
        """
        return self._made("trend", self._answer("trend", after=measures))

    def errors(self) -> Table:
        """The errors of all these runs, by type of exception and function.

        Returns
        -------
        Table
            ``runs`` is the number of runs with such an error; ``first_run`` and ``last_run`` are
            the ids of the first and the last of them.
        """
        return self._made("groups", self._answer("errors"))

    def replay(self, plugin: Any, /, **options: Any) -> list[Replayed]:
        """Replay each run through a plugin of Dask, several at once.

        Parameters
        ----------
        plugin, **options
            As for `Run.replay`.

        Returns
        -------
        list of Replayed
            In the order of the runs. A run whose replay failed has an ``error``.
        """

        def one(info: RunInfo) -> Replayed:
            try:
                return Replayed(info.id, Run(self._log, info).replay(plugin, **options), None)
            except LogError as error:
                return Replayed(info.id, None, error)

        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
        with concurrent.futures.ThreadPoolExecutor(workers) as executor:
            return list(executor.map(one, self._infos))

    def _answer(self, name: str, *arguments: str, after: tuple[str, ...] = ()) -> Any:
        logs = [f"--log={path}" for path in self._log._absolute]
        options = [*logs, f"--runs={self._expression or _ALL}", "--format=json", *arguments]
        return json.loads(command.run(name, *options, *(["--", *after] if after else [])) or "[]")

    def _made(self, table: str, rows: list[Any]) -> Table:
        fields = [column.split(" ") for column in _COLUMNS[table]]
        selected = ", ".join(f"value ->> '$.{field[0]}' AS \"{field[-1]}\"" for field in fields)
        return self._log._table(
            {
                "sql": f"SELECT {selected} FROM json_each(:rows)",
                "parameters": {"rows": json.dumps(rows)},
                "part": 0,
                "types": columns.of_analysis([field[-1] for field in fields]),
            }
        )


def _selected(log: Log, expression: str | None) -> list[RunInfo]:
    infos = log._infos()
    if expression is None:
        return infos
    if not isinstance(expression, str):
        raise TypeError(
            f"expression is {expression!r}, a {type(expression).__name__}; expected a text such as "
            "'closed last 20'"
        )
    if not expression:
        raise LogError("the expression is empty; write such as 'label.pipeline=etl and not died'")
    ids = log._reader.select(expression, infos, log._absolute)
    found = {info.id: info for info in infos}
    return [found[id] for id in ids if id in found]
