"""Measures the cost of recording for a Dask scheduler, on one cluster in one run.

    python Tests/Python/benchmark.py

One `dask scheduler` and two `dask worker`s run the same tasks round after round; from round to
round another plugin is attached to the scheduler, in turns: none, one that does nothing, tasklog,
the RabbitMQ plugin of Dask's documentation (its code, publishing to a local sink that reads all
and answers nothing), and one that inserts a row into SQLite and commits. Prints the medians with
the interquartile range of the rounds, in microseconds of CPU per transition at the scheduler:
of the thread that runs the event loop, and of the whole process.

The time of tasklog's hook alone, and the bytes of the log per task, are printed at the end.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from distributed import Client, wait
from distributed.diagnostics.plugin import SchedulerPlugin

sys.path.insert(0, str(Path(__file__).parent))

from clusters import CommandCluster, Recording  # noqa: E402

VARIANTS = ["none", "no-op", "tasklog", "rabbitmq", "sqlite"]


class NoOp(SchedulerPlugin):
    name = "benchmark"

    def transition(self, key, start, finish, *args, **kwargs):  # type: ignore[no-untyped-def]
        pass


class RabbitMQPlugin(SchedulerPlugin):
    """As in Dask's documentation, except for the port."""

    name = "benchmark"

    def __init__(self, port: int) -> None:
        import pika

        parameters = pika.ConnectionParameters(host="localhost", port=port, heartbeat=0)
        connection = pika.BlockingConnection(parameters)
        channel = connection.channel()
        channel.queue_declare(queue="dask_task_status", durable=True)
        self.channel, self.properties = channel, pika.BasicProperties

    def transition(self, key, start, finish, *args, **kwargs):  # type: ignore[no-untyped-def]
        message = dict(key=str(key), start=start, finish=finish)
        self.channel.basic_publish(
            exchange="",
            routing_key="dask_task_status",
            body=json.dumps(message),
            properties=self.properties(delivery_mode=2),
        )


def serve_sink(port: Any) -> None:
    """A broker that accepts everything and discards what is published; in a separate process."""
    import socket
    import threading

    from pika import frame, spec

    def connection(client: Any) -> None:
        waiting = b""
        answers = {
            spec.Connection.StartOk: [spec.Connection.Tune(0, 131072, 0)],
            spec.Connection.Open: [spec.Connection.OpenOk()],
            spec.Channel.Open: [spec.Channel.OpenOk()],
            spec.Queue.Declare: [spec.Queue.DeclareOk("dask_task_status", 0, 0)],
        }
        client.recv(8)
        start = spec.Connection.Start(0, 9, {}, "PLAIN", "en_US")
        client.sendall(frame.Method(0, start).marshal())
        is_set_up = False
        while content := client.recv(1 << 16):
            if is_set_up:
                continue
            waiting += content
            while True:
                count, decoded = frame.decode_frame(waiting)
                if decoded is None:
                    break
                waiting = waiting[count:]
                kind = type(getattr(decoded, "method", None))
                for answer in answers.get(kind, []):
                    client.sendall(frame.Method(decoded.channel_number, answer).marshal())
                is_set_up = is_set_up or kind is spec.Queue.Declare

    listener = socket.create_server(("127.0.0.1", 0))
    port.value = listener.getsockname()[1]
    while True:
        client, _ = listener.accept()
        threading.Thread(target=connection, args=(client,), daemon=True).start()


class SQLitePlugin(SchedulerPlugin):
    name = "benchmark"

    def __init__(self, path: str) -> None:
        import sqlite3

        self.connection = sqlite3.connect(path)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("CREATE TABLE event (time, key, start, finish, kwargs)")

    def transition(self, key, start, finish, *args, **kwargs):  # type: ignore[no-untyped-def]
        row = (time.time(), str(key), start, finish, json.dumps(kwargs, default=repr))
        self.connection.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?)", row)
        self.connection.commit()


async def attach(dask_scheduler: Any, variant: str, folder: str, port: int) -> None:
    """Attaches one of the plugins, and detaches the previous one."""
    from tasklog import Recorder

    s = dask_scheduler
    if "tasklog" in s.plugins:
        await s.plugins["tasklog"].detach()
    s.plugins.pop("benchmark", None)
    if variant == "no-op":
        s.add_plugin(NoOp())
    elif variant == "rabbitmq":
        s.add_plugin(RabbitMQPlugin(port))
    elif variant == "sqlite":
        s.add_plugin(SQLitePlugin(os.path.join(folder, f"plain-{time.time_ns()}.db")))
    elif variant == "tasklog":
        await Recorder(os.path.join(folder, "run.db")).attach(s)


def consumed(dask_scheduler: Any) -> tuple[int, float, float]:
    """Transitions so far, and the CPU of the thread of the event loop and of the process."""
    return (
        dask_scheduler.transition_counter,
        time.thread_time(),
        time.process_time(),
    )


def work(x: int) -> int:
    return x + 1


def round_of(client: Client, tasks: int, is_summed: bool = True) -> tuple[int, float, float]:
    """Runs tasks, and one that needs all of their results: half of them move to another worker."""
    before = client.run_on_scheduler(consumed)
    futures = client.map(work, range(tasks), pure=False)
    if is_summed:
        total = client.submit(sum, futures, pure=False)
        assert total.result() == tasks * (tasks + 1) // 2
        del total
    else:
        wait(futures)
    del futures
    while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
        pass
    after = client.run_on_scheduler(consumed)
    return tuple(b - a for a, b in zip(before, after, strict=True))  # type: ignore[return-value]


def told(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:8.1f} [{low:.1f} … {high:.1f}]"


def time_of_hook(rounds: int = 7) -> float:
    """Microseconds of one call of the transition hook, in the mix of states of a real task."""
    from tasklog.recorder import Recorder

    class Task:
        suspicious, annotations, _queueable = 0, None, True
        worker_restrictions = host_restrictions = resource_restrictions = None
        dependencies = dependents = ()

        def __init__(self, key: str) -> None:
            self.key = key
            self.processing_on = type("WS", (), {"address": "tcp://127.0.0.1:40001"})()
            self.run_id = 5

    class Entry:
        timestamp, recommendations = 1795463561.39, {}

    finish = {
        "worker": "tcp://127.0.0.1:40001", "nbytes": 28, "type": b"\x80\x05\x95\x14" * 8,
        "typename": "int", "thread": 139771418830528, "metadata": {}, "status": "OK",
        "startstops": ({"action": "compute", "start": 1795463561.1, "stop": 1795463561.2},),
    }  # fmt: skip
    steps = [
        ("released", "waiting", {}, {"x": "processing"}), ("waiting", "processing", {}, {}),
        ("processing", "memory", finish, {"y": "processing"}), ("memory", "released", {},
        {"x": "forgotten"}), ("released", "forgotten", {}, {}),
    ]  # fmt: skip
    import asyncio

    from distributed import Scheduler

    best = float("inf")
    logging.getLogger("distributed").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:

        async def measure() -> None:
            nonlocal best
            async with Scheduler(dashboard=False, dashboard_address=":0", port=0) as scheduler:
                recorder = Recorder(os.path.join(folder, "run.db"), workers=False)
                await recorder.attach(scheduler)
                tasks = {f"work-{n:032x}": Task(f"work-{n:032x}") for n in range(2000)}
                scheduler.tasks.update(tasks)  # type: ignore[arg-type]
                recorder._known.update(tasks)
                entry = Entry()
                scheduler.transition_log.append(entry)  # type: ignore[arg-type]
                for _ in range(rounds):
                    began = time.thread_time_ns()
                    for key in tasks:
                        recorder._known.add(key)
                        for start, end, kwargs, recommendations in steps:
                            entry.recommendations = recommendations
                            scheduler.transition_counter += 1
                            recorder.transition(
                                key, start, end, stimulus_id="task-finished-1795463561.39", **kwargs
                            )
                    best = min(best, (time.thread_time_ns() - began) / len(tasks) / len(steps))
                scheduler.tasks.clear()

        asyncio.run(measure())
    return best / 1000


def bytes_per_task(client: Client, folder: str, tasks: int) -> None:
    """The size of a log with only one round, with and without the tasks that reached the workers;
    with enough tasks that the pages of an empty log (180 kB) do not count."""

    async def record(dask_scheduler: Any, path: str, stimuli: bool) -> None:
        from tasklog import Recorder

        if "tasklog" in dask_scheduler.plugins:
            await dask_scheduler.plugins["tasklog"].detach()
        if path:
            await Recorder(path, stimuli=stimuli).attach(dask_scheduler)

    for is_summed, what in ((False, "of a map"), (True, "of a map and the sum of its results")):
        sizes = []
        for stimuli in (False, True):
            path = os.path.join(folder, f"bytes-{is_summed}-{stimuli}.db")
            client.run_on_scheduler(record, path=path, stimuli=stimuli)
            round_of(client, tasks, is_summed)
            client.run_on_scheduler(record, path="", stimuli=stimuli)
            sizes.append(os.path.getsize(path) / tasks)
        print(f"bytes of the log per task {what} ({tasks} tasks), with workers: {sizes[0]:.0f}")
        print(f"  and of the stimuli of workers: {sizes[1] - sizes[0]:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="What recording costs a Dask scheduler.")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--tasks", type=int, default=2000)
    arguments = parser.parse_args()
    variants, port = list(VARIANTS), multiprocessing.Value("i", 0)
    try:
        import pika  # noqa: F401

        multiprocessing.Process(target=serve_sink, args=(port,), daemon=True).start()
    except ImportError:
        variants.remove("rabbitmq")
        print("the RabbitMQ plugin is left out: pip install pika")
    loop: dict[str, list[float]] = {variant: [] for variant in variants}
    process: dict[str, list[float]] = {variant: [] for variant in variants}
    with tempfile.TemporaryDirectory() as folder:
        recording = Recording(Path(folder))
        recording.environment["TASKLOG_WORKER_SPOOL"] = os.path.join(folder, "spool")
        with CommandCluster(recording) as cluster:
            for name in ("one", "two"):
                cluster.add_worker("--no-nanny", "--name", name)
            with Client(cluster.address) as client:
                client.wait_for_workers(2)
                for number in range(arguments.rounds + 1):
                    # Every other round in the reverse order.
                    for variant in variants if number % 2 else reversed(variants):
                        client.run_on_scheduler(
                            attach, variant=variant, folder=folder, port=port.value
                        )
                        count, thread, whole = round_of(client, arguments.tasks)
                        # The first round warms up.
                        if number > 0:
                            loop[variant].append(thread / count * 1e6)
                            process[variant].append(whole / count * 1e6)
                client.run_on_scheduler(attach, variant="none", folder=folder, port=0)
                bytes_per_task(client, folder, 5 * arguments.tasks)
        print(f"CPU per transition in µs, median and middle half of {arguments.rounds} rounds")
        print(f"{'':10}{'event loop':>28}{'whole process':>28}")
        for variant in variants:
            print(f"{variant:10}{told(loop[variant]):>28}{told(process[variant]):>28}")
        for name, costs in (("event loop", loop), ("whole process", process)):
            base, ours = (statistics.median(costs[v]) for v in ("no-op", "tasklog"))
            print(f"tasklog over no-op, {name}: {(ours / base - 1) * 100:+.1f} %")
    print(f"transition hook alone: {time_of_hook():.2f} µs")


if __name__ == "__main__":
    main()
