"""The hooks of the recorder that Dask calls, and how their events are stored in the spool."""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Callable
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin

from tasklog import snapshots
from tasklog.encoding import HOOKS, STATES, TRANSITION, Encoder, Shared
from tasklog.library import REFUSED, NativeRecorder
from tasklog.observing import submitting_task
from tasklog.stealing import Loads

logger = logging.getLogger("tasklog")


class LastTransition(collections.deque[Any]):
    """A log of transitions of length 0 that still has the last one.

    The length is ``distributed.admin.low-level-log-length``.
    """

    last = None

    def append(self, transition: Any) -> None:
        self.last = transition


def _code(frames: Any) -> list[Any]:
    """The frames of a client's code, each its text and where it is."""
    return [list(frame) if isinstance(frame, tuple) else frame for frame in frames]


class Hooks(SchedulerPlugin):
    """The hooks of `Recorder`, which sets these attributes when a recording begins."""

    _native: NativeRecorder | None
    _scheduler: Any
    _encoder: Encoder
    _loads: Loads | None
    #: The methods of the library, and what they are called with.
    _put: Callable[..., int]
    _put_event: Callable[..., int] | None
    _pack: Callable[[Any], bytes]
    _handle: int
    _source: int
    _longest: int
    #: A `SimpleNamespace`, or the `Scheduler` of ``_native``.
    _seen: Any
    _known: set[Any]
    _limits: dict[Any, tuple[Any, ...]]
    _spans: dict[str, Any]
    _addresses: set[str]
    _computation: Any
    _has_queueable: bool
    _errors: int
    _refused: bool
    _undo: list[Callable[[], None]]

    # Writing

    def _emit(
        self,
        hook: str,
        args: dict[str, Any] | None = None,
        key: Any = None,
        stimulus: str | None = None,
        worker: str | None = None,
        run: int | None = None,
        snapshot: Any = None,
    ) -> None:
        """Records a call of a hook, or a mark."""
        if self._native is None:
            return
        try:
            mark = self._seen.mark
            if mark is not None and args is not None and run is None and snapshot is None:
                if mark(HOOKS.get(hook, hook), time.time(), key, stimulus, worker, args):
                    return
            fields = [
                time.time(), HOOKS.get(hook, hook), key, None, None, stimulus, worker, run,
                None if args is None else [[], args],
                None if snapshot is None else [snapshot],
            ]  # fmt: skip
            self._write(fields)
        except Exception as error:
            self._fail(hook, error)

    def _write(self, fields: list[Any]) -> None:
        """Stores an event in the spool; it is durable when this returns."""
        if self._put_event is not None:
            patterns = self._encoder.patterns
            answer = self._put_event(self._handle, self._source, fields, self._longest, patterns)
            if answer > 0:
                return
            if answer != REFUSED:
                return self._refuse()
        try:
            body = self._pack(self._prepared(fields))
        finally:
            self._encoder.end_event()
        if self._put(self._handle, self._source, body, len(body)) < 0:
            self._refuse()

    def _prepared(self, fields: list[Any]) -> list[Any]:
        """The fields of an event that the fast way cannot encode."""
        encoder, (args, snapshot) = self._encoder, fields[8:]
        key = None if fields[2] is None else encoder.key(fields[2])
        if args is not None:
            positional, named = args
            args = [[encoder.value(value) for value in positional], encoder.named(named)]
        if snapshot is not None:
            snapshot = [encoder.value(snapshot[0])]
        return [*fields[:2], key, *fields[3:8], args, snapshot]

    def _fail(self, what: str, error: Exception) -> None:
        """Counts an error of the recorder as a gap, and logs the first; Dask never sees it."""
        self._errors += 1
        if self._errors == 1:
            logger.warning(
                "tasklog: events are missing and counted as gaps: %s in %s: %s",
                type(error).__name__,
                what,
                error,
            )
        if self._native is not None:
            reason = f"recorder error in {what}: {type(error).__name__}"
            self._native.gap(self._source, 1, reason)

    def _refuse(self) -> None:
        if not self._refused and self._native is not None:
            self._refused = True
            logger.warning("tasklog: events are not recorded: %s", self._native.last_error())

    # The hook that counts

    def _keep_last_transition(self, scheduler: Any) -> None:
        log = scheduler.transition_log
        if log.maxlen == 0:
            scheduler.transition_log = LastTransition(maxlen=0)
            self._undo.append(lambda: setattr(scheduler, "transition_log", log))

    def transition(
        self, key: Any, start: str, finish: str, *args: Any, stimulus_id: str, **kwargs: Any
    ) -> None:
        """Records a transition.

        With the library, C code does this unless something is unusual: see `Scheduler` in
        ``_scheduler.h``.
        """
        if self._native is None:
            return
        try:
            scheduler = self._scheduler
            if len(scheduler.workers) != self._seen.workers:
                self._record_departed(expected=False)
            ts = scheduler.tasks[key]
            if key not in self._known:
                self._announce(ts)
            if (
                ts.annotations
                or ts.worker_restrictions
                or ts.host_restrictions
                or ts.resource_restrictions
                or key in self._limits
            ):
                self._record_limits(ts, finish)
            log = scheduler.transition_log
            worker = run = state = None
            if finish == "processing":
                worker, run = ts.processing_on.address, ts.run_id
            if kwargs:
                worker = kwargs.get("worker")
            last = log[-1] if log else getattr(log, "last", None)
            if last is not None:
                at, recommendations = last.timestamp, last.recommendations
                if recommendations:
                    if len(recommendations) == 1 and key in recommendations:
                        state = {"recommends": recommendations[key]}
                    else:
                        state = {"recommendations": recommendations}
            else:
                at = time.time()
            counter = scheduler.transition_counter
            if (
                counter != self._seen.counter + 1
                or ts.suspicious
                or ts.annotations
                or finish == "forgotten"
                or (self._has_queueable and not ts._queueable)
            ):
                state = self._rare_state(ts, finish, counter, state)
            if finish == "erred":
                state = self._failure_state(ts, kwargs, state)
            self._seen.counter = counter
            fields = [
                at, TRANSITION, key, STATES.get(start, start), STATES.get(finish, finish),
                stimulus_id, worker, run,
                [list(args), kwargs] if kwargs or args else None,
                [{"task": state}] if state else None,
            ]  # fmt: skip
            self._write(fields)
        except Exception as error:
            self._fail("transition", error)

    def _rare_state(
        self, ts: Any, finish: str, counter: int, state: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        """Adds what has its default for nearly every transition."""
        state = {} if state is None else state
        if counter != self._seen.counter + 1:
            state["counter"] = counter
        if ts.suspicious:
            state["suspicious"] = ts.suspicious
        if ts.annotations and "retries" in ts.annotations:
            state["retries"] = ts.retries
        if self._has_queueable and not ts._queueable:
            state["queueable"] = False
        if finish == "forgotten":
            # Plugins see them in the order of a copy of the set, which only its order determines.
            for name in ("dependencies", "dependents"):
                tasks = getattr(ts, name)
                if len(tasks) > 1:
                    state[name] = snapshots.order(snapshots.keys(tasks))
            self._known.discard(ts.key)
            self._encoder.forget(ts.key)
            # A later group of this name is a new one.
            self._spans.pop(ts.group.name, None)
        return state

    def _failure_state(
        self, ts: Any, kwargs: dict[str, Any], state: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        """Adds the blamed task and the text of an exception, if the args lack them."""
        state = {} if state is None else state
        blamed = ts.exception_blame
        if blamed is not None and kwargs.get("cause") is None:
            state["blame"] = blamed.key
        if blamed is ts and kwargs.get("exception_text") is None:
            text = ts.exception_text or snapshots.exception_text(ts.exception)
            if text:
                state["exceptionText"] = self._encoder.argument("exception_text", text)
        return state

    def _announce(self, ts: Any) -> None:
        """Records a task without a graph: scattered data, or lost data that a client wants."""
        self._known.add(ts.key)
        self._remember_limits(ts)
        self._record_computation()
        snapshot = {"graph": [snapshots.present_task(ts)]}
        self._emit("stimulus", {"op": "update-data"}, key=ts.key, snapshot=snapshot)

    def _remember_limits(self, ts: Any) -> None:
        """Remembers the limits of a task that were recorded with it; see `_record_limits`."""
        limits = snapshots.limits(ts)
        if limits is not None:
            self._limits[ts.key] = limits

    def _record_limits(self, ts: Any, finish: str) -> None:
        """Records the limits of a task that a plugin has changed since they were recorded."""
        before, now = self._limits.get(ts.key), snapshots.limits(ts)
        if snapshots.have_limits_changed(before, now):
            self._emit("stimulus", snapshots.restrictions(ts), key=ts.key)
        if now is None or finish == "forgotten":
            self._limits.pop(ts.key, None)
        else:
            self._limits[ts.key] = now

    def _record_computation(self) -> None:
        """Records the current computation, if it is a new one."""
        computations = getattr(self._scheduler, "computations", None)
        if computations and computations[-1] is not self._computation:
            self._computation = computation = computations[-1]
            args = {"op": "computation", "id": str(computation.id), "start": computation.start}
            if getattr(computation, "code", None) and not self._encoder.patterns:
                # Dask keeps it if `distributed.diagnostics.computations.nframes` is set. It may
                # have what is redacted elsewhere.
                args["code"] = [_code(frames) for frames in computation.code]
            self._emit("stimulus", args)

    def _record_departed(self, expected: bool, stimulus: str | None = None) -> None:
        """Records workers that have left: before their tasks leave them, and before the hook."""
        present = set(self._scheduler.workers)
        for address in self._addresses - present:
            self._emit(
                "stimulus",
                {"op": "remove-worker", "expected": expected},
                stimulus=stimulus,
                worker=address,
            )
        self._addresses, self._seen.workers = present, len(present)

    # The other hooks

    async def before_close(self) -> None:
        self._emit("beforeClose")

    async def close(self) -> None:
        self._emit("close")

    def update_graph(
        self,
        scheduler: Any,
        *,
        client: str,
        keys: Any,
        tasks: Any,
        annotations: Any,
        priority: Any,
        stimulus_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        if self._native is None:
            return
        try:
            self._record_computation()
            # Always a `defaultdict(dict)`; a plain one is readable everywhere.
            plain = {name: dict(values) for name, values in annotations.items()}
            args = dict(
                client=client, tasks=tasks, keys=keys, annotations=plain, priority=priority,
                **kwargs,
            )  # fmt: skip
            put = self._seen.graph
            for key in tasks:
                self._remember_limits(scheduler.tasks[key])
            submitter = submitting_task.get()
            if submitter is not None:
                # A reader expects it just before the graph.
                self._emit("submission", {"client": client}, key=submitter, stimulus=stimulus_id)
            if put is not None and put(time.time(), stimulus_id, args, tasks, priority):
                return
            args["annotations"] = Shared(plain, 2)
            graph = [self._graph_task(scheduler.tasks[key], priority.get(key)) for key in tasks]
        except Exception as error:
            return self._fail("updateGraph", error)
        self._emit("updateGraph", args, stimulus=stimulus_id, snapshot={"graph": graph})

    def _graph_task(self, ts: Any, priority: Any) -> dict[str, Any]:
        """The snapshot of a task of a graph, without what the args have.

        These are the key, at the same index of `tasks`, and the priority, if it is that in
        `priority`.
        """
        span = ts.group.span_id
        is_new = span is not None and self._spans.get(ts.group.name) != span
        if is_new:
            self._spans[ts.group.name] = span
        described = snapshots.graph_task(ts, is_new)
        if ts.key in self._known:
            # Its state is known as well.
            described.pop("state", None)
            described["known"] = True
        else:
            self._known.add(ts.key)
            if ts.state != "released" or ts.nbytes >= 0:
                described = dict(snapshots.present_task(ts), **described)
        del described["key"]
        if ts.priority is not None and ts.priority is priority:
            del described["priority"]
        return described

    def restart(self, scheduler: Any) -> None:
        self._spans.clear()
        self._emit("restart")

    def add_worker(self, scheduler: Any, worker: str) -> None:
        if self._native is None:
            return
        try:
            self._addresses = set(scheduler.workers)
            self._seen.workers = len(self._addresses)
            described = snapshots.worker(scheduler.workers[worker])
        except Exception as error:
            return self._fail("addWorker", error)
        self._emit("addWorker", worker=worker, snapshot={"worker": described})

    def remove_worker(
        self, scheduler: Any, worker: str, *, stimulus_id: str | None = None, **kwargs: Any
    ) -> None:
        self._emit("removeWorker", kwargs or None, stimulus=stimulus_id, worker=worker)

    def add_client(self, scheduler: Any, client: str) -> None:
        if self._native is None:
            return
        state = scheduler.clients.get(client)
        snapshot = None
        if state is not None:
            about = {"versions": state.versions, "lastSeen": state.last_seen}
            snapshot = {"client": about}
        self._emit("addClient", {"client": client}, snapshot=snapshot)

    def remove_client(self, scheduler: Any, client: str) -> None:
        self._emit("removeClient", {"client": client})

    def valid_workers_downscaling(self, scheduler: Any, workers: list[Any]) -> list[Any]:
        try:
            addresses = [ws.address for ws in workers]
        except Exception as error:
            self._fail("validWorkersDownscaling", error)
            return workers
        self._emit("validWorkersDownscaling", {"workers": addresses})
        return workers

    def log_event(self, topic: str, msg: Any) -> None:
        if self._native is None:
            return
        key = run = snapshot = None
        try:
            action = msg.get("action") if isinstance(msg, dict) else None
            if action == "remove-worker":
                self._record_departed(bool(msg.get("expected")), msg.get("stimulus_id"))
                if not msg.get("expected"):
                    snapshot = {"suspicious": self._suspicious(msg.get("processing-tasks") or ())}
            elif action == "worker-status-change" and topic in self._addresses:
                self._emit(
                    "stimulus",
                    {"op": "worker-status-change", "status": msg.get("status")},
                    worker=topic,
                )
            elif topic == "stealing":
                if self._loads is not None:
                    self._loads.before_log(msg)
                if isinstance(msg, tuple) and msg[:1] == ("confirm",):
                    ts = self._scheduler.tasks.get(msg[1])
                    if ts is not None:
                        key, run = ts.key, ts.run_id
        except Exception as error:
            self._fail("logEvent", error)
        self._emit(
            "logEvent", {"topic": topic, "message": msg}, key=key, run=run, snapshot=snapshot
        )

    def _suspicious(self, keys: Any) -> list[Any]:
        tasks = self._scheduler.tasks
        return [[k, tasks[k].suspicious] for k in keys if k in tasks]
