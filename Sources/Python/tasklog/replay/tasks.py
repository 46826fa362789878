"""The tasks of a scheduler, made of the facts that a recording has about them."""

from __future__ import annotations

import collections
from typing import Any

from distributed.scheduler import ErredTask, TaskGroup, TaskPrefix

from tasklog.replay.ordered import OrderedSet
from tasklog.replay.scheduler import Servers


class RunSpec:
    """Stands in for what a task runs, which is not recorded."""

    def __init__(self, dependencies: Any, data_producer: bool) -> None:
        self.dependencies = frozenset(dependencies)
        self.data_producer = data_producer

    def __repr__(self) -> str:
        return "<what the task ran is not recorded>"


class Tasks(Servers):
    def enter(self, graph: list[dict[str, Any]]) -> None:
        """Enters the tasks of a graph, or those that are found."""
        for facts in graph:
            self.new_task(facts)
        for facts in graph:
            self.link(facts)

    def new_task(self, facts: dict[str, Any]) -> Any:
        s, key = self.scheduler, facts["key"]
        ts = s.tasks.get(key)
        if ts is None:
            # Scattered data, and what a client asks for before it is there, is in none.
            computation = s.computations[-1] if s.computations else None
            if not facts.get("hasRunSpec", True):
                computation = None
            ts = s.new_task(key, None, facts.get("state", "released"), computation=computation)
            ts.dependencies, ts.dependents = OrderedSet(), OrderedSet()
        ts.priority = facts.get("priority")
        ts.annotations = facts.get("annotations", {})
        ts.retries = facts.get("retries", 0)
        ts.actor = facts.get("actor", False)
        if facts.get("hasRunSpec", True):
            spec: Any = RunSpec(facts.get("dependencies", []), facts.get("dataProducer", False))
            ts.run_spec = spec
        if "span" in facts:
            ts.group.span_id = facts["span"]
        if facts.get("workerRestrictions"):
            ts.worker_restrictions = set(facts["workerRestrictions"])
        ts.host_restrictions = facts.get("hostRestrictions", ts.host_restrictions)
        ts.resource_restrictions = facts.get("resourceRestrictions", ts.resource_restrictions)
        resources = (ts.annotations or {}).get("resources")
        if resources is not None and resources == ts.resource_restrictions:
            # As in `Scheduler._apply_annotations`: the same object.
            ts.resource_restrictions = resources
        ts.loose_restrictions = facts.get("looseRestrictions", False)
        ts.has_lost_dependencies = facts.get("hasLostDependencies", False)
        if hasattr(ts, "_queueable"):
            ts._queueable = facts.get("queueable", True)
        return ts

    def link(self, facts: dict[str, Any]) -> None:
        s = self.scheduler
        ts = s.tasks[facts["key"]]
        for key in facts.get("dependencies", []):
            dependency = s.tasks.get(key)
            if dependency is None:
                self.host.drift["a dependency that is not there"] += 1
            elif dependency not in ts.dependencies:
                ts.add_dependency(dependency)
        if "blame" in facts:
            ts.exception_blame = s.tasks.get(facts["blame"])

    def fill(self, facts: dict[str, Any]) -> None:
        """A task that is under way."""
        s = self.scheduler
        ts = s.tasks[facts["key"]]
        if "nbytes" in facts:
            ts.set_nbytes(facts["nbytes"])
        for address in facts.get("whoHas", []):
            if address in s.workers:
                s.add_replica(ts, s.workers[address])
            else:
                self.host.drift["a replica on a worker that is not there"] += 1
        if facts.get("processingOn") in s.workers:
            ws = s.workers[facts["processingOn"]]
            ts.processing_on = ws
            ws.add_to_processing(ts)
        for name in facts.get("whoWants", []):
            self.want(name, [ts.key])
        for attribute, name in (("waiting_on", "waitingOn"), ("waiters", "waiters")):
            if name in facts:
                setattr(ts, attribute, {s.tasks[key] for key in facts[name] if key in s.tasks})
        ts.exception, ts.traceback = facts.get("exception"), facts.get("traceback")
        ts.exception_text = facts.get("exceptionText", ts.exception_text)
        ts.traceback_text = facts.get("tracebackText", ts.traceback_text)
        ts.erred_on = facts.get("erredOn", ts.erred_on)
        ts.suspicious = facts.get("suspicious", 0)
        ts.metadata = facts.get("metadata", ts.metadata)
        ts.run_id = facts.get("taskRunID", ts.run_id)
        if "typeName" in facts:
            ts.type = facts["typeName"]
            ts.group.add_type(ts.type)
        if ts.state == "queued":
            s.queued.add(ts)
        if ts.state == "no-worker":
            s.unrunnable[ts] = 0

    def suspect(self, key: Any, count: int) -> None:
        ts = self.scheduler.tasks.get(key)
        if ts is not None and count > ts.suspicious:
            ts.prefix.suspicious += count - ts.suspicious
            ts.suspicious = count

    def forget(self, key: Any) -> None:
        """Removes a forgotten task after plugins have been called."""
        s = self.scheduler
        ts = s.tasks.pop(key, None)
        if ts is None:
            return
        group = ts.group
        if group.name in s.task_groups and all(
            count == 0 or state == "forgotten" for state, count in group.states.items()
        ):
            if hasattr(ts.prefix, "remove_group"):
                ts.prefix.remove_group(group)
            else:
                # Older versions have no method for it, newer ones no set that can change.
                groups: Any = ts.prefix.groups
                if group in groups:
                    groups.remove(group)
            del s.task_groups[group.name]

    def take_totals(self, found: dict[str, Any]) -> None:
        """What prefixes, groups and workers had added up before the recording began."""
        s = self.scheduler
        for name, facts in found["prefixes"].items():
            if name not in s.task_prefixes:
                s.task_prefixes[name] = TaskPrefix(name)
            _take(s.task_prefixes[name], facts)
        for name, facts in found["groups"].items():
            if name not in s.task_groups:
                s.task_groups[name] = TaskGroup(name, s.task_prefixes[facts["prefix"]])
        for name, facts in found["groups"].items():
            group = s.task_groups[name]
            names = [n for n in facts.pop("dependencies") if n in s.task_groups]
            facts.pop("prefix")
            _take(group, facts)
            group.dependencies = {s.task_groups[n] for n in names}
        for facts in found["workers"]:
            ws = s.workers[facts["address"]]
            ws._has_what = {s.tasks[k]: None for k in facts["hasWhat"] if k in s.tasks}
            ws.nbytes = facts["nbytes"]
            for key in facts["longRunning"]:
                ws.add_to_long_running(s.tasks[key])
        s.erred_tasks.extend(ErredTask(*entry) for entry in found["erredTasks"])


def _take(thing: Any, facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        before = getattr(thing, name, None)
        if before is None and not hasattr(thing, name):
            continue
        if isinstance(before, collections.defaultdict):
            value = collections.defaultdict(before.default_factory, value)
        setattr(thing, name, value)
