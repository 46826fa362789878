"""A `Worker` that is never started, with a real `WorkerState`."""

from __future__ import annotations

import builtins
import sys
import types
from typing import Any

import distributed.worker_state_machine as machine
from dask.sizeof import sizeof
from distributed.core import Status

from tasklog.replay.forbidden import WORKER, NullConnection, forbid
from tasklog.replay.looking import watch_fields
from tasklog.replay.scheduler import HOSTS, host_of
from tasklog.replay.standing import BASES, stand_in
from tasklog.replay.worker_machine import ReplayedWorkerState


class NotRecorded:
    """Stands in for the value of a task."""

    def __init__(self, nbytes: int | None, type_name: str | None) -> None:
        self.nbytes = nbytes
        self.type_name = type_name

    def __repr__(self) -> str:
        return f"<a {self.type_name or 'value'} that is not recorded>"


@sizeof.register(NotRecorded)
def _size(value: NotRecorded) -> int:
    return value.nbytes or 0


# What Dask's class is derived from depends on the version.
class NeverStartedWorker(*BASES):  # type: ignore[misc]
    """What a plugin is set up on. It has the attributes that do not need a running server."""

    _replay_host: Any

    def __init__(self, host: Any, facts: dict[str, Any], owner: Any) -> None:
        machine.get_address_host = host_of
        address = facts["address"]
        HOSTS.setdefault(address, facts.get("host") or "")
        self._replay_host = host
        self.plugins: dict[str, Any] = {}
        limits = {k: v for k, v in facts.get("limits", {}).items() if v is not None}
        self.state = ReplayedWorkerState(
            nthreads=facts["nthreads"],
            address=address,
            plugins=self.plugins,
            resources=facts.get("resources", {}),
            validate=False,
            **limits,
        )
        self.state._owner = owner
        self.id = facts["serverID"]
        self.name = facts["name"]
        self.nanny = facts.get("nanny")
        self.contact_address = self._address = address
        self.ip = facts.get("host", "")
        self.local_directory = facts.get("localDirectory", "")
        self.memory_manager = types.SimpleNamespace(
            memory_limit=facts.get("memoryLimit") or None, data=self.state.data
        )
        self._status = Status.running
        self.scheduler = NullConnection(host, "Worker.scheduler")
        self.rpc = NullConnection(host, "Worker.rpc")
        self.batched_stream = NullConnection(host, "Worker.batched_stream")
        self.scheduler_delay = 0.0
        self._client = None
        stand_in(self)


forbid(NeverStartedWorker, WORKER, "Worker")
watch_fields(NeverStartedWorker, "Worker")


def type_of(text: str | None) -> Any:
    """The type with a recorded name, where it is at hand: nothing is imported for it. Else one of
    that name."""
    if text is None:
        return None
    where, _, name = text.rpartition(".")
    module: Any = sys.modules.get(where) if where else builtins
    found = getattr(module, name, None)
    if isinstance(found, type):
        return found
    if text == "NoneType":
        return type(None)
    if text not in _MADE:
        _MADE[text] = type(name, (), {"__module__": where or "builtins"})
    return _MADE[text]


_MADE: dict[str, type] = {}
