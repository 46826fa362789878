"""Measures a replay through Python plugins: `python Tests/Python/replay_benchmark.py [LOG]`.

Without a log one is recorded: a job of thousands of tasks on a `LocalCluster`. Printed are events
of the scheduler per second, the best of several rounds that are measured in turns:

- the host's own loop: the events are in memory as the pipe would send them, already decoded;
- the command with the same plugin, which reads the state: reading the log, the pipe, decoding,
Dask's own transition functions, the plugin (target: 0.6 of the loop);
- the command with a plugin that uses only its arguments (target: 3 times the previous one), and
with one that does not even read these.

Starting Python and importing Dask is measured with an empty plugin list, and subtracted.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgpack

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import feeding  # noqa: E402
from clusters import Recording  # noqa: E402
from log import Log  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "3"))

PLUGINS = '''
class Looking:
    """Looks at the task in the scheduler at each transition."""

    def __init__(self, scheduler):
        self.scheduler = scheduler
        self.nbytes = 0

    def transition(self, key, start, finish, *args, **kwargs):
        ts = self.scheduler.tasks[key]
        if finish == "memory":
            self.nbytes += ts.nbytes


class Arguments:
    """Uses its arguments only."""

    def __init__(self):
        self.nbytes = 0

    def transition(self, key, start, finish, *args, **kwargs):
        if finish == "memory":
            self.nbytes += kwargs.get("nbytes", 0)


class Counting:
    """Does not look at its arguments."""

    def __init__(self):
        self.counter = 0

    def transition(self, key, start, finish, *args, **kwargs):
        if start == "processing" and finish == "memory":
            self.counter += 1
'''


def record(folder: Path, tasks: int) -> Path:
    from distributed import Client, LocalCluster, wait

    recording = Recording(folder)
    recording.prepare()
    recording.environment["DASK_DISTRIBUTED__SCHEDULER__PRELOAD"] = '["tasklog"]'
    import dask

    os.environ["TASKLOG_LOG"] = str(recording.log)
    os.environ["TASKLOG_WORKER_SPOOL"] = str(folder / "spool")
    with (
        dask.config.set({"distributed.scheduler.preload": ["tasklog"]}),
        LocalCluster(
            n_workers=2, threads_per_worker=2, processes=True, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        for start in range(0, tasks, 2000):
            futures = client.map(abs, range(start, start + 2000))
            total = client.submit(sum, futures)
            wait(total)
            del futures, total
    return recording.log


def own_loop(log: Path, plugin: str, made: list[list]) -> float:
    """Seconds of the host for events that are decoded already."""
    from tasklog.replay import frames
    from tasklog.replay.events import Event
    from tasklog.replay.host import Host

    host = Host(feeding.Kept())  # type: ignore[arg-type]
    host.greet(feeding.greeting(log, [(plugin, {})]))
    scheduler = None
    events = []
    for frame in made:
        if frame[0] == frames.SOURCE:
            asyncio.run(host._take(frame))
            if frame[2] == "scheduler":
                scheduler = frame[1]
        elif frame[0] == frames.BLOB:
            host._blobs[frame[1]] = frame[2]
        elif frame[3] == scheduler:
            event = Event(frame, host.decoder, host._keys)
            # Decoded when they are first read.
            _ = event.arguments, event.snapshot
            events.append(event)
    replay = host.replays[scheduler]

    async def loop() -> float:
        began = time.perf_counter()
        for event in events:
            if not replay.take(event):
                await replay.take_awaiting(event)
        return time.perf_counter() - began

    seconds = asyncio.run(loop())
    host.clock.release()
    assert not host.drift, host.drift
    return seconds


def command(program: Path, log: Path, plugin: str) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        [program, "replay", "--log", log, "--plugin", plugin, "--python", sys.executable],
        capture_output=True,
        text=True,
    )
    seconds = time.perf_counter() - began
    assert done.returncode == 0 and "drift" not in done.stderr, done.stderr
    return seconds


def main() -> None:
    program = Path(
        os.environ.get("TASKLOG_TEST_PROGRAM", HERE.parents[1] / ".build" / "release" / "tasklog")
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = Path(sys.argv[1]) if len(sys.argv) > 1 else record(folder, 10_000)
        plugins = folder / "benchmarked.py"
        plugins.write_text(PLUGINS)
        # The same plugin over an almost empty log: the cost of starting.
        small = folder / "small"
        small.mkdir()
        nothing = record(small, 0)
        count = Log(log).one(
            "SELECT count(*) FROM event JOIN source ON source.id = source WHERE kind = 'scheduler'"
        )
        made = feeding.frames_of(log)
        best: dict[str, float] = {}

        def keep(name: str, seconds: float) -> None:
            best[name] = min(seconds, best.get(name, seconds))

        for _ in range(ROUNDS):
            keep("loop", own_loop(log, f"{plugins}:Looking", [list(frame) for frame in made]))
            for kind in ("Looking", "Arguments", "Counting"):
                keep(kind, command(program, log, f"{plugins}:{kind}"))
                keep(f"start {kind}", command(program, nothing, f"{plugins}:{kind}"))
        tell(count, best)


def tell(count: int, best: dict[str, Any]) -> None:
    rates = {"own loop over events in memory": count / best["loop"]}
    for kind, label in (
        ("Looking", "command, state rebuilt"),
        ("Arguments", "command, arguments only"),
        ("Counting", "command, not even arguments"),
    ):
        rates[label] = count / max(best[kind] - best[f"start {kind}"], 1e-9)
    print(f"{count} events of the scheduler, best of {ROUNDS} rounds, {msgpack.version=}")
    for label, rate in rates.items():
        print(f"  {label:<34} {rate:>12,.0f} events/s")
    loop, rebuilt, arguments, _ = rates.values()
    print(f"  rebuilt / own loop {rebuilt / loop:.2f} (wanted 0.60)")
    print(f"  arguments only / rebuilt {arguments / rebuilt:.1f} (wanted 3.0)")
    print(
        "  starting: "
        + ", ".join(f"{k} {best[f'start {k}']:.2f} s" for k in ("Looking", "Arguments", "Counting"))
    )


if __name__ == "__main__":
    main()
