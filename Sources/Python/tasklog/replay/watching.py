"""Ends the host when a plugin does not come back."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from tasklog.replay import frames

_TICK_SECONDS = 0.2


def watch(host: Any, seconds: float, answers: frames.Answers) -> None:
    """Looks from another thread whether the calls of plugins come to their ends."""
    # As it is here, before plugins see the time of the recording.
    clock = time.monotonic

    def look() -> None:
        since, last = clock(), -1
        while True:
            time.sleep(min(_TICK_SECONDS, seconds / 4))
            if host.calling is None or host.call_count != last:
                since, last = clock(), host.call_count
            elif clock() - since > seconds:
                break
        event = host.present
        place = "" if event is None else f" in {event.in_words()} (seq {event.seq})"
        name = host.names.get(id(host.calling), type(host.calling).__name__)
        answers.send(
            frames.ERROR,
            f"plugin '{name}' has not come back for {seconds} s{place}; --timeout gives it more",
        )
        os._exit(1)

    threading.Thread(target=look, name="tasklog-watch", daemon=True).start()
