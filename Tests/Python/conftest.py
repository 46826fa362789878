"""Recordings of real clusters; each is made once, and used by many tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Dask's clusters close a nanny this long after they first lost its worker if that worker is being
# restarted just then, even if it has come back in between. By default 15 s: now and then, a test
# that kills workers would lose its last one.
os.environ.setdefault("DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT", "10m")

import dask
import pytest
from distributed import Client, LocalCluster, wait

import watched
import workloads
from clusters import CommandCluster, Recording, scaling_cluster, wait_for
from replaying import Replay

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def tasklog() -> Callable[..., str]:
    """Runs the command line on a log, and returns its output."""
    named = os.environ.get("TASKLOG_TEST_PROGRAM")
    candidates = [REPOSITORY / ".build" / kind / "tasklog" for kind in ("release", "debug")]
    built = [path for path in candidates if path.exists()]
    program = Path(named) if named else max(built, key=lambda path: path.stat().st_mtime)

    def run(log: Path, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [program, *arguments, "--log", log], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    run.program = program  # type: ignore[attr-defined]
    return run


@pytest.fixture(scope="session")
def demo(tasklog: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of our own engine."""
    folder = tmp_path_factory.mktemp("demo")
    log = folder / "demo.db"
    (folder / "input").mkdir()
    for number in range(8):
        (folder / "input" / f"part-{number}.txt").write_text(f"some words and a {number}")
    subprocess.run(
        [tasklog.program, "demo", "--input", folder / "input", "--log", log],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return log


@pytest.fixture(scope="session")
def new_recording(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Recording]:
    def make(name: str) -> Recording:
        recording = Recording(tmp_path_factory.mktemp(name))
        recording.prepare()
        return recording

    return make


@pytest.fixture(scope="session")
def in_process(new_recording: Callable) -> Recording:
    """A `LocalCluster` whose scheduler and workers live in this process."""
    recording = new_recording("in-process")
    with recording.applied(), _local(processes=False) as cluster, Client(cluster) as client:
        workloads.everything(client, str(recording.folder))
    return recording


@pytest.fixture(scope="session")
def in_processes(new_recording: Callable) -> Recording:
    """A `LocalCluster` with a process for each worker, and a restart."""
    recording = new_recording("in-processes")
    with recording.applied(), _local(processes=True) as cluster, Client(cluster) as client:
        workloads.everything(client, str(recording.folder))
        held = client.map(workloads.increment, range(5))
        wait(held)
        client.restart()
        workloads.maps(client)
    return recording


def _local(**options: Any) -> LocalCluster:
    return LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=":0", **options)


@pytest.fixture(scope="session")
def commands(new_recording: Callable) -> Recording:
    """`dask scheduler` and `dask worker`, the second of them added late."""
    recording = new_recording("commands")
    with CommandCluster(recording) as cluster:
        cluster.add_worker("--no-nanny", "--name", "early")
        with Client(cluster.address) as client:
            client.wait_for_workers(1, timeout=60)
            workloads.maps(client)
            cluster.add_worker("--name", "late")
            client.wait_for_workers(2, timeout=60)
            workloads.everything(client, str(recording.folder))
            workers = workloads.workers_of(client)
            early = next(a for a, worker in workers.items() if worker["name"] == "early")
            client.retire_workers([early])
            workloads.maps(client)
    return recording


@pytest.fixture(scope="session")
def killed_worker(new_recording: Callable) -> Recording:
    """Workers that are killed with SIGKILL and come back, tasks that kill them, a restart."""
    recording = new_recording("killed-worker")
    with CommandCluster(recording) as cluster:
        for name in ("one", "two"):
            cluster.add_worker("--nanny", "--name", name)
        with Client(cluster.address) as client:
            client.wait_for_workers(2, timeout=60)
            workloads.maps(client)
            held = client.map(workloads.increment, range(20))
            wait(held)
            deadly = client.submit(workloads.die, held, key="deadly")
            wait([deadly], timeout=120)
            assert deadly.status == "error"
            client.wait_for_workers(2, timeout=60)
            del deadly
            client.restart()
            del held
            workloads.maps(client)
    return recording


@pytest.fixture(scope="session")
def adaptive(new_recording: Callable) -> Recording:
    """A cluster that grows with its tasks and shrinks after them."""
    recording = new_recording("adaptive")
    with (
        recording.applied(),
        LocalCluster(
            n_workers=0, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
    ):
        _scale(cluster, maximum=3)
    return recording


@pytest.fixture(scope="session")
def adaptive_commands(new_recording: Callable) -> Recording:
    """The same with `dask scheduler` and `dask worker`s that join and leave."""
    recording = new_recording("adaptive-commands")
    with scaling_cluster(recording) as cluster:
        _scale(cluster, maximum=2)
    return recording


def _scale(cluster: Any, maximum: int) -> None:
    cluster.adapt(minimum=0, maximum=maximum, interval="50ms", wait_count=2)
    with Client(cluster) as client:
        futures = client.map(workloads.slow, [0.05] * 30, range(30), pure=False)
        client.gather(futures)
        del futures
        wait_for(lambda: not workloads.workers_of(client), "end of the workers")


@pytest.fixture(scope="session")
def attached(new_recording: Callable) -> Recording:
    """A recorder that is attached in the middle of a run."""
    import beside
    import tasklog

    recording = new_recording("attached")
    with recording.applied():
        import dask

        with (
            dask.config.set({"distributed.scheduler.preload": []}),
            _local(processes=False) as cluster,
            Client(cluster) as client,
        ):
            held = client.map(workloads.increment, range(10))
            failed = client.map(workloads.fail, range(4))
            data = client.scatter([1, 2, 3])
            busy = client.map(workloads.slow, [0.5] * 12, range(12), pure=False)
            wait([*held, *failed])
            client.register_plugin(tasklog.Recorder(recording.log))
            client.run_on_scheduler(beside.attach)
            total = client.submit(sum, [*held, *busy])
            assert total.result() > 0
            assert client.submit(sum, data).result() == 6
            del held, failed, busy, total, data
            workloads.maps(client)
    return recording


@pytest.fixture(scope="session")
def killed_scheduler(new_recording: Callable) -> Iterator[Recording]:
    """A scheduler that is killed with SIGKILL in the middle of its work."""
    recording = new_recording("killed-scheduler")
    with CommandCluster(recording) as cluster:
        cluster.add_worker("--no-nanny")
        with Client(cluster.address) as client:
            client.wait_for_workers(1, timeout=60)
            futures = client.map(workloads.increment, range(2000), pure=False)
            wait(futures[:200])
            cluster.scheduler.kill()
    yield recording


RECORDINGS = [
    "in_process", "in_processes", "commands", "killed_worker", "adaptive", "adaptive_commands",
    "attached", "killed_scheduler",
]  # fmt: skip


@pytest.fixture(params=RECORDINGS)
def recording(request: pytest.FixtureRequest) -> Recording:
    return request.getfixturevalue(request.param)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "native: needs the library, so that it is not run where there is none"
    )


#: The files that take longest. Where files are run side by side, the last one is to be a short one.
LONGEST = ["older", "elsewhere", "endings", "two_copies", "reading", "scopes"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Starts the tests of the older versions first, and, in one process, checks them last."""
    first = "test_the_older_versions_are_tested_beside_this_one"
    last = "test_the_same_holds_for_an_older_version"
    if hasattr(config, "workerinput"):
        places = {f"test_{name}": place for place, name in enumerate(LONGEST)}
        items.sort(key=lambda item: places.get(item.path.stem, len(places)))
    else:
        items.sort(key=lambda item: (item.name != first) + item.name.startswith(last))


@pytest.fixture(scope="session")
def watched_in_process(new_recording: Callable) -> watched.Watched:
    return watched.in_process(new_recording("watched-in-process"))


@pytest.fixture(scope="session")
def watched_in_processes(new_recording: Callable) -> watched.Watched:
    return watched.in_processes(new_recording("watched-in-processes"))


@pytest.fixture(scope="session")
def replay(tasklog: Callable) -> Callable[[Path | str], Replay]:
    """`tasklog replay` on a log."""
    return lambda log: Replay(tasklog.program, log)  # type: ignore[attr-defined]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A cluster with a witness, whose scheduler is in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASKLOG_WORKER_SPOOL", str(tmp_path / "spool"))
    monkeypatch.setenv("WITNESS_FOLDER", str(tmp_path / "witness"))
    with (
        dask.config.set({"distributed.scheduler.preload": ["witness"]}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
