"""The state of the scheduler, as each event changes it.

Dask's own transition functions are executed with the recorded arguments; what they recommend is
ignored, because what came of it is recorded. Where the state is not what an event begins with, or a
function cannot be executed, it is set to what the recording says: *drift*, which is counted by name
and is empty when the replay is exact.
"""

from __future__ import annotations

from typing import Any

import distributed.scheduler as scheduler_module
from distributed.scheduler import Computation, Transition

from tasklog.replay.deciding import note_choice
from tasklog.replay.events import Event
from tasklog.replay.forcing import force
from tasklog.replay.history import take_history, take_settings
from tasklog.replay.ordered import OrderedSet
from tasklog.replay.stimuli import Stimuli, beat
from tasklog.replay.tasks import Tasks


class SchedulerStateHost(Tasks, Stimuli):
    """Applies the events of one scheduler.

    host:
        Counts `drift`, and what is forbidden.
    only_forced:
        Executes no function of Dask's: for a recording of another version.
    recommends:
        Whether the recording holds what transitions recommended.
    """

    def __init__(self, host: Any, only_forced: bool = False, recommends: bool = True) -> None:
        super().__init__(host)
        self.only_forced = only_forced
        self.recommends = recommends
        self._last: tuple[Any, ...] | None = None
        #: By key of the tasks that Dask has failed within another transition: where that one began,
        #: and what it recommends. Its event comes next.
        self._nested: dict[Any, tuple[Any, ...]] = {}
        self._apply = {
            name.removeprefix("apply_"): getattr(self, name)
            for name in dir(self)
            if name.startswith("apply_")
        }
        self._stimuli = {
            name.removeprefix("stimulus_").replace("_", "-"): getattr(self, name)
            for name in dir(self)
            if name.startswith("stimulus_")
        }

    def apply(self, event: Event) -> None:
        """What changes before plugins are called."""
        apply = self._apply.get(event.hook)
        if apply is not None:
            self._guarded(apply, event)

    def finish(self, event: Event) -> None:
        """What changes after plugins have been called."""
        if event.hook == "transition":
            if event.finish == "forgotten":
                self._guarded(lambda event: self.forget(event.key), event)
        elif event.hook == "logEvent":
            self._guarded(self._settle, event)

    def _settle(self, event: Event) -> None:
        """What Dask does after it has logged something."""
        topic, message = event.kwargs["topic"], event.kwargs["message"]
        self.settle_status(topic, message)
        if topic == "stealing" and isinstance(message, tuple) and message[0] in _ANSWERS:
            _, _, _, victim, thief, _ = message
            for address in (thief, victim):
                if address in self.scheduler.workers:
                    self.scheduler.check_idle_saturated(self.scheduler.workers[address])

    def _guarded(self, apply: Any, event: Event) -> None:
        host = self.host
        host.drives = True
        host.clock.now = event.nanoseconds / 10**9
        before, scheduler_module.time = scheduler_module.time, host.clock.time
        try:
            apply(event)
        except MemoryError:
            raise
        except Exception as error:
            host.drift[f"{event.hook} could not be applied: {_short(error)}"] += 1
        finally:
            host.drives = False
            scheduler_module.time = before

    # What is found

    def apply_attach(self, event: Event) -> None:
        s, about, found = self.scheduler, event.kwargs, event.snapshot["attach"]
        s.id = about["id"]
        s._address = about.get("address") or s._address
        s.allowed_failures = about["allowedFailures"]
        s.transition_counter = about["transitionCounter"]
        if "settings" in found:
            take_settings(s, found["settings"])
        for facts in found["workers"]:
            self.add_worker(facts, event.time)
        for name, facts in found["clients"].items():
            self.client(name, facts)
        self.enter(found["tasks"])
        for facts in found["tasks"]:
            self.fill(facts)
        self.take_totals(found)
        take_history(self, found)
        if about["nTasks"] is not None:
            s.n_tasks = about["nTasks"]
        if about["bandwidth"] is not None:
            s.bandwidth = about["bandwidth"]

    # Clients

    def apply_addClient(self, event: Event) -> None:
        self.client(event.kwargs["client"], (event.snapshot or {}).get("client"))

    def apply_removeClient(self, event: Event) -> None:
        self.scheduler.clients.pop(event.kwargs["client"], None)

    def apply_clientDesiresKeys(self, event: Event) -> None:
        self.want(event.kwargs["client"], event.kwargs.get("keys", [event.key]))

    def apply_clientReleasesKeys(self, event: Event) -> None:
        self.release(event.kwargs["client"], event.kwargs.get("keys", [event.key]))

    # The other hooks

    def apply_updateGraph(self, event: Event) -> None:
        s = self.scheduler
        if not self.names_computations and (s.is_idle or not s.computations):
            s.computations.append(Computation())
        graph, kwargs = event.snapshot["graph"], event.kwargs
        if len(graph) == len(kwargs["tasks"]):
            # What stands in the args is not repeated.
            for key, facts in zip(kwargs["tasks"], graph, strict=True):
                facts.setdefault("key", key)
        for facts in graph:
            facts.setdefault("priority", kwargs["priority"].get(facts["key"]))
        self.enter(graph)
        for facts in graph:
            if facts.get("state", "released") != "released" and not facts.get("known"):
                self.fill(facts)
        self.want(kwargs["client"], kwargs["keys"])

    def apply_restart(self, event: Event) -> None:
        if self.scheduler.tasks:
            self.host.drift["tasks that are left at a restart"] += 1
            self.scheduler.tasks.clear()
        self.scheduler._clear_task_state()

    def apply_addWorker(self, event: Event) -> None:
        facts, s = event.snapshot["worker"], self.scheduler
        self.add_worker(facts, event.time)
        if facts.get("metrics"):
            # Joining counts as a heartbeat.
            ws = s.workers[facts["address"]]
            beat(self, ws, facts["metrics"], facts.get("lastSeen", event.time), None)
            ws.time_delay = facts.get("timeDelay", 0)
            s.check_idle_saturated(ws)

    def apply_removeWorker(self, event: Event) -> None:
        self.drop_worker(event.worker or "", event.time)

    def apply_addReplica(self, event: Event) -> None:
        s, ts = self.scheduler, self.scheduler.tasks.get(event.key)
        ws = s.workers.get(event.worker)
        if ts is None or ws is None:
            self.host.drift["a replica of nothing"] += 1
            return
        nbytes = event.kwargs.get("nbytes", -1)
        if nbytes >= 0 and ts.nbytes != nbytes:
            ts.set_nbytes(nbytes)
        s.add_replica(ts, ws)

    def apply_removeReplica(self, event: Event) -> None:
        s, ts = self.scheduler, self.scheduler.tasks.get(event.key)
        ws = s.workers.get(event.worker) or self.gone.get(event.worker)
        if ts is None or ws is None or ws not in (ts.who_has or ()):
            self.host.drift["no such replica"] += 1
            return
        s.remove_replica(ts, ws)

    def apply_logEvent(self, event: Event) -> None:
        s, topic, message = self.scheduler, event.kwargs["topic"], event.kwargs["message"]
        for key, count in (event.snapshot or {}).get("suspicious", []):
            self.suspect(key, count)
        if topic == "stealing" and isinstance(message, tuple) and message[0] == "confirm":
            _, key, _, victim, thief, _ = message
            ts, v, t = s.tasks.get(key), s.workers.get(victim), s.workers.get(thief)
            if ts and v and t and ts.processing_on is v:
                ts.processing_on = t
                v.remove_from_processing(ts)
                t.add_to_processing(ts)
                ts.run_id = event.run
                if hasattr(s, "get_task_duration"):
                    # The message to the thief has it.
                    s.get_task_duration(ts)
        broker = getattr(s, "_broker", None)
        if broker is not None:
            broker._topics[topic].publish((event.time, message))

    # Stimuli

    def apply_stimulus(self, event: Event) -> None:
        stimulus = self._stimuli.get(event.kwargs["op"])
        if stimulus is not None:
            stimulus(event)

    def stimulus_remove_worker(self, event: Event) -> None:
        self.drop_worker(event.worker or "", event.time)

    def stimulus_worker_status_change(self, event: Event) -> None:
        self.set_status(event.worker or "", event.kwargs["status"])

    def stimulus_update_data(self, event: Event) -> None:
        for key in event.kwargs.get("who_has", ()):
            # Scattered again: its replicas follow.
            ts = self.scheduler.tasks.get(key)
            if ts is not None and self.host.is_dask:
                ts.state = "memory"
                if event.kwargs["nbytes"].get(key, -1) >= 0:
                    ts.set_nbytes(event.kwargs["nbytes"][key])
        for facts in (event.snapshot or {}).get("graph", ()):
            state = facts.pop("state", "released")
            ts = self.new_task(facts)
            # As `Scheduler.update_data` does.
            ts.state = state
            self.fill(facts)

    def stimulus_long_running(self, event: Event) -> None:
        ts = self.scheduler.tasks[event.key]
        duration = event.kwargs.get("compute_duration")
        if duration is not None:
            before = ts.prefix.duration_average
            ts.prefix.duration_average = duration if before < 0 else (before + duration) / 2
        ws = ts.processing_on
        if ws is None:
            self.host.drift["a long-running task that no worker processes"] += 1
            return
        ws.add_to_long_running(ts)
        self.scheduler.check_idle_saturated(ws)

    def stimulus_set_restrictions(self, event: Event) -> None:
        ts = self.scheduler.tasks[event.key]
        ts.worker_restrictions = event.kwargs["workerRestrictions"]
        ts.host_restrictions = event.kwargs["hostRestrictions"]
        if "resourceRestrictions" in event.kwargs:
            ts.resource_restrictions = event.kwargs["resourceRestrictions"]
        ts.loose_restrictions = event.kwargs["looseRestrictions"]
        told, known = event.kwargs["annotations"], ts.annotations
        if isinstance(told, dict) and isinstance(known, dict):
            # The dict and what stays in it are the same objects live.
            kept = {n: known[n] if known.get(n) == value else value for n, value in told.items()}
            known.clear()
            known.update(kept)
        else:
            ts.annotations = told

    # Transitions

    def apply_transition(self, event: Event) -> None:
        s, key, start, finish = self.scheduler, event.key, event.start, event.finish
        facts = (event.snapshot or {}).get("task", {})
        ts = s.tasks.get(key)
        if ts is None:
            self.host.drift["a task that is not there"] += 1
            ts = self.new_task({"key": key, "state": start})
        s.transition_counter = facts.get("counter", s.transition_counter + 1)
        if "suspicious" in facts:
            self.suspect(key, facts["suspicious"])
        if hasattr(ts, "_queueable"):
            ts._queueable = facts.get("queueable", True)
        if "retries" in facts:
            ts.retries = facts["retries"]
        if finish == "forgotten":
            dependencies = self._ordered(facts.get("dependencies"), ts.dependencies)
            dependents = self._ordered(facts.get("dependents"), ts.dependents)
        recommendations = dict(facts.get("recommendations") or {})
        if "recommends" in facts:
            recommendations = {key: facts["recommends"]}
        if start == finish and start in ("waiting", "no-worker") and not self.only_forced:
            note_choice(s, ts, None)
        if start != finish:
            executed = self._execute(ts, event)
            if self.recommends and executed is not None:
                if self._last is not None and self._last[:2] == (key, s.transition_counter):
                    # Both halves of an indirect transition have the recommendations.
                    executed = {**self._last[2], **executed}
                self._last = (key, s.transition_counter, executed)
                if executed != recommendations and finish != "processing":
                    self.host.drift[f"other recommendations of {start} to {finish}"] += 1
        s.transition_log.append(
            Transition(key, start, finish, recommendations, event.stimulus, event.time)
        )
        if finish == "forgotten":
            ts.dependents, ts.dependencies = dependents, dependencies
            s.tasks[key] = ts

    def _ordered(self, order: list[int] | None, tasks: Any) -> OrderedSet:
        """The neighbours of a task, in the recorded order (`facts.order`)."""
        if not order:
            return OrderedSet(tasks)
        if len(order) != len(tasks):
            self.host.drift["other neighbours of a task that is forgotten"] += 1
            return OrderedSet(tasks)
        placed = sorted(tasks, key=lambda ts: repr(ts.key))
        return OrderedSet(placed[place] for place in order)

    def _execute(self, ts: Any, event: Event) -> dict[Any, Any] | None:
        """Executes a transition and returns what it recommends; None if it was forced."""
        s, start, finish, kwargs = self.scheduler, event.start, event.finish, event.kwargs
        nested = self._nested.pop(event.key, None) if self._nested else None
        if nested is not None and (start, finish) == (nested[0], ts.state):
            # The outer one, in which nothing is left to be done.
            return nested[1]
        before = ts.state
        if self._fails_on_the_way(ts, event):
            self._to_processing(ts, event)
        if ts.state != start:
            self.host.drift[f"{ts.state} before {start} to {finish}"] += 1
            force(s, ts, start or "released", event, {})
        if kwargs.get("metadata"):
            ts.metadata = {**(ts.metadata or {}), **kwargs["metadata"]}
        recommended = None
        if self.only_forced:
            force(s, ts, finish or "released", event, kwargs)
        else:
            try:
                if finish == "processing":
                    recommended = self._to_processing(ts, event)
                else:
                    function = s._TRANSITIONS_TABLE[start, finish]
                    recommended, _, _ = function(s, event.key, event.stimulus, **kwargs)
                problem = None if ts.state == finish else f"ended in {ts.state}"
            except MemoryError:
                raise
            except Exception as error:
                problem = _short(error)
            if problem is not None:
                recommended = None
                self.host.drift[f"{start} to {finish}: {problem}"] += 1
                force(s, ts, finish or "released", event, kwargs)
        if before in _READY and start == "processing":
            self._nested[event.key] = before, recommended
        return recommended

    def _fails_on_the_way(self, ts: Any, event: Event) -> bool:
        """Whether Dask has failed a task on its way to ``processing``, because its inputs are
        larger than the memory of the worker: `Scheduler._add_to_processing`.

        Plugins are called with processing → erred first, and then with the transition in which
        this took place and which ends there as well: waiting → erred, queued → erred or
        no-worker → erred.
        """
        return (
            ts.state in _READY
            and (event.start, event.finish) == ("processing", "erred")
            and event.worker in self.scheduler.workers
        )

    def _to_processing(self, ts: Any, event: Event) -> dict[Any, Any]:
        s = self.scheduler
        s.queued.discard(ts)
        s.unrunnable.pop(ts, None)
        if self.only_forced:
            force(s, ts, "processing", event, {})
            return {}
        before, ws = ts.run_id, s.workers[event.worker]
        if ts.state != "queued":
            note_choice(s, ts, ws)
        recommended, _, _ = s._add_to_processing(ts, ws, stimulus_id=event.stimulus)
        # A task that fails on the way is not sent, and gets no number.
        ts.run_id = event.run if event.run is not None else before
        return recommended


#: What stealing logs of the answer of a worker, before it weighs both workers again.
_ANSWERS = ("confirm", "already-computing")
#: Where a task is before Dask sends it to a worker.
_READY = ("waiting", "queued", "no-worker")


def _short(error: Exception) -> str:
    return f"{type(error).__name__} {error}"[:100]
