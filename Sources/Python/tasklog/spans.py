"""Records what Dask books on a worker's tasks outside of the state machine: transfers, disk reads.

A transfer is booked on one of the tasks that it was made for: the first one of a set, whether that
task is done or not. A disk read is booked when a task begins to run, without a call that could be
wrapped. No hook has them before the task is done.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

#: The method of a worker that books a transfer.
_BOOKS = "_update_metrics_received_data"


class Spans:
    """Collects the spans of one worker until they are recorded.

    fail:
        Called with an error of the recorder.
    """

    def __init__(self, worker: Any, fail: Callable[[str, Exception], None]) -> None:
        self._worker = worker
        self._fail = fail
        self._booked: list[dict[str, Any]] = []
        #: Tasks that are about to run, with their number of spans and their previous start.
        self._starting: list[tuple[Any, int, float | None]] = []
        self._wrapped: Callable[..., Any] | None = None
        try:
            self._wrap()
        except Exception:
            # Another version of Dask: transfers are recorded when their tasks are done.
            pass

    def _wrap(self) -> None:
        books = getattr(self._worker, _BOOKS)
        inspect.signature(books).parameters["cause"]

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            done = books(*args, **kwargs)
            try:
                cause = kwargs["cause"]
                span = cause.startstops[-1]
                if span["action"] == "transfer":
                    self._booked.append({"key": cause.key, **span})
            except Exception as error:
                self._fail("spans", error)
            return done

        self._wrapped = wrapped
        setattr(self._worker, _BOOKS, wrapped)

    def executes(self, ts: Any) -> None:
        """A task has gone to ``executing``, and is about to run."""
        self._starting.append((ts, len(ts.startstops), ts.start_time))

    def taken(self) -> list[dict[str, Any]]:
        """The spans that were booked since the last call."""
        if self._starting:
            self._look()
        booked, self._booked = self._booked, []
        return booked

    def _look(self) -> None:
        starting = []
        for entry in self._starting:
            ts, count, before = entry
            reads = [span for span in ts.startstops[count:] if span["action"] == "disk-read"]
            if reads:
                self._booked.append({"key": ts.key, **reads[0]})
            elif ts.start_time == before and ts.state in ("executing", "cancelled", "resumed"):
                starting.append(entry)
        self._starting = starting

    def release(self) -> None:
        """Restores the method of the worker, unless another function has replaced it since."""
        if self._wrapped is not None and vars(self._worker).get(_BOOKS) is self._wrapped:
            delattr(self._worker, _BOOKS)
        self._wrapped = None
        self._starting.clear()
