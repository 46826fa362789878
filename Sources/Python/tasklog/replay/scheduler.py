"""A real `Scheduler` that is never started, and the servers that it knows."""

from __future__ import annotations

import logging
import sys
import tempfile
from typing import Any

import dask
import distributed.scheduler as scheduler_module
from distributed.core import Status
from distributed.scheduler import ClientState, Scheduler, WorkerState

from tasklog.replay.forbidden import SCHEDULER, NullConnection, forbid
from tasklog.replay.looking import watch_fields

#: Addresses of another process cannot be resolved: the host is in the recording.
HOSTS: dict[str, str] = {}


def host_of(addr: str) -> str:
    return HOSTS.get(addr) or addr.split("://")[-1].rsplit(":", 1)[0]


def quieten() -> None:
    """Silences Dask's messages about a cluster that is gone."""
    for name in ("scheduler", "worker", "worker.state_machine", "core", "comm", "stealing"):
        logging.getLogger(f"distributed.{name}").setLevel(logging.CRITICAL)


class NeverStarted(Scheduler):
    """Nothing leaves it, and it does nothing on its own."""

    _replay_host: Any = None
    #: Not Dask's servers and connections.
    rpc: Any
    http_application: Any
    http_server: Any

    def __init__(self, host: Any) -> None:
        self._replay_host = host
        quiet: dict[str, Any] = {
            "distributed.scheduler.preload": [],
            "distributed.scheduler.worker-ttl": None,
            "distributed.scheduler.jupyter": False,
        }
        host.drives = True
        # It makes itself a folder to work in, and needs none.
        with tempfile.TemporaryDirectory(prefix="tasklog-") as folder:
            with dask.config.set(dict(quiet, **{"temporary-directory": folder})):
                super().__init__(dashboard=False, host="127.0.0.1", extensions={}, validate=False)
            workdir = getattr(self, "_workdir", None)
            if workdir is not None:
                workdir.release()
                self._workdir = None
        sys.path[:] = [path for path in sys.path if not path.startswith(folder)]
        host.drives = False
        self.status = Status.running
        self.rpc = NullConnection(host, "Scheduler.rpc")

    def _transition(self, key: Any, finish: Any, stimulus_id: Any, **kwargs: Any) -> Any:
        """Dask makes a transition within another, which is recorded as a separate event."""
        self._replay_host.forbid("Scheduler._transition")
        return {}, {}, {}

    def start_http_server(self, *args: Any, **kwargs: Any) -> None:
        self.http_application = None
        self.http_server = None


forbid(NeverStarted, SCHEDULER, "Scheduler")
watch_fields(NeverStarted, "Scheduler")


class Servers:
    """The workers and clients of a scheduler, as they come and go."""

    def __init__(self, host: Any) -> None:
        scheduler_module.get_address_host = host_of
        self.host = host
        self.scheduler = NeverStarted(host)
        #: Workers that have left.
        self.gone: dict[str, WorkerState] = {}

    def reference(self, kind: str, identity: Any) -> Any:
        """What a reference in recorded arguments stands for."""
        s = self.scheduler
        if kind.endswith("WorkerState"):
            return s.workers.get(identity) or self.gone.get(identity)
        if kind.endswith("TaskState"):
            return s.tasks.get(identity)
        return s.clients.get(identity)

    def add_worker(self, facts: dict[str, Any], now: float) -> None:
        s, address = self.scheduler, facts["address"]
        HOSTS[address] = facts["host"]
        ws = WorkerState(
            address=address,
            status=Status[facts.get("status", "running")],
            pid=facts["pid"],
            name=facts["name"],
            nthreads=facts["nthreads"],
            memory_limit=facts["memoryLimit"],
            local_directory=facts.get("localDirectory", ""),
            services=facts.get("services", {}),
            versions=facts.get("versions", {}),
            nanny=facts.get("nanny"),
            extra=facts.get("extra", {}),
            server_id=facts["serverID"],
            scheduler=s,
        )
        ws.metrics = facts.get("metrics", {})
        ws.last_seen = facts.get("lastSeen", now)
        s.workers[address] = ws
        s.aliases[ws.name] = address
        if ws.status == Status.running:
            s.running.add(ws)
        about = s.host_info.setdefault(host_of(address), {})
        about.setdefault("addresses", set()).add(address)
        about["nthreads"] = about.get("nthreads", 0) + ws.nthreads
        if hasattr(s, "total_memory"):
            s.total_memory += ws.memory_limit
        s.total_nthreads += ws.nthreads
        if hasattr(s, "total_nthreads_history"):
            s.total_nthreads_history.append((now, s.total_nthreads))
        if hasattr(s, "_workers_added_total"):
            s._workers_added_total += 1
        connection: Any = NullConnection(self.host, "Scheduler.stream_comms")
        s.stream_comms[address] = connection
        s.add_resources(worker=address, resources=facts.get("resources", {}))
        s.check_idle_saturated(ws)

    def drop_worker(self, address: str, now: float) -> None:
        s = self.scheduler
        ws = s.workers.get(address)
        if ws is None:
            return
        s.remove_resources(address)
        about = s.host_info[host_of(address)]
        about["addresses"].discard(address)
        about["nthreads"] -= ws.nthreads
        if not about["addresses"]:
            del s.host_info[host_of(address)]
        if hasattr(s, "total_memory"):
            s.total_memory -= ws.memory_limit
        s.total_nthreads -= ws.nthreads
        if hasattr(s, "total_nthreads_history"):
            s.total_nthreads_history.append((now, s.total_nthreads))
        if hasattr(s, "_workers_removed_total"):
            s._workers_removed_total += 1
        s.stream_comms.pop(address, None)
        s.aliases.pop(ws.name, None)
        self._is_not_idle(ws)
        del s.workers[address]
        ws.status = Status.closed
        s.running.discard(ws)
        self.gone[address] = ws

    def _is_not_idle(self, ws: WorkerState) -> None:
        s = self.scheduler
        s.idle.pop(ws.address, None)
        s.idle_task_count.discard(ws)
        s.saturated.discard(ws)

    def set_status(self, address: str, status: Any) -> None:
        if address in self.scheduler.workers and status in Status.__members__:
            self.scheduler.workers[address].status = Status[status]

    def settle_status(self, topic: Any, message: Any) -> None:
        """What Dask does about a new status of a worker after it has logged it."""
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
            self._is_not_idle(ws)

    # Clients

    def client(self, name: str, facts: dict[str, Any] | None = None) -> ClientState:
        s = self.scheduler
        if name not in s.clients:
            s.clients[name] = ClientState(name, versions=(facts or {}).get("versions"))
        cs = s.clients[name]
        if facts and "lastSeen" in facts:
            cs.last_seen = facts["lastSeen"]
        return cs

    def want(self, client: str, keys: Any) -> None:
        cs = self.client(client)
        for key in keys:
            ts = self.scheduler.tasks.get(key)
            if ts is None:
                continue
            if ts.who_wants is None:
                ts.who_wants = set()
            ts.who_wants.add(cs)
            cs.wants_what.add(ts)

    def release(self, client: str, keys: Any) -> None:
        cs = self.scheduler.clients.get(client)
        if cs is not None:
            self.scheduler._client_releases_keys(keys=keys, cs=cs, recommendations={})
