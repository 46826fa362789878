"""Changes of a scheduler without a hook, except of tasks: heartbeats, metadata, resources."""

from __future__ import annotations

import uuid
from typing import Any

from distributed.scheduler import Computation, Scheduler

from tasklog.replay.events import Event
from tasklog.replay.scheduler import Servers


class Stimuli(Servers):
    """Executes Dask's own functions with what is recorded of their arguments."""

    #: Whether the recording names its computations.
    names_computations = False

    def stimulus_heartbeat_worker(self, event: Event) -> None:
        """A heartbeat in format 1: only what had changed since the last one."""
        metrics = {**self.scheduler.workers[event.worker].metrics, **event.kwargs["metrics"]}
        gone = event.kwargs["gone"]
        self._heartbeat(event, {n: v for n, v in metrics.items() if n not in gone})

    def apply_heartbeat(self, event: Event) -> None:
        self._heartbeat(event, event.kwargs["metrics"])

    def _heartbeat(self, event: Event, metrics: dict[str, Any]) -> None:
        s, kwargs = self.scheduler, event.kwargs
        ws = s.workers[event.worker]
        beat(self, ws, metrics, kwargs["lastSeen"], kwargs["executing"])
        s.bandwidth = kwargs["bandwidth"]
        ws.time_delay = kwargs.get("timeDelay", 0)

    def stimulus_heartbeat_client(self, event: Event) -> None:
        cs = self.scheduler.clients.get(event.kwargs["client"])
        if cs is not None:
            cs.last_seen = event.kwargs["lastSeen"]

    def stimulus_set_metadata(self, event: Event) -> None:
        keys: list[Any] = []
        value = event.kwargs["metadata"]
        while len(keys) < event.kwargs["depth"] and isinstance(value, dict):
            ((key, value),) = value.items()
            keys.append(key)
        Scheduler.set_metadata(self.scheduler, keys=keys, value=value)

    def stimulus_set_resources(self, event: Event) -> None:
        self.scheduler.add_resources(worker=event.worker, resources=event.kwargs["resources"])

    def stimulus_check_idle_saturated(self, event: Event) -> None:
        """Sets what stealing has classified a worker as."""
        s, kwargs = self.scheduler, event.kwargs
        ws = s.workers[event.worker]
        if kwargs["idle"]:
            s.idle[ws.address] = ws
        else:
            s.idle.pop(ws.address, None)
        (s.saturated.add if kwargs["saturated"] else s.saturated.discard)(ws)

    def stimulus_unknown_durations(self, event: Event) -> None:
        """Tasks whose unknown duration stealing has requested."""
        for key in event.kwargs["keys"]:
            ts = self.scheduler.tasks.get(key)
            if ts is not None and hasattr(self.scheduler, "get_task_duration"):
                self.scheduler.get_task_duration(ts)

    def stimulus_computation(self, event: Event) -> None:
        """Begins the computation of the tasks that follow."""
        self.names_computations = True
        self.scheduler.computations.append(computation(event.kwargs["id"], event.kwargs["start"]))


def computation(id: str, start: float) -> Computation:
    made = Computation()
    made.id, made.start = uuid.UUID(id), start
    return made


def beat(
    servers: Servers, ws: Any, metrics: dict[str, Any], at: float, executing: dict[Any, Any] | None
) -> None:
    """Applies a heartbeat at its time. If a metric was not recorded, the others are set."""
    s, clock = servers.scheduler, servers.host.clock
    if getattr(servers, "only_forced", False):
        # Another version may want other metrics.
        ws.metrics, ws.last_seen = metrics, at
        ws.executing = {s.tasks[k]: seconds for k, seconds in (executing or {}).items()}
        return
    now, clock.now = clock.now, at
    try:
        Scheduler.heartbeat_worker(
            s, address=ws.address, resolve_address=False, metrics=metrics, executing=executing
        )
    except (KeyError, TypeError, AttributeError):
        ws.metrics, ws.last_seen = metrics, at
        servers.host.drift["heartbeat without its metrics"] += 1
    finally:
        clock.now = now
