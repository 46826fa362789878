"""Runs the graphs of graphs.json on a real Dask and prints, as JSON, every transition of them.

    python dask_side.py graphs.json [NAME...] > transitions.json
    python dask_side.py --tables > edges.json

The steps of a graph are the methods of `Side`; the Swift test runs the same file on our engine.
"""

import asyncio
import faulthandler
import json
import logging
import subprocess
import sys
import threading

import dask
from distributed import (
    Client,
    Reschedule,
    Scheduler,
    SchedulerPlugin,
    Worker,
    WorkerPlugin,
    get_client,
    secede,
)

DEADLINE_SECONDS = 20
# One graph takes a second or two.
GRAPH_SECONDS = 60
VALUES = ("status", "cause", "worker")


class Run:
    """What the tasks and plugins of the current graph share; all of it is in one process."""

    gates: dict = {}
    started: list = []
    left: dict = {}
    worker_events: dict = {}
    addresses: dict = {}


def task(kind, key, *inputs):
    """Every task of every graph."""
    Run.started.append(key)
    if "secede" in kind:
        secede()
    if "gate" in kind:
        assert Run.gates.setdefault(key, threading.Event()).wait(DEADLINE_SECONDS)
    if "flaky" in kind:
        left = Run.left.setdefault(key, 1)
        Run.left[key] = left - 1
        if left > 0:
            raise ValueError("flaky")
    if "reschedule" in kind:
        left = Run.left.setdefault(key, 1)
        Run.left[key] = left - 1
        if left > 0:
            raise Reschedule()
    if "nest" in kind:
        inner = get_client().submit(task, "ok", key + "-inner", key=key + "-inner", pure=False)
        return inner.result() + 1
    if "fail" in kind:
        raise ValueError("broken")
    return sum(inputs) + 1


class SchedulerProbe(SchedulerPlugin):
    name = "probe"

    def __init__(self):
        self.events = []
        self.hooks = []

    def transition(self, key, start, finish, *args, stimulus_id=None, **kwargs):
        values = {name: kwargs[name] for name in VALUES if name in kwargs}
        self.events.append([key, start, finish, sorted(kwargs), values])

    def update_graph(self, scheduler, *, client, keys, tasks, annotations, priority, **kwargs):
        self.hooks.append(
            [
                "updateGraph",
                sorted(keys),
                sorted(tasks),
                sorted(annotations),
                sorted(key for key, value in priority.items() if value),
            ]
        )

    def add_worker(self, scheduler, worker):
        self.hooks.append(["addWorker", worker])

    def remove_worker(self, scheduler, worker, **kwargs):
        self.hooks.append(["removeWorker", worker])

    def restart(self, scheduler):
        self.hooks.append(["restart", "-"])

    def log_event(self, topic, msg):
        if topic == "all" and msg["action"] != "gather":
            self.hooks.append(["logEvent", msg["action"]])


class WorkerProbe(WorkerPlugin):
    name = "probe"

    def setup(self, worker):
        self.events = Run.worker_events[worker.name]

    def transition(self, key, start, finish, **kwargs):
        self.events.append([key, start, finish])


class Side:
    """One scheduler, its workers and a client, and the futures that are held."""

    async def run(self, graph):
        Run.gates, Run.started, Run.left = {}, [], {}
        Run.worker_events, Run.addresses = {}, {}
        self.futures, self.workers, self.frozen, self.born = {}, {}, {}, 0
        self.probe = SchedulerProbe()
        threads = graph.get("threads", 1)
        dask.config.set({"distributed.scheduler.work-stealing": graph.get("stealing", False)})
        async with Scheduler(
            protocol="inproc://", dashboard=False, dashboard_address=":0"
        ) as self.scheduler:
            self.scheduler.allowed_failures = graph.get("allowedFailures", 3)
            for _ in range(graph.get("workers", 1)):
                await self.add_worker({"threads": threads, "resources": graph.get("resources")})
            async with Client(self.scheduler.address, asynchronous=True) as self.client:
                await self.client.register_plugin(WorkerProbe())
                self.scheduler.add_plugin(self.probe)
                for step in graph["steps"]:
                    await getattr(self, step["op"])(step)
                await self.end()
                self.scheduler.remove_plugin("probe")
            for worker in self.workers.values():
                await worker.close()
        events = {name: self.frozen.get(name, events) for name, events in Run.worker_events.items()}
        for event in self.probe.events:
            if "worker" in event[4]:
                event[4]["worker"] = Run.addresses[event[4]["worker"]]
        for hook in self.probe.hooks:
            hook[1:] = [
                Run.addresses.get(part, part) if isinstance(part, str) else part
                for part in hook[1:]
            ]
        return {
            "scheduler": self.probe.events,
            "hooks": self.probe.hooks,
            "workers": [events[name] for name in sorted(events)],
        }

    async def submit(self, step):
        options = {}
        if "workers" in step:
            options["workers"] = [
                self.workers[name].address
                if name in self.workers
                else f"inproc://localhost/0/{name}"
                for name in step["workers"]
            ]
            options["allow_other_workers"] = step.get("allowOthers", False)
        for name in ("retries", "priority", "resources"):
            if name in step:
                options[name] = step[name]
        inputs = [self.futures[key] for key in step.get("inputs", [])]
        with dask.annotate(**step.get("annotations", {})):
            self.futures[step["key"]] = self.client.submit(
                task,
                step.get("kind", "ok"),
                step["key"],
                *inputs,
                key=step["key"],
                pure=False,
                **options,
            )

    async def map(self, step):
        keys = step["keys"]
        futures = self.client.map(
            task, [step.get("kind", "ok")] * len(keys), keys, key=keys, pure=False
        )
        self.futures.update(zip(keys, futures, strict=True))

    async def scatter(self, step):
        workers = [self.workers[name].address for name in step.get("workers", self.workers)]
        data = {key: 1 for key in step["keys"]}
        self.futures.update(await self.client.scatter(data, workers=workers))

    async def release(self, step):
        for key in step["keys"]:
            self.futures.pop(key)
            await asyncio.sleep(0)

    async def cancel(self, step):
        await self.client.cancel([self.futures[key] for key in step["keys"]])

    async def forget(self, step):
        """Fire and forget, then release the future."""
        from distributed import fire_and_forget

        for key in step["keys"]:
            fire_and_forget(self.futures.pop(key))

    async def open(self, step):
        for key in step["keys"]:
            Run.gates.setdefault(key, threading.Event()).set()

    async def add_worker(self, step):
        name = self.born
        self.born += 1
        Run.worker_events[name] = []
        worker = Worker(
            self.scheduler.address,
            nthreads=step.get("threads", 1),
            name=name,
            resources=step.get("resources"),
            dashboard=False,
        )
        self.workers[name] = worker
        await worker
        Run.addresses[worker.address] = name

    async def kill(self, step):
        name = step["worker"]
        self.frozen[name] = list(Run.worker_events[name])
        await self.scheduler.remove_worker(
            self.workers.pop(name).address, stimulus_id="kill", expected=False, close=True
        )

    async def retire(self, step):
        name = step["worker"]
        worker = self.workers.pop(name)
        await self.scheduler.retire_workers([worker.address], close_workers=True, remove=True)
        self.frozen[name] = list(Run.worker_events[name])

    async def restart(self, step):
        for name in list(self.workers):
            self.frozen[name] = list(Run.worker_events[name])
            self.workers.pop(name)
        await self.scheduler.restart(stimulus_id="restart", wait_for_workers=False)
        self.futures.clear()
        for _ in range(step["workers"]):
            await self.add_worker({})
        await self.client.register_plugin(WorkerProbe())

    async def until(self, step):
        def holds():
            tasks = self.scheduler.tasks
            states = {
                key: tasks[key].state if key in tasks else "gone" for key in step.get("states", {})
            }
            return (
                states == step.get("states", {})
                and all(
                    Run.started.count(key) >= count
                    for key, count in step.get("started", {}).items()
                )
                and all(
                    any(
                        key in worker.state.tasks and worker.state.tasks[key].state == state
                        for worker in self.workers.values()
                    )
                    for key, state in step.get("onWorker", {}).items()
                )
            )

        await self.wait(holds, step)

    async def end(self):
        for gate in Run.gates.values():
            gate.set()
        await self.release({"keys": list(self.futures)})
        await self.wait(
            lambda: (
                not self.scheduler.tasks
                and not any(worker.state.tasks for worker in self.workers.values())
            ),
            "end",
        )

    async def wait(self, holds, what):
        for _ in range(DEADLINE_SECONDS * 1000):
            if holds():
                return
            await asyncio.sleep(0.001)
        raise TimeoutError(f"{what}: {self.scheduler.tasks}")


def run_graphs(file, names):
    """Runs the named graphs and prints a line of JSON for each as it is done."""
    # Only events that the graphs cause may happen.
    logging.disable(logging.CRITICAL)
    dask.config.set(
        {
            "distributed.scheduler.active-memory-manager.start": False,
            "distributed.worker.memory.target": False,
            "distributed.worker.memory.spill": False,
            "distributed.worker.memory.pause": False,
            "distributed.worker.memory.terminate": False,
        }
    )
    with open(file) as text:
        graphs = {graph["name"]: graph for graph in json.load(text)}
    for name in names:
        # A hang must end with the place where it hangs.
        faulthandler.dump_traceback_later(GRAPH_SECONDS, exit=True)
        print(json.dumps([name, asyncio.run(Side().run(graphs[name]))]), flush=True)


def main():
    """Runs all graphs in a separate process, and continues in another if that one hangs or dies:
    Dask's event loop now and then does not end on a busy machine."""
    with open(sys.argv[1]) as file:
        names = [graph["name"] for graph in json.load(file)]
    names = sys.argv[2:] or names
    results, tries = {}, {}
    while len(results) < len(names):
        left = [name for name in names if name not in results]
        tries[left[0]] = tries.get(left[0], 0) + 1
        if tries[left[0]] > 3:
            sys.exit(f"graph '{left[0]}' failed three times")
        child = subprocess.run(
            [sys.executable, __file__, "--run", sys.argv[1], *left], stdout=subprocess.PIPE
        )
        for line in child.stdout.splitlines():
            name, result = json.loads(line)
            results[name] = result
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    # By its module name, so that Dask sends the tasks by reference: they share `Run` with us.
    import os

    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import dask_side

    if sys.argv[1] == "--tables":
        from distributed.scheduler import SchedulerState
        from distributed.worker_state_machine import WorkerState

        print(
            json.dumps(
                {
                    "scheduler": list(SchedulerState._TRANSITIONS_TABLE),
                    "worker": list(WorkerState._TRANSITIONS_TABLE),
                }
            )
        )
    elif sys.argv[1] == "--run":
        dask_side.run_graphs(sys.argv[2], sys.argv[3:])
    else:
        dask_side.main()
