"""The state of a worker: Dask's own state machine, given the recorded stimuli.

A stimulus and the transitions that it set off are one group: it is complete with the next
stimulus, and is executed then. Plugins are called from within, as they were live, with each
transition that is also in the recording; what else comes, or does not come, is drift, and is set to
what the recording says.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import Any

from distributed.worker_state_machine import StateMachineEvent, TaskState

from tasklog.replay.events import Event
from tasklog.replay.worker import NeverStartedWorker, NotRecorded, type_of
from tasklog.replay.worker_choices import Choices, task_facts
from tasklog.worker import operation

_CLASSES = {operation(kind): kind for kind in StateMachineEvent._classes.values()}
#: What belongs to each state of a worker's task; see `WorkerState`.
_COLLECTIONS = {
    "waiting": "waiting",
    "ready": "ready",
    "constrained": "constrained",
    "executing": "executing",
    "long-running": "long_running",
    "flight": "in_flight_tasks",
    "missing": "missing_dep_flight",
}


class WorkerStateHost(Choices):
    """Applies the events of one worker.

    call:
        Calls the plugins with a transition.
    compare:
        Called with each report of a plugin, after the events before it.
    """

    def __init__(
        self,
        host: Any,
        facts: dict[str, Any],
        call: Callable[[Event], None],
        compare: Callable[[Event], None],
        only_forced: bool = False,
    ) -> None:
        self.host = host
        self.worker = NeverStartedWorker(host, facts, self)
        self.only_forced = only_forced
        self._call = call
        self._compare = compare
        self._stimulus: Event | None = None
        #: Whether the state machine has been given the stimulus, and whether all of its events are
        #: there: a run that is followed can pause within a group.
        self._is_begun = False
        self._is_complete = False
        self._expected: deque[Event] = deque()
        #: Transitions that were made before their events came, as a group can pause between the two
        #: halves of one through ``released``.
        self._ahead: deque[tuple[Any, ...]] = deque()
        #: Stand-ins for the values of the stimulus, by key.
        self._values: dict[Any, NotRecorded] = {}

    def take(self, event: Event) -> None:
        """The next event of the worker, but for `setup` and `teardown`."""
        if event.hook == "transition":
            if self.only_forced:
                self._force(event)
            elif self._ahead:
                self._compare_ahead(event)
            elif self._stimulus is None:
                self.host.drift["worker: a transition without its stimulus"] += 1
                self._force(event)
            else:
                self._size(event)
                self._expected.append(event)
            return
        self.complete()
        if event.hook == "attach":
            self._guarded(self._attach, event)
        elif event.hook == "stimulus":
            operation = event.kwargs["op"]
            if operation == "clock-offset":
                self.worker.scheduler_delay = event.kwargs["scheduler_delay"]
            elif operation == "set-resources":
                self._set_resources(event.kwargs["resources"])
            elif operation in _CLASSES and not self.only_forced:
                self._stimulus = event
            self._guarded(self._book_spans, event)

    def _set_resources(self, resources: dict[str, float]) -> None:
        """As `Worker.set_resources`."""
        state = self.worker.state
        for name, quantity in resources.items():
            used = state.total_resources.get(name, 0) - state.available_resources.get(name, 0)
            state.available_resources[name] = quantity - used
            state.total_resources[name] = quantity

    def complete(self, may_continue: bool = False) -> None:
        """Executes what has been gathered of a group.

        may_continue:
            Whether more of its transitions may come.
        """
        if self._stimulus is None:
            return
        self._is_complete = not may_continue
        self._guarded(self._execute, self._stimulus)
        self._compare_reports()
        if may_continue:
            return
        self._stimulus, self._is_begun = None, False
        self._values.clear()
        for _, start, finish in self._ahead:
            self.host.drift[f"worker: {start} to {finish} is not recorded"] += 1
        self._ahead.clear()
        while self._expected:
            event = self._expected.popleft()
            self.host.drift[f"worker: {event.start} to {event.finish} did not come"] += 1
            self._force(event)
            self._compare_reports()

    def take_report(self, event: Event) -> None:
        """What a plugin was live after the transitions so far."""
        if self._stimulus is None:
            self._compare(event)
        else:
            self._expected.append(event)

    def _compare_reports(self) -> None:
        while self._expected and self._expected[0].hook == "report":
            self._compare(self._expected.popleft())

    def _guarded(self, apply: Callable[[Event], None], event: Event) -> None:
        self.host.clock.now = event.time
        self.host.drives = True
        try:
            apply(event)
        except MemoryError:
            raise
        except Exception as error:
            what = f"{type(error).__name__} {error}"[:100]
            self.host.drift[f"worker: {event.hook} could not be applied: {what}"] += 1
        finally:
            self.host.drives = False

    def _execute(self, event: Event) -> None:
        state = self.worker.state
        try:
            if not self._is_begun:
                self._is_begun = True
                state.abandon()
                state.handle_stimulus(self._made(event))
            state.resume(self._is_complete)
        except MemoryError:
            raise
        except Exception:
            state.abandon()
            raise

    def _made(self, event: Event) -> StateMachineEvent:
        """The stimulus with stand-ins for the values that are not recorded."""
        kwargs = dict(event.kwargs)
        kind = _CLASSES[kwargs.pop("op")]
        keys = kwargs.pop("keys", None)
        fields: dict[str, Any] = {}
        for field in dataclasses.fields(kind):
            if field.name in kwargs:
                fields[field.name] = kwargs[field.name]
            elif field.name == "stimulus_id":
                fields["stimulus_id"] = event.stimulus
            elif field.name == "key":
                fields["key"] = event.key
            elif field.name == "run_id":
                fields["run_id"] = -1 if event.run is None else event.run
            elif field.name == "data":
                fields["data"] = self._values = {key: NotRecorded(0, None) for key in keys or ()}
            elif field.name == "value":
                fields["value"] = NotRecorded(kwargs.get("nbytes"), kwargs.get("type"))
            elif field.name == "keys":
                fields["keys"] = keys
            elif field.name == "run_spec":
                fields["run_spec"] = None
        if "type" in fields:
            fields["type"] = type_of(fields["type"])
        for expected in self._expected:
            self._size(expected)
        return kind(**fields)

    def _size(self, event: Event) -> None:
        """A value is as large as its transition to memory says."""
        value = self._values.get(event.key) if event.finish == "memory" else None
        if value is not None:
            facts = task_facts(event)
            value.nbytes, value.type_name = facts.get("nbytes"), facts.get("typeName")

    def has_transitioned(self, key: Any, start: str, finish: str) -> None:
        """The state machine has made a transition."""
        event = self._expected[0] if self._expected else None
        if event is not None and (event.key, event.start, event.finish) == (key, start, finish):
            self._expected.popleft()
            self._take_facts(event)
            self._call_plugins(event)
            self._compare_reports()
            return
        if event is None and not self._is_complete:
            self._ahead.append((key, start, finish))
            return
        self.host.drift[f"worker: {start} to {finish} is not recorded"] += 1

    def _compare_ahead(self, event: Event) -> None:
        """A transition that the state machine has made when its event had not come yet."""
        made = self._ahead.popleft()
        if made != (event.key, event.start, event.finish):
            self.host.drift["worker: another transition than the one that came early"] += 1
            self._ahead.clear()
            self._force(event)
            return
        self._take_facts(event)
        self._call_plugins(event)

    def _call_plugins(self, event: Event) -> None:
        host = self.host
        drives, host.drives = host.drives, False
        before, host.clock.now = host.clock.now, event.time
        try:
            if event.is_selected:
                self._call(event)
        finally:
            host.drives = drives
            host.clock.now = before

    # What is recorded of a task

    def _book_spans(self, event: Event) -> None:
        """What Dask has booked on tasks before a stimulus: transfers, on one of the tasks that each
        was made for, whether that is done or not, and disk reads."""
        for booked in (event.snapshot or {}).get("spans", ()):
            span = dict(booked)
            ts = self.worker.state.tasks.get(span.pop("key"))
            if ts is not None:
                ts.startstops.append(span)

    def _take_facts(self, event: Event) -> None:
        """Sets what a value has and a worker measures outside of the state machine."""
        state = self.worker.state
        ts = state.tasks.get(event.key)
        facts = task_facts(event)
        if ts is None or not facts:
            return
        if event.finish == "memory":
            nbytes = facts.get("nbytes")
            if nbytes is not None and ts.nbytes != nbytes:
                self.host.drift["worker: other nbytes"] += 1
                state.nbytes += nbytes - (ts.nbytes or 0)
                ts.nbytes = nbytes
            ts.type = type_of(facts.get("typeName"))
        if event.finish in ("memory", "error") or "startStops" in facts:
            ts.startstops[:] = facts.get("startStops", [])
        if facts.get("state", event.finish) != ts.state:
            self.host.drift[f"worker: {ts.state} after {event.start} to {event.finish}"] += 1
            self._put_into(ts, facts.get("state", event.finish))

    def _force(self, event: Event) -> None:
        """Sets a task to what the recording says, and calls the plugins."""
        self.host.clock.now = event.time
        state = self.worker.state
        facts = task_facts(event)
        ts = state.tasks.get(event.key)
        if ts is None:
            ts = state.tasks[event.key] = TaskState(event.key)
        if event.run is not None:
            ts.run_id = event.run
        if event.finish == "memory":
            ts.nbytes = facts.get("nbytes", ts.nbytes)
            ts.type = type_of(facts.get("typeName"))
            state.nbytes += ts.nbytes or 0
            state.data[event.key] = NotRecorded(ts.nbytes, facts.get("typeName"))
        elif event.finish == "error":
            ts.exception, ts.traceback = facts.get("exception"), facts.get("traceback")
            ts.exception_text = facts.get("exceptionText") or ""
            ts.traceback_text = facts.get("tracebackText") or ""
        if "startStops" in facts:
            ts.startstops[:] = facts["startStops"]
        if "comingFrom" in facts:
            ts.coming_from = facts["comingFrom"]
        self._put_into(ts, facts.get("state", event.finish))
        self._call_plugins(event)

    def _put_into(self, ts: TaskState, finish: Any) -> None:
        state = self.worker.state
        for name in _COLLECTIONS.values():
            getattr(state, name).discard(ts)
        if ts.state == "memory" and finish != "memory":
            state.data.pop(ts.key, None)
            state.nbytes -= ts.nbytes or 0
        ts.state = finish
        if finish in _COLLECTIONS:
            getattr(state, _COLLECTIONS[finish]).add(ts)
        if finish == "forgotten":
            state.tasks.pop(ts.key, None)

    def _attach(self, event: Event) -> None:
        """The tasks that the recorder found on a worker at work."""
        state, found = self.worker.state, event.snapshot["attach"]
        for facts in found["tasks"]:
            ts = state.tasks[facts["key"]] = TaskState(facts["key"])
            ts.priority = facts["priority"]
            ts.run_id = facts["taskRunID"] if facts["taskRunID"] is not None else -1
            ts.nbytes = facts["nbytes"]
            ts.startstops[:] = facts["startStops"]
            ts.previous, ts.next = facts.get("previous"), facts.get("next")
            ts.coming_from = facts.get("comingFrom")
            ts.resource_restrictions = facts.get("resourceRestrictions", {})
            ts.annotations = facts.get("annotations", {})
            ts.exception, ts.traceback = facts.get("exception"), facts.get("traceback")
            ts.exception_text = facts.get("exceptionText", "")
            ts.traceback_text = facts.get("tracebackText", "")
            ts.metadata = facts.get("metadata", {})
            ts.start_time, ts.stop_time = facts.get("startTime"), facts.get("stopTime")
            ts.done = facts.get("done", False)
            ts.suspicious_count = facts.get("suspiciousCount", 0)
            for attribute, name in (("span_id", "spanID"), ("duration", "duration")):
                if hasattr(ts, attribute):
                    setattr(ts, attribute, facts.get(name))
            ts.type = type_of(facts.get("typeName"))
            ts.who_has = set(facts.get("whoHas", ()))
            for address in ts.who_has:
                state.has_what[address].add(ts.key)
            state.task_counter.new_task(ts)
        for facts in found["tasks"]:
            self._connect(state.tasks[facts["key"]], facts)
        about = found.get("state", {})
        for name in (
            "generation",
            "executed_count",
            "transition_counter",
            "transfer_incoming_bytes",
        ):
            if name in about:
                setattr(state, name, about[name])
        state.in_flight_workers.update(
            {address: set(keys) for address, keys in about.get("inFlightWorkers", {}).items()}
        )
        state.available_resources.update(about.get("availableResources", {}))

    def _connect(self, ts: TaskState, facts: dict[str, Any]) -> None:
        state = self.worker.state
        for key in facts["dependencies"]:
            if key in state.tasks:
                ts.dependencies.add(state.tasks[key])
                state.tasks[key].dependents.add(ts)
        for attribute, name in (("waiting_for_data", "waitingForData"), ("waiters", "waiters")):
            keys = [key for key in facts.get(name, ()) if key in state.tasks]
            getattr(ts, attribute).update(state.tasks[key] for key in keys)
        ts.state = facts["state"]
        where = {"cancelled": ts.previous, "resumed": ts.previous}.get(ts.state, ts.state)
        if where in _COLLECTIONS:
            getattr(state, _COLLECTIONS[where]).add(ts)
        if ts.state == "memory":
            kept = state.actors if facts.get("isActor") else state.data
            kept[ts.key] = NotRecorded(ts.nbytes, facts.get("typeName"))
            state.nbytes += ts.nbytes or 0
        elif ts.state == "fetch":
            state.fetch_count += 1
            for address in ts.who_has:
                state.data_needed[address].add(ts)
