"""The summary of a run in one pass over its events, as ``SummaryScan`` makes it."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from tasklog.reading.pure.analyses.rows import Raw, rounded, time_text
from tasklog.reading.pure.analyses.run import RunRows


@dataclass
class _Prefix:
    tasks: int = 0
    done: int = 0
    failed: int = 0
    retried: int = 0
    nbytes: int = 0
    compute: float = 0.0
    #: The lengths of the stays in each state, by kind of source (0: scheduler) and state.
    durations: dict[tuple[int, int], list[int]] = field(default_factory=dict)


@dataclass
class _Key:
    prefix: int
    #: The state at the scheduler, and since when.
    stay: tuple[int, int] | None = None
    #: The worker that has it to do, and since when.
    given: tuple[int, int] | None = None
    nbytes: int = 0
    sent: int = 0
    is_seen: bool = False
    is_retried: bool = False
    is_done: bool = False
    has_failed: bool = False


@dataclass
class _Worker:
    busy: float = 0.0
    tasks: int = 0
    failed: int = 0
    nbytes: int = 0
    given: int = 0
    first_seen: int | None = None


@dataclass
class _Outcome:
    nbytes: int | None = None
    worker: Any = None
    compute: float = 0.0
    has_compute: bool = False


def _outcome(args: Any) -> _Outcome | None:
    """What args say about work; None without args."""
    if not isinstance(args, str):
        return None
    found = _Outcome()
    try:
        values = json.loads(args)
    except (ValueError, RecursionError):
        return found
    if not isinstance(values, dict):
        return found
    nbytes = values.get("nbytes")
    if isinstance(nbytes, int) and not isinstance(nbytes, bool) and abs(nbytes) < 2**63:
        found.nbytes = nbytes
    found.worker = values.get("worker")
    spans = values.get("startstops")
    if isinstance(spans, dict):
        spans = spans.get("$tuple")
    for span in spans if isinstance(spans, list) else ():
        if not isinstance(span, dict) or span.get("action") != "compute":
            continue
        start, stop = span.get("start"), span.get("stop")
        if _is_number(start) and _is_number(stop):
            found.compute += stop - start
            found.has_compute = True
    return found


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _order(text: str) -> str:
    """Texts in the order of Swift."""
    return unicodedata.normalize("NFC", text)


class Summary:
    """The figures of prefixes, states and workers."""

    def __init__(self, run: RunRows) -> None:
        self._run = run
        self._prefixes: dict[int, _Prefix] = {}
        self._keys: dict[int, _Key | None] = {}
        #: The stay of a task at a worker, by source and key.
        self._stays: dict[tuple[int, int], tuple[int, int]] = {}
        self._workers = [_Worker() for _ in run.lives.all]
        self._processing, self._memory, self._erred, self._forgotten = (
            run.text_id(name) for name in ("processing", "memory", "erred", "forgotten")
        )
        self._last_times: dict[int, int] = {}
        self._moves = run.moves()
        self._scan()

    # The pass

    def _scan(self) -> None:
        run = self._run
        transition = run.text_id("transition")
        known = ", ".join(map(str, run.schedulers)) or "NULL"
        columns = (
            "seq, time, hook, key, start, finish, worker, source_seq,"
            f" CASE WHEN hook = {transition} AND source IN ({known}) THEN args END"
        )
        moved = 0
        for (
            source, seq, time, hook, key, start, finish, worker, source_seq, args,
        ) in run.events(columns):  # fmt: skip
            time = run.clocks.time(time, source, source_seq)
            self._saw(source, time)
            while moved < len(self._moves) and self._moves[moved][0] < seq:
                self._move(*self._moves[moved])
                moved += 1
            if hook == transition and key:
                outcome = _outcome(args)
                self._transition(source, seq, time, key, start, finish, worker, outcome)

    def _saw(self, source: int, time: int) -> None:
        self._last_times[source] = time
        place = self._run.lives.place_of_source(source)
        if place is not None:
            seen = self._workers[place].first_seen
            self._workers[place].first_seen = time if seen is None else min(seen, time)

    def _key(self, key: int) -> _Key | None:
        if key not in self._keys:
            row = self._run.connection.execute(
                "SELECT coalesce(prefix, 0) FROM key WHERE id = ?", (key,)
            ).fetchone()
            self._keys[key] = _Key(row[0]) if row else None
        return self._keys[key]

    def _transition(
        self, source: int, seq: int, time: int, key: int, start: int | None, finish: int | None,
        worker: int | None, outcome: _Outcome | None,
    ) -> None:  # fmt: skip
        task = self._key(key)
        if task is None:
            return
        prefix = self._prefixes.setdefault(task.prefix, _Prefix())
        is_scheduler = source in self._run.schedulers
        if is_scheduler and not task.is_seen:
            task.is_seen = True
            prefix.tasks += 1
        at = None if outcome is None else self._run.lives.place(outcome.worker, seq)
        if outcome is not None and outcome.has_compute:
            prefix.compute += outcome.compute
            if at is not None:
                self._workers[at].busy += outcome.compute
        # The state did not change.
        if start == finish or not finish:
            return
        if is_scheduler:
            self._end(task.stay, prefix, 0, time)
            self._give(task, None, time)
            task.stay = finish, time
            self._at_scheduler(task, prefix, seq, time, start, worker, outcome, at)
        else:
            self._end(self._stays.pop((source, key), None), prefix, 1, time)
            if finish != self._forgotten:
                self._stays[source, key] = finish, time

    def _at_scheduler(
        self, task: _Key, prefix: _Prefix, seq: int, time: int, start: int | None,
        worker: int | None, outcome: _Outcome | None, at: int | None,
    ) -> None:  # fmt: skip
        assert task.stay is not None
        finish = task.stay[0]
        if finish == self._processing:
            task.sent += 1
            if task.sent > 1 and not task.is_retried:
                task.is_retried = True
                prefix.retried += 1
            self._give(task, self._run.lives.place(self._run.text(worker), seq), time)
        elif finish == self._memory:
            prefix.done += not task.is_done
            task.is_done = True
        elif finish == self._erred:
            prefix.failed += not task.has_failed
            task.has_failed = True
        if start != self._processing or finish not in (self._memory, self._erred):
            return
        nbytes = 0 if outcome is None or outcome.nbytes is None else outcome.nbytes
        if at is not None and finish == self._memory:
            self._workers[at].tasks += 1
            self._workers[at].nbytes += nbytes
        elif at is not None:
            self._workers[at].failed += 1
        # The size in the last outcome, of whatever kind it was.
        prefix.nbytes += nbytes - task.nbytes
        task.nbytes = nbytes

    def _give(self, task: _Key, worker: int | None, time: int) -> None:
        """Assigns a task to a worker, and removes it from the one before; to none at its end."""
        if task.given is not None:
            self._workers[task.given[0]].given += time - task.given[1]
        task.given = None if worker is None else (worker, time)

    def _move(self, seq: int, source: int, key: int, time: int, worker: str) -> None:
        task = self._key(key)
        if task is not None:
            self._give(task, self._run.lives.place(worker, seq), time)

    def _end(self, stay: tuple[int, int] | None, prefix: _Prefix, kind: int, time: int) -> None:
        if stay is not None:
            prefix.durations.setdefault((kind, stay[0]), []).append(time - stay[1])

    # Rows, without the run

    def prefixes(self) -> list[tuple[Any, ...]]:
        """The rows of ``prefixes``."""
        rows = [
            (
                self._run.text(number), each.tasks, each.done, each.failed, each.retried,
                each.nbytes, rounded(each.compute, 1e6),
            )
            for number, each in self._prefixes.items()
            if each.tasks
        ]  # fmt: skip
        return sorted(rows, key=lambda row: (row[0] or "").encode("utf-8", "replace"))

    def states(self) -> list[tuple[Any, ...]]:
        """The rows of ``states``."""
        rows = []
        for number, each in self._prefixes.items():
            for (kind, state), durations in each.durations.items():
                name = self._run.text(state) or ""
                if name == "forgotten":
                    continue
                ordered = sorted(durations)
                ranks = [ordered[(len(ordered) * part + 99) // 100 - 1] for part in (50, 95, 100)]
                rows.append((
                    self._run.text(number), ("scheduler", "worker")[kind], name, len(ordered),
                    sum(ordered) / 1e9, *(rank / 1e9 for rank in ranks),
                ))  # fmt: skip
        return sorted(rows, key=lambda row: (_order(row[0] or ""), row[1], _order(row[2])))

    def workers(self) -> list[tuple[Any, ...]]:
        """The rows of ``workers``, in the order in which they joined."""
        end = max(self._last_times.values(), default=0)
        rows = []
        for life, found in zip(self._run.lives.all, self._workers, strict=True):
            start = found.first_seen if life.joined is None else life.joined
            threads = max(1 if life.nthreads is None else life.nthreads, 1)
            share = occupancy = None
            present = None if start is None else (end if life.left is None else life.left) - start
            if present:
                share = found.busy * 1e9 / float(threads) / float(present)
                occupancy = float(found.given) / float(present)
            clock = self._run.clocks.last(life.source) or (None, None)
            row = (
                life.address, Raw(life.name), time_text(life.joined), time_text(life.left),
                life.nthreads, found.tasks, found.failed, found.nbytes,
                rounded(found.busy, 1e6), rounded(share, 1e4), rounded(occupancy, 1e2),
                life.number, *(None if each is None else each / 1e9 for each in clock),
            )  # fmt: skip
            rows.append((end + 1 if start is None else start, row))
        rows.sort(key=lambda each: (each[0], _order(str(each[1][0])), each[1][11]))
        return [row for _, row in rows]
