"""Workers that end in many ways side by side, in clusters of commands."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distributed import Client

from clusters import CommandCluster, Process, Recording, wait_for
from workloads import workers_of

#: Nannies in one process; what becomes of the worker of each.
NANNIES = 9
LIMIT = "300MiB"
_CGROUP = Path("/sys/fs/cgroup/memory")


def exit_with_seven() -> None:
    os._exit(7)


def segfault() -> None:
    ctypes.string_at(0)


def eat(mebibytes: int) -> None:
    eaten = []
    for _ in range(mebibytes):
        eaten.append(bytearray(os.urandom(1 << 10)) * 1024)
        time.sleep(0.005)
    # Until a nanny has measured it.
    time.sleep(600)


def wait_long() -> None:
    time.sleep(600)


class Cluster:
    """A cluster with a worker for each way to end, and the program that ends them."""

    def __init__(self, recording: Recording) -> None:
        recording.prepare()
        use_own_spools(recording)
        recording.environment.update(
            DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL="5s",
            DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1",
            DASK_DISTRIBUTED__SCHEDULER__PRELOAD='["tasklog"]',
            DASK_DISTRIBUTED__WORKER__PRELOAD="[]",
        )
        self.recording = recording
        self.gone = recording.folder / "gone"
        self.gone.mkdir()
        self.cgroup = new_cgroup("bare-memory")
        #: The addresses of the workers by their names.
        self.addresses: dict[str, str] = {}
        self.pids: dict[str, int] = {}
        self._futures: list[Any] = []

    def run(self) -> None:
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(CommandCluster(self.recording))
            between = stack.enter_context(proxy(self.recording, cluster.address))
            add = cluster.add_worker
            limited = ("--memory-limit", LIMIT)
            add("--nworkers", str(NANNIES), "--name", "n", *limited)
            # Long enough to be there with the others.
            add("--name", "lifetime", "--lifetime", "25s", *limited)
            nanny = add("--name", "nanny-sigterm", *limited)
            gone = add(
                "--name", "gone", *limited,
                environment={"TMPDIR": str(self.gone)},
            )  # fmt: skip
            bare = [add("--no-nanny", "--name", name) for name in ("bare-kill", "bare-sigterm")]
            self._add_behind(between)
            if self.cgroup is not None:
                stack.callback(remove_cgroup, self.cgroup)
                add("--no-nanny", "--name", "bare-memory", *limited)
            count = NANNIES + 6 + (self.cgroup is not None)
            with Client(cluster.address) as client:
                client.wait_for_workers(count, timeout=120)
                self._learn(client)
                self._end(client, nanny, gone, bare, between)
                self._wait(client)
                client.shutdown()
            cluster.scheduler.process.wait(60)

    def _add_behind(self, proxy: tuple[Process, str]) -> None:
        """A worker that reaches the scheduler through a process that can be stopped."""
        self.behind = Process(
            [sys.executable, "-m", "dask", "worker", proxy[1], "--no-nanny", "--no-dashboard",
             "--nthreads", "1", "--name", "network",
             "--local-directory", str(self.recording.folder)],
            self.recording.environment,
            self.recording.folder,
        )  # fmt: skip

    def _learn(self, client: Client) -> None:
        for address, worker in workers_of(client).items():
            self.addresses[worker["name"]] = address
        for address, pid in client.run(os.getpid).items():
            name = next(n for n, a in self.addresses.items() if a == address)
            self.pids[name] = pid

    def _submit(self, client: Client, name: str | list[str], function: Any, *args: Any) -> None:
        names = [name] if isinstance(name, str) else name
        self._futures.append(
            client.submit(
                function, *args, workers=[self.addresses[n] for n in names], pure=False,
                allow_other_workers=False, key=f"{function.__name__}-{names[0]}",
            )
        )  # fmt: skip

    def _end(
        self, client: Client, nanny: Process, gone: Process, bare: list[Process], proxy: Any
    ) -> None:
        for name in ("n-0", "n-1", "n-2", "bare-kill"):
            self._submit(client, name, wait_long)
        wait_for(
            lambda: sum(bool(keys) for keys in client.processing().values()) >= 4, "busy workers"
        )
        os.kill(self.pids["n-0"], signal.SIGKILL)
        os.kill(self.pids["n-1"], signal.SIGTERM)
        os.kill(self.pids["n-2"], signal.SIGSTOP)
        self._submit(client, "n-3", eat, 400)
        # Its second worker has the suspicious task.
        self._submit(client, ["n-4", "n-8"], exit_with_seven)
        self._submit(client, "n-5", segfault)
        client.retire_workers([self.addresses["n-6"]])
        address = self.addresses["n-7"]
        client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.close_worker(address))
        os.kill(self.pids["bare-kill"], signal.SIGKILL)
        os.kill(self.pids["bare-sigterm"], signal.SIGTERM)
        os.kill(proxy[0].process.pid, signal.SIGSTOP)
        nanny.process.send_signal(signal.SIGTERM)
        gone.kill()
        remove_spool(self.gone)
        if self.cgroup is not None:
            (self.cgroup / "cgroup.procs").write_text(str(self.pids["bare-memory"]))
            self._submit(client, "bare-memory", eat, 400)

    def _wait(self, client: Client) -> None:
        """Waits until all of the first workers have left, and their nannies have told."""

        def left() -> bool:
            there = set(workers_of(client))
            return not any(address in there for address in self.addresses.values())

        wait_for(left, "ends of all workers")
        wait_for(lambda: len(workers_of(client)) >= 3, "workers that nannies have started again")


def neighbours(recording: Recording) -> dict[str, str]:
    """Two workers in one cgroup: the kernel kills one, a signal later the other; their causes."""
    recording.environment["DASK_DISTRIBUTED__SCHEDULER__PRELOAD"] = '["tasklog"]'
    recording.environment["DASK_DISTRIBUTED__WORKER__PRELOAD"] = "[]"
    cgroup = new_cgroup("neighbours", 500 << 20)
    assert cgroup is not None
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(CommandCluster(recording))
        command = [
            sys.executable, "-m", "dask", "worker", cluster.address, "--no-dashboard",
            "--nthreads", "1", "--nworkers", "2", "--memory-limit", "0", "--name", "n",
            "--local-directory", str(recording.folder),
        ]  # fmt: skip
        join = ["sh", "-c", f'echo $$ > {cgroup}/cgroup.procs; exec "$@"', "sh"]
        process = Process([*join, *command], recording.environment, recording.folder)
        stack.callback(remove_cgroup, cgroup)
        stack.callback(process.kill)
        with Client(cluster.address) as client:
            client.wait_for_workers(2, timeout=120)
            first, second = workers_of(client)
            eating = client.submit(eat, 600, workers=[first], key="eat", allow_other_workers=False)
            wait_for(lambda: first not in workers_of(client), "end of the first")
            eating.release()
            # The other one lives on for longer than its nanny looks back.
            begin = time.monotonic()
            wait_for(lambda: time.monotonic() > begin + 4, "time to pass")
            (pid,) = client.run(os.getpid, workers=[second]).values()
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: second not in workers_of(client), "end of the second")
            client.shutdown()
        cluster.scheduler.process.wait(60)
    return {first: "out-of-memory", second: "killed"}


def use_own_spools(recording: Recording) -> None:
    """Lets each worker have its spool below its TMPDIR: a path that is given is that of all."""
    del recording.environment["TASKLOG_WORKER_SPOOL"]
    recording.environment["TMPDIR"] = str(recording.folder)


def remove_spool(folder: Path) -> None:
    (spool,) = folder.glob("tasklog-*")
    shutil.rmtree(spool)


@contextlib.contextmanager
def proxy(recording: Recording, address: str) -> Iterator[tuple[Process, str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host, _, to = address.removeprefix("tcp://").rpartition(":")
    process = Process(
        [sys.executable, __file__, str(port), host, to], recording.environment, recording.folder
    )
    process.wait_for_text("ready")
    try:
        yield process, f"tcp://127.0.0.1:{port}"
    finally:
        process.kill()


def forward(port: int, host: str, to: int) -> None:
    """Forwards connections; run as a program."""
    import asyncio

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection(host, to)
        await asyncio.gather(copy(reader, other_writer), copy(other_reader, writer))

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", port)
        print("ready", flush=True)
        await server.serve_forever()

    asyncio.run(run())


def new_cgroup(name: str, limit: int = 250 << 20) -> Path | None:
    """A memory cgroup whose processes the kernel kills; None if this machine has none for us."""
    folder = _CGROUP / f"tasklog-test-{os.getpid()}-{name}"
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(limit))
        return folder
    except OSError:
        with contextlib.suppress(OSError):
            folder.rmdir()
        return None


def can_have_cgroups() -> bool:
    cgroup = new_cgroup("probe")
    if cgroup is not None:
        remove_cgroup(cgroup)
    return cgroup is not None


def remove_cgroup(cgroup: Path) -> None:
    for pid in (cgroup / "cgroup.procs").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    wait_for(lambda: subprocess.run(["rmdir", cgroup], capture_output=True).returncode == 0, "end")


if __name__ == "__main__":
    forward(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
