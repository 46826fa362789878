"""The snapshots suffice: Dask's own transition functions, fed with a recording in a scheduler that
is never started, reproduce every field that was seen live."""

from __future__ import annotations

from typing import Any

import beside
import probe
from clusters import Recording
from log import Event, Log
from replay_host import Host
from test_equality import MARKS, scheduler_of


def test_a_replay_sees_what_was_seen_live(recording: Recording, tasklog) -> None:
    tasklog(recording.log, "runs")
    log = Log(recording.log)
    server = scheduler_of(log)
    looked: list[tuple[str, Any, dict]] = []

    def see(scheduler: Any, event: Event) -> None:
        if event.hook not in MARKS:
            key = event.key if event.hook == "transition" else None
            looked.append((event.hook, event.key, probe.look(scheduler, key)))

    host = Host(see)
    host.replay(log, server)
    assert dict(host.drift) == {}
    live = beside.read(recording.folder / f"scheduler-{server}")
    if "attached" in recording.folder.name:
        looked = looked[len(looked) - len(live) :]
        # The transition log from before is not recorded.
        for told in (*looked, *live):
            for name in ("last transition", "transition_log"):
                told[-1].pop(name, None)
    # Older versions add a graph's tasks, let others run, and only then call the hook.
    is_late = not any("stimulus_id" in str(row[2]) for row in live if row[0] == "updateGraph")
    different: dict[str, list] = {}
    compared = 0
    for number, ((hook, key, replayed), (expected_hook, _, _, seen)) in enumerate(
        zip(looked, live, strict=False)
    ):
        assert hook == expected_hook
        assert seen.keys() == replayed.keys(), (number, hook, seen.keys() ^ replayed.keys())
        compared += len(seen)
        for name, value in seen.items():
            if hook == "logEvent" and is_late and name in ("tasks", "groups", "prefixes"):
                continue
            if value != replayed[name]:
                where = (number, hook, key, value, replayed[name])
                different.setdefault(name, []).append(where)
    assert compared > 1000
    assert {name: (len(rows), rows[:2]) for name, rows in different.items()} == {}
