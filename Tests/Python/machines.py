"""Another machine: a cluster with its own network, host name and folder for temporary files."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clusters import HERE, wait_for

HOST = "elsewhere"
_numbers = itertools.count()
_SCRIPT = """
hostname {host}
mount -t tmpfs none /tmp
mkdir /tmp/work
cd /tmp/work
"$PYTHON" -m dask scheduler --host {address} --port 8786 --no-dashboard &
exec "$PYTHON" -m dask worker {address}:8786 --no-dashboard --no-nanny --nthreads 2
"""


@dataclass
class Machine:
    address: str
    process: int
    output: Path
    namespace: str

    def path(self, path: str) -> Path:
        """A file of its file system, as this process sees it."""
        return Path(f"/proc/{self.process}/root{path}")

    def logs(self) -> list[Path]:
        """All logs, and parts of them, that were written for other machines."""
        return [each for each in self.path("/tmp").glob("tasklog-logs-*/*/*")]

    def disconnect(self) -> None:
        """Packets are lost from now on."""
        # At its end: at ours, the default route would be used instead.
        _run("ip", "-n", self.namespace, "link", "set", f"{self.namespace}b", "down")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)


def _network(namespace: str, subnet: str) -> None:
    _run("ip", "netns", "add", namespace)
    _run(
        "ip", "link", "add", f"{namespace}a", "type", "veth", "peer", "name", f"{namespace}b",
        "netns", namespace,
    )  # fmt: skip
    _run("ip", "address", "add", f"{subnet}.1/30", "dev", f"{namespace}a")
    _run("ip", "link", "set", f"{namespace}a", "up")
    inside = ("ip", "-n", namespace)
    _run(*inside, "address", "add", f"{subnet}.2/30", "dev", f"{namespace}b")
    _run(*inside, "link", "set", f"{namespace}b", "up")
    _run(*inside, "link", "set", "lo", "up")


@contextlib.contextmanager
def another_machine(folder: Path, **environment: str) -> Iterator[Machine]:
    """A scheduler and a worker that share with this process neither network nor /tmp."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("another machine needs iproute2 and root")
    # The kernel removes an interface some time after its namespace.
    number = os.getpid() * 7 + next(_numbers)
    namespace, subnet = f"tl{number % 100_000}", f"10.{200 + number // 250 % 50}.{number % 250}"
    try:
        _network(namespace, subnet)
    except subprocess.CalledProcessError as error:
        subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)
        pytest.skip(f"another machine needs network namespaces: {error.stderr}")
    address = f"tcp://{subnet}.2"
    settings = {"PYTHONPATH": str(HERE), "PYTHON": sys.executable, **environment}
    output = folder / "elsewhere-output"
    try:
        with open(output, "wb") as file:
            process = subprocess.Popen(
                [
                    "ip", "netns", "exec", namespace, "unshare", "--mount", "--uts", "--pid",
                    "--fork", "--kill-child", "--mount-proc", "sh", "-euc",
                    _SCRIPT.format(host=HOST, address=address),
                ],
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:

            def child() -> int | None:
                assert process.poll() is None, output.read_text(errors="replace")
                tasks = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                found = tasks.read_text().split()
                return int(found[0]) if found else None

            inner = wait_for(child, "process in the namespace")
            wait_for(
                lambda: "Registered to" in output.read_text(errors="replace"),
                "worker on the other machine",
            )
            yield Machine(f"{address}:8786", inner, output, namespace)
        finally:
            process.kill()
            process.wait()
    finally:
        _run("ip", "netns", "delete", namespace)
