"""The product's host of a scheduler's state, fed from the log without the command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from log import Event, Log
from tasklog.replay.host import Host as ReplayHost
from tasklog.replay.scheduler_state import SchedulerStateHost


class Host:
    """Applies the events of a scheduler, and calls `seen` as plugins are called live."""

    def __init__(self, seen: Callable[[Any, Event], None]) -> None:
        self.seen = seen
        host = ReplayHost()
        self.drift = host.drift
        self.state = SchedulerStateHost(host)

    def replay(self, log: Log, server: str) -> None:
        log.decoder.reference = self.state.reference
        for event in log.events(server):
            self.state.apply(event)
            self.seen(self.state.scheduler, event)
            self.state.finish(event)
