"""The hooks of the recorder: what Dask calls, and how it gets into the spool."""

from __future__ import annotations

import collections
import logging
import time
from collections.abc import Callable
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin

from tasklog import facts
from tasklog.encoding import HOOKS, STATES, TRANSITION, Encoder, Shared
from tasklog.library import REFUSED, NativeRecorder
from tasklog.stealing import Loads

logger = logging.getLogger("tasklog")


class LastTransition(collections.deque[Any]):
    """A log of transitions of length 0 (``distributed.admin.low-level-log-length``), which still
    tells of the last one."""

    last = None

    def append(self, transition: Any) -> None:
        self.last = transition


class Hooks(SchedulerPlugin):
    """What is known of a recording that goes on is set by `Recorder`."""

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
        """Puts an event into the spool; it is there when this returns."""
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
        """The fields of an event that holds more than the fast way knows."""
        encoder, (args, snapshot) = self._encoder, fields[8:]
        key = None if fields[2] is None else encoder.key(fields[2])
        if args is not None:
            positional, named = args
            args = [[encoder.value(value) for value in positional], encoder.named(named)]
        if snapshot is not None:
            snapshot = [encoder.value(snapshot[0])]
        return [*fields[:2], key, *fields[3:8], args, snapshot]

    def _fail(self, what: str, error: Exception) -> None:
        """An error of our own: counted, told once, a gap in the log; never Dask's problem."""
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
        """Where there is a library for it, this is done in C as long as nothing is unusual: see
        `Scheduler` in ``_scheduler.h``."""
        if self._native is None:
            return
        try:
            scheduler = self._scheduler
            if len(scheduler.workers) != self._seen.workers:
                self._notice_departed(expected=False)
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
                self._tell_limits(ts, finish)
            log = scheduler.transition_log
            worker = run = told = None
            if finish == "processing":
                worker, run = ts.processing_on.address, ts.run_id
            if kwargs:
                worker = kwargs.get("worker")
            last = log[-1] if log else getattr(log, "last", None)
            if last is not None:
                at, recommendations = last.timestamp, last.recommendations
                if recommendations:
                    if len(recommendations) == 1 and key in recommendations:
                        told = {"recommends": recommendations[key]}
                    else:
                        told = {"recommendations": recommendations}
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
                told = self._rare_facts(ts, finish, counter, told)
            if finish == "erred":
                told = self._failure_facts(ts, kwargs, told)
            self._seen.counter = counter
            fields = [
                at, TRANSITION, key, STATES.get(start, start), STATES.get(finish, finish),
                stimulus_id, worker, run,
                [list(args), kwargs] if kwargs or args else None,
                [{"task": told}] if told else None,
            ]  # fmt: skip
            self._write(fields)
        except Exception as error:
            self._fail("transition", error)

    def _rare_facts(
        self, ts: Any, finish: str, counter: int, told: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        """What is at its default for nearly every transition."""
        told = {} if told is None else told
        if counter != self._seen.counter + 1:
            told["counter"] = counter
        if ts.suspicious:
            told["suspicious"] = ts.suspicious
        if ts.annotations and "retries" in ts.annotations:
            told["retries"] = ts.retries
        if self._has_queueable and not ts._queueable:
            told["queueable"] = False
        if finish == "forgotten":
            # A plugin sees them in the order of a copy of the set; which they are is known.
            for name in ("dependencies", "dependents"):
                tasks = getattr(ts, name)
                if len(tasks) > 1:
                    told[name] = facts.order(facts.keys(tasks))
            self._known.discard(ts.key)
            self._encoder.forget(ts.key)
            # A group that comes again is a new one.
            self._spans.pop(ts.group.name, None)
        return told

    def _failure_facts(
        self, ts: Any, kwargs: dict[str, Any], told: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        """Whom a failed task blames, and the text of an exception that Dask has made, where the
        args do not have them."""
        told = {} if told is None else told
        blamed = ts.exception_blame
        if blamed is not None and kwargs.get("cause") is None:
            told["blame"] = blamed.key
        if blamed is ts and kwargs.get("exception_text") is None:
            text = ts.exception_text or facts.exception_text(ts.exception)
            if text:
                told["exceptionText"] = self._encoder.argument("exception_text", text)
        return told

    def _announce(self, ts: Any) -> None:
        """A task that came without a graph: scattered data, or a client's wish for lost data."""
        self._known.add(ts.key)
        self._keep_limits(ts)
        self._tell_computation()
        snapshot = {"graph": [facts.present_task(ts)]}
        self._emit("stimulus", {"op": "update-data"}, key=ts.key, snapshot=snapshot)

    def _keep_limits(self, ts: Any) -> None:
        """What limits a task is told with it; see `_tell_limits`."""
        limits = facts.limits(ts)
        if limits is not None:
            self._limits[ts.key] = limits

    def _tell_limits(self, ts: Any, finish: str) -> None:
        """Tells what a plugin has changed by itself in a task since it was told."""
        before, now = self._limits.get(ts.key), facts.limits(ts)
        if facts.are_other_limits(before, now):
            self._emit("stimulus", facts.restrictions(ts), key=ts.key)
        if now is None or finish == "forgotten":
            self._limits.pop(ts.key, None)
        else:
            self._limits[ts.key] = now

    def _tell_computation(self) -> None:
        """A computation that tasks from here on are counted to."""
        computations = getattr(self._scheduler, "computations", None)
        if computations and computations[-1] is not self._computation:
            self._computation = computation = computations[-1]
            args = {"op": "computation", "id": str(computation.id), "start": computation.start}
            self._emit("stimulus", args)

    def _notice_departed(self, expected: bool, stimulus: str | None = None) -> None:
        """A worker goes before its tasks do, and the hook for it comes last."""
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
            self._tell_computation()
            # Always a `defaultdict(dict)`; as a plain one everybody can read it.
            plain = {name: dict(values) for name, values in annotations.items()}
            args = dict(
                client=client, tasks=tasks, keys=keys, annotations=plain, priority=priority,
                **kwargs,
            )  # fmt: skip
            put = self._seen.graph
            for key in tasks:
                self._keep_limits(scheduler.tasks[key])
            if put is not None and put(time.time(), stimulus_id, args, tasks, priority):
                return
            args["annotations"] = Shared(plain, 2)
            graph = [self._graph_task(scheduler.tasks[key], priority.get(key)) for key in tasks]
        except Exception as error:
            return self._fail("updateGraph", error)
        self._emit("updateGraph", args, stimulus=stimulus_id, snapshot={"graph": graph})

    def _graph_task(self, ts: Any, priority: Any) -> dict[str, Any]:
        """The facts of a task of a graph, but for what stands in the args: the key, in `tasks` at
        the same place, and the priority, when it is that in `priority`."""
        span = ts.group.span_id
        is_new = span is not None and self._spans.get(ts.group.name) != span
        if is_new:
            self._spans[ts.group.name] = span
        described = facts.graph_task(ts, is_new)
        if ts.key in self._known:
            # Its state is known, too.
            described.pop("state", None)
            described["known"] = True
        else:
            self._known.add(ts.key)
            if ts.state != "released" or ts.nbytes >= 0:
                described = dict(facts.present_task(ts), **described)
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
            described = facts.worker(scheduler.workers[worker])
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
                self._notice_departed(bool(msg.get("expected")), msg.get("stimulus_id"))
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
                    self._loads.note(msg)
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
