"""`tasklog replay` through plugins in Python: in a replay they end as they did live."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import feeding
import watchers
from clusters import HERE
from log import Log
from replaying import WATCHERS, without_an_assignment
from watched import Watched


@pytest.fixture(params=["watched_in_process", "watched_in_processes"])
def recorded(request: pytest.FixtureRequest) -> Watched:
    return request.getfixturevalue(request.param)


def test_scheduler_plugins_end_as_they_did_live(recorded: Watched, replay: Callable) -> None:
    wanted = [(n, path) for n, (_, paths) in watchers.ON_SCHEDULER.items() for path in paths]
    lines = replay(recorded.log).results(list(watchers.ON_SCHEDULER), wanted)
    assert len(lines) == len(wanted)
    for (name, path), line in zip(wanted, lines, strict=True):
        live = recorded.scheduler[f"{name}.{path}"]
        if name == "GroupTiming" and path != "nthreads":
            close(json.loads(line), json.loads(live))
        else:
            assert line == live, f"{name}.{path}"


def close(replayed: Any, live: Any) -> None:
    """The plugin reads the clock a little after the event, which is not recorded: its bins differ
    by that."""
    if isinstance(live, dict):
        assert replayed.keys() == live.keys()
        for name, value in live.items():
            close(replayed[name], value)
    elif isinstance(live, list):
        assert len(replayed) == len(live)
        for ours, theirs in zip(replayed, live, strict=True):
            close(ours, theirs)
    else:
        assert abs(replayed - live) < 0.5


def test_worker_plugins_end_as_they_did_live(recorded: Watched, replay: Callable) -> None:
    wanted = [(n, path) for n, (_, paths) in watchers.ON_WORKERS.items() for path in paths]
    lines = replay(recorded.log).results(list(watchers.ON_WORKERS), wanted)
    assert len(lines) == len(wanted)
    assert recorded.workers
    for (name, path), line in zip(wanted, lines, strict=True):
        # A killed worker has not reported its plugins; the replayed ones have its events.
        replayed = json.loads(line)
        assert recorded.workers.keys() <= replayed.keys()
        for address, live in recorded.workers.items():
            assert replayed[address] == json.loads(live[f"{name}.{path}"]), f"{name} on {address}"


def test_the_recordings_hold_what_is_hard_to_replay(
    watched_in_process: Watched, watched_in_processes: Watched
) -> None:
    states, topics = set(), set()
    for kept in (watched_in_process, watched_in_processes):
        calls = json.loads(kept.scheduler["Everything.calls"])
        states |= {(call[2], call[3]) for call in calls if call[0] == "transition"}
        topics |= {call[1] for call in calls if call[0] == "log_event"}
    assert {finish for _, finish in states} >= {"queued", "erred", "memory", "forgotten"}
    assert "stealing" in topics
    restarted = [call for call in calls if call[0] == "restart"]
    assert len(restarted) == 1
    log = Log(watched_in_processes.log)
    assert log.one("SELECT count(DISTINCT key) FROM event") > 2000


def test_the_same_hook_of_the_documented_error_logger_fails_as_it_did_live(
    watched_in_process: Watched, replay: Callable
) -> None:
    done = replay(watched_in_process.log).run(f"--plugin={WATCHERS}:ErrorLogger")
    assert done.returncode == 0, done.stderr
    assert "object has no attribute 'tasks'" in done.stderr
    assert "fails on a cluster, too" in done.stderr and "has no Worker.tasks" in done.stderr


OWN = """from distributed.diagnostics.plugin import SchedulerPlugin


class Own(SchedulerPlugin):
    def transition(self, key, start, finish, *args, **kwargs):
        if finish == "erred":
            raise ValueError("no erred please")
"""


def test_a_plugin_that_fails_is_told_and_disturbs_no_other(
    watched_in_process: Watched, replay: Callable, tmp_path: Path
) -> None:
    replayed = replay(watched_in_process.log)
    done = replayed.run(f"--plugin={WATCHERS}:Failing", f"--plugin={WATCHERS}:Counter")
    failed = json.loads(watched_in_process.scheduler["Failing.failed"])
    counter = watched_in_process.scheduler["Counter.counter"]
    # It failed live, too.
    assert done.returncode == 0, done.stderr
    assert f"Failing' failed live, too: {failed} times" in done.stderr
    assert "ValueError: no erred please (watchers.py:" in done.stderr
    assert any(
        line.split() == ["counter", counter] or f"counter: {counter}" in line
        for line in done.stdout.splitlines()
    ), done.stdout
    # A failure that the live run had too ends nothing; one of a plugin that was not there does.
    whole = replayed.run(f"--plugin={WATCHERS}:Failing", "--fail-fast")
    assert whole.returncode == 0 and "ended" not in whole.stdout, whole.stdout
    (tmp_path / "own.py").write_text(OWN)
    ended = replayed.run(f"--plugin={tmp_path / 'own.py'}:Own", "--fail-fast")
    assert ended.returncode == 1
    assert "stopped at the first failure" in ended.stdout


def test_without_one_event_comparisons_fail_and_drift_appears(
    watched_in_process: Watched,
) -> None:
    log = Log(watched_in_process.log)
    (victim,) = log.rows(
        """
        SELECT seq FROM event JOIN source ON source.id = source
        WHERE kind = 'scheduler' AND hook = (SELECT id FROM text WHERE text = 'transition')
          AND finish = (SELECT id FROM text WHERE text = 'processing') LIMIT 1 OFFSET 40
        """
    )[0]
    plugins = [
        (f"{WATCHERS}:{name}", {})
        for name in watchers.ON_SCHEDULER
        if name not in ("GroupTiming", "Failing")
    ]
    wanted = [
        [f"{WATCHERS}:{name}", path]
        for name, (_, paths) in watchers.ON_SCHEDULER.items()
        if name not in ("GroupTiming", "Failing")
        for path in paths
    ]
    about = {"log": str(watched_in_process.log), "without": victim}
    done = subprocess.run(
        [
            sys.executable,
            feeding.__file__,
            json.dumps(about | {"plugins": plugins, "results": wanted}),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert sum(told["drift"].values()) > 0
    lines = told["results"]
    different = [
        f"{given.rpartition(':')[2]}.{path}"
        for (given, path), line in zip(wanted, lines, strict=True)
        if line != watched_in_process.scheduler[f"{given.rpartition(':')[2]}.{path}"]
    ]
    assert {"MyPlugin.seen", "Everything.calls", "Probe.digests"} <= set(different)


def test_what_does_not_fit_the_recording_makes_the_exit_code_3(
    watched_in_process: Watched, replay: Callable, tmp_path: Path
) -> None:
    log = without_an_assignment(watched_in_process.log, tmp_path / "without.db")
    failing = tmp_path / "failing.py"
    failing.write_text("class Failing:\n    def transition(self, *args, **kwargs): 1 / 0\n")
    looking = [f"--plugin={WATCHERS}:MyPlugin"]
    for plugins, code in (
        (looking, 3),
        # A failure comes first.
        ([*looking, f"--plugin={failing}:Failing"], 1),
        # No plugin reads what does not fit.
        ([f"--plugin={WATCHERS}:Counter"], 0),
    ):
        done = replay(log).run(*plugins)
        assert done.returncode == code, (plugins, done.stdout, done.stderr)
        assert ("drift: " in done.stderr) == (plugins[:1] == looking), done.stderr
    done = replay(log).run(f"--plugin={HERE}/Looking.swift")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "did not match the rebuilt state" in done.stderr


def test_a_part_of_a_run_calls_plugins_with_the_state_as_it_was(
    watched_in_process: Watched, replay: Callable
) -> None:
    live = json.loads(watched_in_process.scheduler["MyPlugin.seen"])
    log = Log(watched_in_process.log)
    middle = log.one("SELECT max(seq) / 2 FROM event")
    (line,) = replay(watched_in_process.log).results(
        ["MyPlugin"], [("MyPlugin", "seen")], "--from", str(middle)
    )
    part = json.loads(line)
    assert 10 < len(part) < len(live)
    assert part == live[len(live) - len(part) :]


def test_the_end_of_a_part_is_the_last_that_plugins_are_called_with(
    watched_in_process: Watched, replay: Callable
) -> None:
    live = json.loads(watched_in_process.scheduler["MyPlugin.seen"])
    # Events of workers come in batches, so that a part of the log may contain only theirs.
    told = Log(watched_in_process.log).rows(
        """
        SELECT seq FROM event JOIN source ON source.id = source
        WHERE kind = 'scheduler' AND hook = (SELECT id FROM text WHERE text = 'transition')
        ORDER BY seq
        """
    )
    assert len(told) == len(live)
    first, last = len(live) // 4, len(live) // 2
    (line,) = replay(watched_in_process.log).results(
        ["MyPlugin"],
        [("MyPlugin", "seen")],
        "--from",
        str(told[first][0]),
        "--to",
        str(told[last][0]),
    )
    assert json.loads(line) == live[first : last + 1]


def test_events_of_one_key_and_of_one_source_are_chosen(
    watched_in_process: Watched, replay: Callable
) -> None:
    live = json.loads(watched_in_process.scheduler["MyPlugin.seen"])
    wanted = [("MyPlugin", "seen")]
    replayed = replay(watched_in_process.log)
    key = live[len(live) // 2][0]
    (line,) = replayed.results(["MyPlugin"], wanted, "--key", key)
    assert json.loads(line) == [row for row in live if row[0] == key]
    # Nothing but workers: a plugin on the scheduler is not called.
    (line,) = replayed.results(["Counter"], [("Counter", "counter")], "--source", "worker")
    assert line == "0"
    chosen = min(watched_in_process.workers)
    (line,) = replayed.results(["Notified"], [("Notified", "observed")], "--source", chosen)
    observed = json.loads(watched_in_process.workers[chosen]["Notified.observed"])
    assert json.loads(line) == {chosen: observed}


def test_the_recorded_speed_changes_nothing_but_the_time(
    watched_in_process: Watched, replay: Callable
) -> None:
    (line,) = replay(watched_in_process.log).results(
        ["MyPlugin"], [("MyPlugin", "seen")], "--speed", "20x"
    )
    assert line == watched_in_process.scheduler["MyPlugin.seen"]


def test_a_log_that_was_recorded_from_the_middle_on_replays_exactly(
    attached: Any, replay: Callable
) -> None:
    lines = replay(attached.log).results(["Probe"], [("Probe", "rows")])
    assert int(lines[0]) > 100
    lines = replay(attached.log).results(
        ["WorkerProbe"], [("WorkerProbe", "worker.state.nthreads")]
    )
    assert set(json.loads(lines[0]).values()) == {2}


def test_two_replays_are_equal_to_the_byte(watched_in_processes: Watched, replay: Callable) -> None:
    wanted = [("Everything", "calls"), ("GraphLayout", "index_edge"), ("Probe", "digests")]
    first, second = (
        replay(watched_in_processes.log).results(["Everything", "GraphLayout", "Probe"], wanted)
        for _ in range(2)
    )
    assert first == second


ACTING = '''
from distributed.diagnostics.plugin import SchedulerPlugin

class Acting(SchedulerPlugin):
    """Does to the cluster whatever comes to mind."""

    def __init__(self):
        self.answers = []

    async def start(self, scheduler):
        self.scheduler = scheduler

    def transition(self, key, start, finish, *args, **kwargs):
        if finish == "memory" and len(self.answers) < 3:
            s = self.scheduler
            s.transitions({key: "released"}, "mine")
            s.log_event("mine", {"action": "mine"})
            s.cancel_keys = s.stimulus_cancel([key], "client")
            self.answers.append(s.tasks[key].state)

    async def before_close(self):
        import distributed
        s = self.scheduler
        await s.broadcast(msg={"op": "identity"})
        await s.retire_workers(workers=list(s.workers))
        for address in ADDRESSES or list(s.workers):
            await s.rpc(address).identity()
            s.stream_comms.get(address) and s.stream_comms[address].send({"op": "close"})
            try:
                async with distributed.rpc(address) as other:
                    await other.identity()
            except OSError as error:
                self.answers.append(str(error)[:15])

ADDRESSES = []
'''


def test_what_acts_on_a_cluster_is_counted_and_contacts_nobody(
    watched_in_processes: Watched, replay: Callable, tmp_path: Path
) -> None:
    contacts = []
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(20)

        def accept() -> None:
            try:
                contacts.append(server.accept())
            except OSError:
                pass

        listening = threading.Thread(target=accept, daemon=True)
        listening.start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        file = tmp_path / "acting.py"
        file.write_text(ACTING.replace("ADDRESSES = []", f"ADDRESSES = ['{address}']"))
        done = replay(watched_in_processes.log).run(f"--plugin={file}", "--result=answers")
        assert done.stdout.splitlines() == ['["memory","memory","memory","nothing is cont"]'], (
            done.stderr
        )
    assert contacts == []
    for name in ("transitions", "log_event", "broadcast", "retire_workers", "rpc.identity"):
        assert f"Scheduler.{name} (" in done.stderr, done.stderr
    assert "distributed.connect (1)" in done.stderr
    assert "drift" not in done.stderr


def test_the_clock_shows_the_time_of_the_event(
    watched_in_process: Watched, replay: Callable, tmp_path: Path
) -> None:
    file = tmp_path / "clock.py"
    file.write_text(
        "import time\nfrom time import time as now\n"
        "class Clock:\n"
        "    def __init__(self):\n        self.seen = []\n"
        "    def transition(self, key, start, finish, *args, **kwargs):\n"
        "        assert time.time() == now()\n        self.seen.append(now())\n"
    )
    done = replay(watched_in_process.log).run(f"--plugin={file}:Clock", "--result=seen")
    seen = json.loads(done.stdout)
    recorded = Log(watched_in_process.log).rows(
        """
        SELECT time FROM event JOIN source ON source.id = source WHERE kind = 'scheduler'
          AND hook = (SELECT id FROM text WHERE text = 'transition') ORDER BY source_seq
        """
    )
    assert seen == [nanoseconds / 10**9 for (nanoseconds,) in recorded]
