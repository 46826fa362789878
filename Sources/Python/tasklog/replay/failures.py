"""Failures of hooks: which of them the live run had, too.

The failures of the live run are in the recording as marks (`tasklog.failing`), each after the event
in which the hook failed. A failure waits for its mark until the plugins are called again; one in a
hook that may end later waits until the end.
"""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import Any

#: Hooks that are not called for an event, or that end after others have been called.
_LATE = {"start", "setup", "teardown", "add_worker", "remove_worker", "before_close", "close"}


@dataclass
class Failure:
    plugin: str
    worker: str | None
    seq: int | None
    hook: str
    event: str | None
    error: str
    traceback: str


class Failures:
    """The failures on one source.

    host:
        Gets the failures that only the replay has, and those that the live run had.
    """

    def __init__(self, host: Any) -> None:
        self._host = host
        self._pending: list[tuple[tuple[str, str, str], Failure, bool]] = []
        #: Of what so much was recorded that the rest was left out.
        self._usual: set[tuple[str, str, str]] = set()

    @property
    def is_waiting(self) -> bool:
        return bool(self._pending)

    def add(self, plugin: Any, failure: Failure, error: BaseException) -> None:
        about = (type(plugin).__name__, failure.hook, type(error).__name__)
        reason = _fails_everywhere(self._host, error)
        if about in self._usual or reason:
            self._host.fail_as_live(failure, reason)
        else:
            self._pending.append((about, failure, failure.hook in _LATE))

    def match(self, told: dict[str, Any]) -> None:
        """A mark: the hook failed live."""
        about = (told.get("plugin", ""), told["failed"], told.get("error", ""))
        self._host.seen_failing.add(about[0])
        if told.get("more"):
            self._usual.add(about)
        for number, (own, failure, _) in enumerate(self._pending):
            if own == about:
                del self._pending[number]
                self._host.fail_as_live(failure)
                return
        self._host.failed_live[about] += 1

    def settle(self, at_end: bool = False) -> None:
        """Ends the failures so far: no mark for them can follow."""
        settled = [entry for entry in self._pending if at_end or not entry[2]]
        self._pending = [] if at_end else [entry for entry in self._pending if entry[2]]
        for _, failure, _ in settled:
            self._host.fail(failure)


class LiveFailures:
    """Failures that the live run had, too, or only that: in words."""

    def __init__(self) -> None:
        self._both: dict[tuple[Any, ...], list[Any]] = {}

    def add(self, failure: Failure, reason: str | None) -> None:
        kind = failure.error.split(":")[0]
        entry = self._both.setdefault((failure.plugin, failure.hook, kind, reason), [0, failure])
        entry[0] += 1

    def notices(self) -> list[str]:
        shown = [
            _in_words(count, failure, reason)
            for (_, _, _, reason), (count, failure) in list(self._both.items())[:10]
        ]
        rest = sum(count for count, _ in list(self._both.values())[10:])
        return shown + ([f"plugins failed {rest} more times as they did live"] if rest else [])


def _in_words(count: int, failure: Failure, reason: str | None) -> str:
    owner = f"worker {failure.worker}" if failure.worker else "the scheduler"
    where = failure.event or failure.hook
    at = f" (seq {failure.seq})" if failure.seq is not None else ""
    live = "fails on a cluster, too" if reason else "failed live, too"
    often = "" if count == 1 else f"{count} times, first "
    end = f"; {reason}" if reason else ""
    place = f"{often}on {owner} in {where}{at}"
    return f"plugin '{failure.plugin}' {live}: {place}: {failure.error}{end}"


def unmatched(failed_live: collections.Counter[Any], names: dict[str, str]) -> list[str]:
    """What failed live and not in the replay, of the plugins that were replayed."""
    return [
        f"plugin '{names[plugin]}' failed live in {hook} with {error} and not in this replay"
        + ("" if count == 1 else f" ({count} times)")
        for (plugin, hook, error), count in failed_live.items()
        if plugin in names
    ]


def _fails_everywhere(host: Any, error: BaseException) -> str | None:
    """Why an error is not one of the replay alone: Dask does not have the attribute; else None."""
    owner = getattr(error, "obj", None)
    if not isinstance(error, AttributeError) or owner is None or host.is_forced or not host.is_dask:
        return None
    kind = next((k for k in type(owner).__mro__ if k.__module__ in _MODULES), None)
    if kind is None or kind.__name__ not in _LOOKED_AT:
        return None
    if error.name is None or _has(kind, error.name):
        return None
    import distributed

    return f"distributed {distributed.__version__} has no {kind.__name__}.{error.name}"


_MODULES = ("distributed.scheduler", "distributed.worker", "distributed.worker_state_machine")
_LOOKED_AT = {
    "Scheduler", "Worker", "WorkerState", "TaskState", "TaskGroup", "TaskPrefix", "ClientState",
}  # fmt: skip


def _has(kind: type, name: str) -> bool:
    """Whether objects of a class of Dask's have an attribute, as far as their class tells."""
    from tasklog.replay.fields import is_replayed

    if not is_replayed(kind.__name__, name) or name.startswith("_"):
        return True
    annotated = (k.__dict__.get("__annotations__", ()) for k in kind.__mro__)
    return hasattr(kind, name) or any(name in names for names in annotated)
