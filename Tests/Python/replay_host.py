"""A real `Scheduler` that is never started, fed with a recording through Dask's own transition
functions: what shows that the snapshots suffice.

`drift` counts what did not fit: a state that was another, a function that could not be executed. It
has to stay empty.
"""

from __future__ import annotations

import collections
from typing import Any, Callable

import dask
import distributed.scheduler as scheduler_module
from distributed.core import Status
from distributed.scheduler import (
    ClientState,
    Computation,
    ErredTask,
    Scheduler,
    TaskGroup,
    TaskPrefix,
    Transition,
    WorkerState,
)

from log import Event, Log

#: Addresses of another process cannot be resolved: the host is in the recording.
_HOSTS: dict[str, str] = {}


def _host(address: str) -> str:
    return _HOSTS.get(address) or address.split("://")[-1].rsplit(":", 1)[0]


class NoComm:
    """Stands in for the stream to a worker."""

    def send(self, *messages: Any) -> None: ...

    def closed(self) -> bool:
        return False


class RunSpec:
    """Stands in for what a task runs, which is not recorded."""

    def __init__(self, dependencies: Any, data_producer: bool) -> None:
        self.dependencies = frozenset(dependencies)
        self.data_producer = data_producer


class NeverStarted(Scheduler):
    """Nothing leaves it."""

    def __init__(self) -> None:
        quiet = {"distributed.scheduler.preload": [], "distributed.scheduler.worker-ttl": None}
        with dask.config.set(quiet):
            super().__init__(dashboard=False, host="127.0.0.1", extensions={}, validate=False)
        self.status = Status.running

    def start_http_server(self, *args: Any, **kwargs: Any) -> None:
        self.http_application = None
        self.http_server = None

    def send_all(self, *args: Any, **kwargs: Any) -> None: ...
    def worker_send(self, *args: Any, **kwargs: Any) -> None: ...
    def client_send(self, *args: Any, **kwargs: Any) -> None: ...
    def report(self, *args: Any, **kwargs: Any) -> None: ...
    def transitions(self, *args: Any, **kwargs: Any) -> None: ...


class Host:
    """Applies the events of a scheduler, and calls `seen` as plugins are called live."""

    def __init__(self, seen: Callable[[Any, Event], None]) -> None:
        scheduler_module.get_address_host = _host
        self.seen = seen
        self.drift: collections.Counter = collections.Counter()
        self.gone: dict[str, WorkerState] = {}
        self.last: tuple | None = None
        # Dask counts the runs of tasks for a whole process.
        self.scheduler = NeverStarted()

    def reference(self, kind: str, identity: Any) -> Any:
        s = self.scheduler
        if kind.endswith("WorkerState"):
            return s.workers.get(identity) or self.gone.get(identity)
        if kind.endswith("TaskState"):
            return s.tasks.get(identity)
        return s.clients.get(identity)

    def replay(self, log: Log, server: str) -> None:
        log.decoder.reference = self.reference
        for event in log.events(server):
            self.apply(event)

    def apply(self, event: Event) -> None:
        apply = getattr(self, f"apply_{event.hook}", None)
        if apply is not None:
            apply(event)
        self.seen(self.scheduler, event)
        if event.hook == "transition" and event.finish == "forgotten":
            self._forget(event.key)
        if event.hook == "logEvent":
            self._change_status(event.kwargs["topic"], event.kwargs["message"])

    # What is found

    def apply_attach(self, event: Event) -> None:
        s, found = self.scheduler, event.snapshot["attach"]
        s.id = event.kwargs["id"]
        s.allowed_failures = event.kwargs["allowedFailures"]
        s.transition_counter = event.kwargs["transitionCounter"]
        for facts in found["workers"]:
            self.add_worker(facts, event.time)
        for name, facts in found["clients"].items():
            self._client(name)
        for facts in found["tasks"]:
            self._new_task(facts)
        for facts in found["tasks"]:
            self._link(facts)
        for facts in found["tasks"]:
            self._fill(facts)
        self._take_totals(found)
        if event.kwargs["nTasks"] is not None:
            s.n_tasks = event.kwargs["nTasks"]
        if event.kwargs["bandwidth"] is not None:
            s.bandwidth = event.kwargs["bandwidth"]
        s.erred_tasks.extend(ErredTask(*entry) for entry in found["erredTasks"])

    def _take_totals(self, found: dict) -> None:
        s = self.scheduler
        for name, facts in found["prefixes"].items():
            prefix = s.task_prefixes.get(name)
            if prefix is None:
                prefix = s.task_prefixes[name] = TaskPrefix(name)
            _take(prefix, facts)
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

    def add_worker(self, facts: dict, now: float) -> None:
        s, address = self.scheduler, facts["address"]
        _HOSTS[address] = facts["host"]
        ws = WorkerState(
            address=address,
            status=Status.lookup[facts["status"]],
            pid=facts["pid"],
            name=facts["name"],
            nthreads=facts["nthreads"],
            memory_limit=facts["memoryLimit"],
            local_directory=facts["localDirectory"],
            services=facts["services"],
            versions=facts["versions"],
            nanny=facts["nanny"],
            extra=facts["extra"],
            server_id=facts["serverID"],
            scheduler=s,
        )
        ws.metrics = facts["metrics"]
        s.workers[address] = ws
        s.aliases[ws.name] = address
        if ws.status == Status.running:
            s.running.add(ws)
        host = s.host_info.setdefault(_host(address), {})
        host.setdefault("addresses", set()).add(address)
        host["nthreads"] = host.get("nthreads", 0) + ws.nthreads
        if hasattr(s, "total_memory"):
            s.total_memory += ws.memory_limit
        s.total_nthreads += ws.nthreads
        s.stream_comms[address] = NoComm()
        s.add_resources(worker=address, resources=facts["resources"])
        s.check_idle_saturated(ws)

    def drop_worker(self, address: str) -> None:
        s = self.scheduler
        ws = s.workers.get(address)
        if ws is None:
            return
        s.remove_resources(address)
        host = s.host_info[_host(address)]
        host["addresses"].discard(address)
        host["nthreads"] -= ws.nthreads
        if not host["addresses"]:
            del s.host_info[_host(address)]
        if hasattr(s, "total_memory"):
            s.total_memory -= ws.memory_limit
        s.total_nthreads -= ws.nthreads
        s.stream_comms.pop(address, None)
        s.aliases.pop(ws.name, None)
        s.idle.pop(address, None)
        s.idle_task_count.discard(ws)
        s.saturated.discard(ws)
        del s.workers[address]
        ws.status = Status.closed
        s.running.discard(ws)
        self.gone[address] = ws

    # Tasks

    def _new_task(self, facts: dict) -> Any:
        s, key = self.scheduler, facts["key"]
        ts = s.tasks.get(key)
        if ts is None:
            computation = s.computations[-1] if s.computations else None
            ts = s.new_task(key, None, facts.get("state", "released"), computation=computation)
        ts.priority = facts.get("priority")
        ts.annotations = facts.get("annotations", {})
        ts.retries = facts.get("retries", 0)
        ts.actor = facts.get("actor", False)
        if facts.get("hasRunSpec", True):
            ts.run_spec = RunSpec(facts.get("dependencies", []), facts.get("dataProducer", False))
        if "span" in facts:
            ts.group.span_id = facts["span"]
        ts.worker_restrictions = (
            set(facts["workerRestrictions"])
            if (facts.get("workerRestrictions"))
            else ts.worker_restrictions
        )
        ts.host_restrictions = facts.get("hostRestrictions", ts.host_restrictions)
        ts.resource_restrictions = facts.get("resourceRestrictions", ts.resource_restrictions)
        ts.loose_restrictions = facts.get("looseRestrictions", False)
        ts.has_lost_dependencies = facts.get("hasLostDependencies", False)
        if hasattr(ts, "_queueable"):
            ts._queueable = facts.get("queueable", True)
        return ts

    def _link(self, facts: dict) -> None:
        s = self.scheduler
        ts = s.tasks[facts["key"]]
        for key in facts.get("dependencies", []):
            dependency = s.tasks.get(key)
            if dependency is None:
                self.drift["a dependency that is not there"] += 1
            elif dependency not in ts.dependencies:
                ts.add_dependency(dependency)
        if "blame" in facts:
            ts.exception_blame = s.tasks.get(facts["blame"])

    def _fill(self, facts: dict) -> None:
        """A task that is under way."""
        s = self.scheduler
        ts = s.tasks[facts["key"]]
        if "nbytes" in facts:
            ts.set_nbytes(facts["nbytes"])
        for address in facts.get("whoHas", []):
            s.add_replica(ts, s.workers[address])
        if "processingOn" in facts:
            ws = s.workers[facts["processingOn"]]
            ts.processing_on = ws
            ws.add_to_processing(ts)
        for name in facts.get("whoWants", []):
            self._want(name, [ts.key])
        for attribute, name in (("waiting_on", "waitingOn"), ("waiters", "waiters")):
            if name in facts:
                setattr(ts, attribute, {s.tasks[key] for key in facts[name]})
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

    # Clients

    def _client(self, name: str) -> ClientState:
        s = self.scheduler
        if name not in s.clients:
            s.clients[name] = ClientState(name)
        return s.clients[name]

    def _want(self, client: str, keys: Any) -> None:
        cs = self._client(client)
        for key in keys:
            ts = self.scheduler.tasks.get(key)
            if ts is None:
                continue
            if ts.who_wants is None:
                ts.who_wants = set()
            ts.who_wants.add(cs)
            cs.wants_what.add(ts)

    def apply_addClient(self, event: Event) -> None:
        self._client(event.kwargs["client"])

    def apply_removeClient(self, event: Event) -> None:
        self.scheduler.clients.pop(event.kwargs["client"], None)

    def apply_clientDesiresKeys(self, event: Event) -> None:
        self._want(event.kwargs["client"], event.kwargs.get("keys", [event.key]))

    def apply_clientReleasesKeys(self, event: Event) -> None:
        s = self.scheduler
        cs = s.clients.get(event.kwargs["client"])
        if cs is not None:
            keys = event.kwargs.get("keys", [event.key])
            s._client_releases_keys(keys=keys, cs=cs, recommendations={})

    # The other hooks

    def apply_updateGraph(self, event: Event) -> None:
        s = self.scheduler
        if s.is_idle or not s.computations:
            s.computations.append(Computation())
        graph, kwargs = event.snapshot["graph"], event.kwargs
        for key, facts in zip(kwargs["tasks"], graph, strict=True):
            # What stands in the args is not repeated.
            facts["key"] = key
            facts.setdefault("priority", kwargs["priority"].get(key))
            self._new_task(facts)
        for facts in graph:
            self._link(facts)
        for facts in graph:
            if facts.get("state", "released") != "released" and not facts.get("known"):
                self._fill(facts)
        self._want(event.kwargs["client"], event.kwargs["keys"])

    def apply_restart(self, event: Event) -> None:
        if self.scheduler.tasks:
            self.drift["tasks that are left at a restart"] += 1
        self.scheduler._clear_task_state()

    def apply_addWorker(self, event: Event) -> None:
        self.add_worker(event.snapshot["worker"], event.time)

    def apply_removeWorker(self, event: Event) -> None:
        self.drop_worker(event.worker or "")

    def apply_addReplica(self, event: Event) -> None:
        s, ts = self.scheduler, self.scheduler.tasks.get(event.key)
        ws = s.workers.get(event.worker)
        if ts is None or ws is None:
            self.drift["a replica of nothing"] += 1
            return
        if event.kwargs["nbytes"] >= 0 and ts.nbytes != event.kwargs["nbytes"]:
            ts.set_nbytes(event.kwargs["nbytes"])
        s.add_replica(ts, ws)

    def apply_removeReplica(self, event: Event) -> None:
        s, ts = self.scheduler, self.scheduler.tasks.get(event.key)
        ws = s.workers.get(event.worker) or self.gone.get(event.worker)
        if ts is None or ws is None or ws not in (ts.who_has or ()):
            self.drift["no such replica"] += 1
            return
        s.remove_replica(ts, ws)

    def apply_logEvent(self, event: Event) -> None:
        s, topic, message = self.scheduler, event.kwargs["topic"], event.kwargs["message"]
        for key, count in (event.snapshot or {}).get("suspicious", []):
            self._suspect(s.tasks.get(key), count)
        if topic == "stealing" and isinstance(message, tuple) and message[0] == "confirm":
            _, key, _, victim, thief, _ = message
            ts, v, t = s.tasks.get(key), s.workers.get(victim), s.workers.get(thief)
            if ts and v and t and ts.processing_on is v:
                ts.processing_on = t
                v.remove_from_processing(ts)
                t.add_to_processing(ts)
                ts.run_id = event.run
                s.check_idle_saturated(t)
                s.check_idle_saturated(v)

    def _suspect(self, ts: Any, count: int) -> None:
        if ts is not None and count > ts.suspicious:
            ts.prefix.suspicious += count - ts.suspicious
            ts.suspicious = count

    def apply_stimulus(self, event: Event) -> None:
        operation = event.kwargs["op"].replace("-", "_")
        getattr(self, f"stimulus_{operation}", lambda event: None)(event)

    def stimulus_remove_worker(self, event: Event) -> None:
        self.drop_worker(event.worker or "")

    def stimulus_worker_status_change(self, event: Event) -> None:
        s = self.scheduler
        if event.worker in s.workers:
            s.workers[event.worker].status = Status[event.kwargs["status"]]

    def _change_status(self, topic: Any, message: Any) -> None:
        """What Dask does about a new status after it has logged it."""
        if not isinstance(message, dict) or message.get("action") != "worker-status-change":
            return
        s = self.scheduler
        ws = s.workers.get(topic)
        if ws is None:
            return
        if ws.status == Status.running:
            s.running.add(ws)
            s.check_idle_saturated(ws)
        else:
            s.running.discard(ws)
            s.idle.pop(ws.address, None)
            s.idle_task_count.discard(ws)
            s.saturated.discard(ws)

    def stimulus_update_data(self, event: Event) -> None:
        for facts in event.snapshot["graph"]:
            state = facts.pop("state", "released")
            ts = self._new_task(facts)
            # As `Scheduler.update_data` does.
            ts.state = state
            self._fill(facts)

    def stimulus_long_running(self, event: Event) -> None:
        ts = self.scheduler.tasks[event.key]
        duration = event.kwargs["compute_duration"]
        if duration is not None:
            before = ts.prefix.duration_average
            ts.prefix.duration_average = duration if before < 0 else (before + duration) / 2
        ts.processing_on.add_to_long_running(ts)
        self.scheduler.check_idle_saturated(ts.processing_on)

    def stimulus_set_restrictions(self, event: Event) -> None:
        ts = self.scheduler.tasks[event.key]
        ts.worker_restrictions = event.kwargs["workerRestrictions"]
        ts.host_restrictions = event.kwargs["hostRestrictions"]
        ts.loose_restrictions = event.kwargs["looseRestrictions"]
        ts.annotations = event.kwargs["annotations"]

    def stimulus_heartbeat_worker(self, event: Event) -> None:
        s = self.scheduler
        ws = s.workers[event.worker]
        metrics = {**ws.metrics, **event.kwargs["metrics"]}
        ws.metrics = {n: v for n, v in metrics.items() if n not in event.kwargs["gone"]}
        ws.last_seen, s.bandwidth = event.kwargs["lastSeen"], event.kwargs["bandwidth"]
        ws.executing = {}
        for key, duration in event.kwargs["executing"].items():
            ts = s.tasks[key]
            ws.executing[ts] = duration
            ts.prefix.add_exec_time(duration)

    # Transitions

    def apply_transition(self, event: Event) -> None:
        s, key, start, finish = self.scheduler, event.key, event.start, event.finish
        facts = (event.snapshot or {}).get("task", {})
        ts = s.tasks.get(key)
        if ts is None:
            self.drift["a task that is not there"] += 1
            return
        s.transition_counter = facts.get("counter", s.transition_counter + 1)
        self._suspect(ts, facts.get("suspicious", 0))
        if hasattr(ts, "_queueable"):
            ts._queueable = facts.get("queueable", True)
        if "retries" in facts:
            ts.retries = facts["retries"]
        dependencies, dependents = set(ts.dependencies), set(ts.dependents)
        recommendations = dict(facts.get("recommendations") or {})
        if "recommends" in facts:
            recommendations = {key: facts["recommends"]}
        if start != finish:
            executed = self._execute(ts, event)
            if self.last is not None and self.last[:2] == (key, s.transition_counter):
                # Both halves of an indirect transition are told of it.
                executed = {**self.last[2], **executed}
            self.last = (key, s.transition_counter, executed)
            if executed != recommendations and finish != "processing":
                self.drift[f"other recommendations of {start} to {finish}"] += 1
        s.transition_log.append(
            Transition(key, start, finish, recommendations, event.stimulus, event.time)
        )
        if finish == "forgotten":
            ts.dependents, ts.dependencies = dependents, dependencies
            s.tasks[key] = ts

    def _execute(self, ts: Any, event: Event) -> dict:
        s, start, finish, kwargs = self.scheduler, event.start, event.finish, event.kwargs
        if ts.state != start:
            self.drift[f"{ts.state} before {start} to {finish}"] += 1
        if kwargs.get("metadata"):
            ts.metadata = {**(ts.metadata or {}), **kwargs["metadata"]}
        try:
            if finish == "processing":
                s.queued.discard(ts)
                s.unrunnable.pop(ts, None)
                worker = s.workers[event.worker]
                recommended, _, _ = s._add_to_processing(ts, worker, stimulus_id=event.stimulus)
                ts.run_id = event.run
            else:
                function = s._TRANSITIONS_TABLE[start, finish]
                recommended, _, _ = function(s, event.key, event.stimulus, **kwargs)
        except Exception as error:
            self.drift[f"{start} to {finish}: {error!r}"[:200]] += 1
            return {}
        if ts.state != finish:
            self.drift[f"{start} to {finish} ended in {ts.state}"] += 1
        return recommended

    def _forget(self, key: Any) -> None:
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
                ts.prefix.groups.remove(group)
            del s.task_groups[group.name]


def _take(thing: Any, facts: dict) -> None:
    for name, value in facts.items():
        before = getattr(thing, name)
        if isinstance(before, collections.defaultdict):
            value = collections.defaultdict(before.default_factory, value)
        setattr(thing, name, value)
