"""Real clusters, recorded, with the independent plugins on scheduler and workers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Client, SpecCluster
from distributed.deploy.spec import ProcessInterface

import workloads

HERE = Path(__file__).resolve().parent
#: The factor by which deadlines are longer on a busy machine.
PATIENCE = float(os.environ.get("TASKLOG_TEST_PATIENCE") or 1)
DEADLINE = 60.0 * PATIENCE
# Environments that are layered on others have no program of this name.
DASK = [sys.executable, "-m", "dask", "scheduler"]
DASK_WORKER = [sys.executable, "-m", "dask", "worker"]


def wait_for(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """Waits until a condition holds, and returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"no {what} within {seconds} s"
        time.sleep(0.02)


def our_tracebacks(text: str) -> list[str]:
    """The tracebacks through tasklog in the output of a process.

    Dask prints others if a connection closes at the wrong moment.
    """
    found = re.findall(r"^Traceback .*\n(?:[ \t].*\n|\n)*.*", text, re.MULTILINE)
    return [each for each in found if re.search(r"(site-packages|Sources/Python)/tasklog/", each)]


@dataclass
class Recording:
    """A log and the records of the independent plugins."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.folder / "run.db"

    def prepare(self) -> None:
        self.environment.update(
            TASKLOG_LOG=str(self.log),
            TASKLOG_WORKER_SPOOL=str(self.folder / "spool"),
            BESIDE_FOLDER=str(self.folder),
            PYTHONPATH=str(HERE),
            DASK_DISTRIBUTED__SCHEDULER__PRELOAD='["tasklog", "beside"]',
            DASK_DISTRIBUTED__WORKER__PRELOAD='["beside"]',
            DASK_DISTRIBUTED__LOGGING__DISTRIBUTED="error",
        )

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The environment, in this process; Dask's config was read when it was imported."""
        import dask

        before = dict(os.environ)
        os.environ.update(self.environment)
        preload = {
            "distributed.scheduler.preload": ["tasklog", "beside"],
            "distributed.worker.preload": ["beside"],
        }
        try:
            with dask.config.set(preload):
                yield
        finally:
            for name in self.environment:
                os.environ.pop(name, None)
            os.environ.update(before)


class Process:
    """A `dask scheduler` or `dask worker` command."""

    def __init__(self, arguments: list[str], environment: dict[str, str], folder: Path) -> None:
        self.output = folder / f"output-{len(list(folder.glob('output-*')))}"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                arguments,
                env={**os.environ, "PYTHONPATH": str(HERE), **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def wait_for_text(self, pattern: str) -> re.Match:
        def found() -> Any:
            assert self.process.poll() is None or re.search(pattern, self.text), self.text
            return re.search(pattern, self.text)

        return wait_for(found, f"'{pattern}' from {self.process.args}")

    def kill(self) -> None:
        """Sends SIGKILL to it and its child processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                pass
        self.kill()


class CommandCluster:
    """`dask scheduler` and `dask worker`s, as a user starts them."""

    def __init__(self, recording: Recording, arguments: list[str] | None = None) -> None:
        self.recording = recording
        self.workers: list[Process] = []
        file = recording.folder / "scheduler.json"
        self.scheduler = Process(
            [*DASK, "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
            + (arguments or []),
            recording.environment,
            recording.folder,
        )
        self.address = wait_for(lambda: self._address(file), "address of the scheduler")

    def _address(self, file: Path) -> str | None:
        assert self.scheduler.process.poll() is None, self.scheduler.text
        try:
            return json.loads(file.read_text())["address"]
        except (OSError, ValueError):
            return None

    def add_worker(self, *arguments: str, environment: dict[str, str] | None = None) -> Process:
        process = Process(
            [
                *DASK_WORKER, self.address, "--no-dashboard", "--nthreads", "2",
                "--local-directory", str(self.recording.folder), *arguments,
            ],
            {**self.recording.environment, **(environment or {})},
            self.recording.folder,
        )  # fmt: skip
        self.workers.append(process)
        return process

    def close(self) -> None:
        for worker in self.workers:
            worker.stop()
        self.scheduler.stop()

    def __enter__(self) -> CommandCluster:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class SchedulerCommand(ProcessInterface):
    """`dask scheduler` as the scheduler of a cluster that scales."""

    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self.recording = recording

    async def start(self) -> None:
        self.cluster = await asyncio.to_thread(CommandCluster, self.recording)
        self.address = self.cluster.address
        await super().start()

    async def close(self) -> None:
        await asyncio.to_thread(self.cluster.close)
        await super().close()


class WorkerCommand(ProcessInterface):
    """`dask worker` as a worker of a cluster that scales."""

    def __init__(self, scheduler: str, recording: Recording, name: Any) -> None:
        super().__init__()
        self.scheduler, self.recording, self.name = scheduler, recording, name

    async def start(self) -> None:
        folder = self.recording.folder
        arguments = ["--no-dashboard", "--no-nanny", "--nthreads", "1", "--name", str(self.name)]
        self.process = Process(
            [*DASK_WORKER, self.scheduler, *arguments, "--local-directory", str(folder)],
            self.recording.environment,
            folder,
        )
        await super().start()

    async def close(self) -> None:
        await asyncio.to_thread(self.process.stop)
        await super().close()


def scaling_cluster(recording: Recording) -> SpecCluster:
    """`dask scheduler`, and the requested number of `dask worker`s."""
    options = {"recording": recording}
    return SpecCluster(
        scheduler={"cls": SchedulerCommand, "options": options},
        worker={"cls": WorkerCommand, "options": options},
    )


def work(client: Client, count: int = 20) -> None:
    """Tasks in a cluster of this process, which has released them afterwards."""
    client.gather(client.map(workloads.increment, range(count), pure=False))
    wait_for(lambda: not client.cluster.scheduler.tasks, "end of all tasks")
    workers = client.cluster.workers.values()
    wait_for(lambda: not any(w.state.tasks for w in workers), "end of all tasks of workers")
