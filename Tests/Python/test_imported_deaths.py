"""What Kubernetes and SLURM say about the ends of workers is joined to them, with real workers.

The files in ``managers`` have the shape of the tools' output; times in them are filled in when the
workers have ended. The workers know who they are as pods and jobs do: by environment variables.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

import deaths
from clusters import CommandCluster, Process, Recording, wait_for
from log import Log
from workloads import workers_of

FILES = Path(__file__).with_name("managers")
NANNY, BARE = "--nanny", "--no-nanny"


def pod(name: str, node: str = "node-1") -> dict[str, str]:
    return {"POD_NAME": f"dask-worker-{name}", "POD_NAMESPACE": "dask", "NODE_NAME": node}


def job(number: int, node: str = "node01", **more: str) -> dict[str, str]:
    return {"SLURM_JOB_ID": str(number), "SLURMD_NODENAME": node, **more}


#: Each worker: with a nanny or not, what its environment says, how it ends.
WORKERS = {
    "pod-oom": (BARE, pod("oom"), "kill"),
    "pod-evicted": (NANNY, pod("evicted", "node-2"), "SIGTERM"),
    "pod-preempted": (BARE, pod("preempted", "node-3"), "SIGTERM"),
    "pod-node": (NANNY, pod("node", "node-4"), "kill"),
    "pod-retired": (BARE, pod("retired", "node-2"), "retire"),
    "pod-exited": (NANNY, pod("exited"), "exit"),
    "pod-bare-exit": (BARE, pod("bare-exit"), "exit"),
    "pod-alone": (BARE, pod("alone"), "kill"),
    "slurm-walltime": (NANNY, job(4711), "SIGTERM"),
    "slurm-oom": (BARE, job(4712), "kill"),
    "slurm-node": (BARE, job(4713, "node07"), "kill"),
    "slurm-other-node": (BARE, job(4713, "node08"), "kill"),
    "slurm-preempted": (BARE, job(4714), "SIGTERM"),
    "slurm-cancelled": (BARE, job(4715), "SIGTERM"),
    "slurm-shared": (BARE, job(4716, SLURM_STEP_ID="0"), "kill"),
    "slurm-neighbour": (BARE, job(4716, SLURM_STEP_ID="0"), "kill"),
    "slurm-old": (BARE, job(4717), "SIGTERM"),
    "job-end": (BARE, job(4718), "SIGTERM at the end of the job"),
}
#: And the cause with the beginning of its explanation, before and after the import.
EXPECTED = {
    "pod-oom": (
        ("unknown", "killed or out of memory: cannot tell without a nanny"),
        ("out-of-memory", "it ran out of memory (OOMKilled by the kubelet, pod dask/"),
    ),
    "pod-evicted": (
        ("killed", "its nanny got SIGTERM"),
        (
            "evicted",
            "it was evicted (Evicted of pod dask/dask-worker-evicted, says Kubernetes): The",
        ),
    ),
    "pod-preempted": (
        ("killed", "its process got SIGTERM"),
        ("preempted", "it was preempted (Preempted of pod dask/dask-worker-preempted"),
    ),
    "pod-node": (
        ("unknown", "it is gone and its nanny did not say why"),
        ("host-gone", "its node failed (NodeNotReady of "),
    ),
    "pod-retired": (("retired", "it was retired"), ("retired", "it was retired")),
    "pod-exited": (
        ("exited", "its process ended with exit code 7"),
        ("exited", "its process ended with exit code 7"),
    ),
    "pod-bare-exit": (
        ("unknown", "killed or out of memory: cannot tell without a nanny"),
        ("exited", "its process ended with exit code 7 (Error of pod dask/"),
    ),
    "pod-alone": (
        ("unknown", "killed or out of memory: cannot tell without a nanny"),
        ("unknown", "killed or out of memory: cannot tell without a nanny"),
    ),
    "slurm-walltime": (
        ("killed", "its nanny got SIGTERM"),
        ("walltime", "the time limit was reached (TIMEOUT of job 4711, says SLURM): limit 30 min"),
    ),
    "slurm-oom": (
        ("unknown", "killed or out of memory: cannot tell without a nanny"),
        ("out-of-memory", "it ran out of memory (OUT_OF_MEMORY in SLURM, job 4712 (step batch))"),
    ),
    "slurm-node": (
        ("unknown", "killed or out of memory: cannot tell without a nanny"),
        ("host-gone", "its node node07 failed (NODE_FAIL of job 4713"),
    ),
    "slurm-other-node": (
        ("unknown", "killed or out of memory: cannot tell without a nanny"),
        ("stopped", "node node07 of its job failed (NODE_FAIL of job 4713"),
    ),
    "slurm-preempted": (
        ("killed", "its process got SIGTERM"),
        ("preempted", "it was preempted (PREEMPTED of job 4714"),
    ),
    "slurm-cancelled": (
        ("killed", "its process got SIGTERM"),
        ("stopped", "it was stopped (CANCELLED of job 4715, says SLURM): by alice"),
    ),
    # One of two that are gone ran out of memory: which of them, nothing says.
    "slurm-shared": (
        ("unknown", "killed or out of memory: cannot tell without a nanny"),
        ("unknown", "OUT_OF_MEMORY of job 4716 (step 0), says SLURM: of 2 workers there"),
    ),
    "slurm-neighbour": (
        ("unknown", "killed or out of memory: cannot tell without a nanny"),
        ("unknown", "OUT_OF_MEMORY of job 4716 (step 0), says SLURM: of 2 workers there"),
    ),
    "slurm-old": (
        ("killed", "its process got SIGTERM"),
        ("walltime", "the time limit was reached (TIMEOUT of job 4717, says SLURM): limit 30 min"),
    ),
    # What the job was told decides it.
    "job-end": (
        ("walltime", "the time limit of job 4718 was reached (SLURM_JOB_END_TIME); it left "),
        ("walltime", "the time limit of job 4718 was reached (SLURM_JOB_END_TIME); it left "),
    ),
}


class Ended:
    """A recording whose workers have ended, and when each of them did."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.times: dict[str, float] = {"start": time.time()}
        self.addresses: dict[str, str] = {}
        recording.environment.update(
            DASK_DISTRIBUTED__SCHEDULER__PRELOAD='["tasklog"]',
            DASK_DISTRIBUTED__WORKER__PRELOAD="[]",
            DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0",
        )
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(CommandCluster(recording))
            # Its process must know before it starts when its job ends.
            self.job_end = time.time() + 45
            processes = {name: self._add(cluster, name) for name in WORKERS}
            with Client(cluster.address) as client:
                client.wait_for_workers(len(WORKERS), timeout=240)
                self.addresses = {w["name"]: a for a, w in workers_of(client).items()}
                for name, (_, _, way) in WORKERS.items():
                    self._end(client, name, way, processes[name])
                first = set(self.addresses.values())
                wait_for(lambda: not first & set(workers_of(client)), "ends of all", 120)
                client.shutdown()
            cluster.scheduler.process.wait(60)
        self.times["long-ago"] = self.times["start"] - 36000
        self.times["slurm-shared"] = max(
            self.times.pop(name) for name in ("slurm-shared", "slurm-neighbour")
        )

    def _add(self, cluster: CommandCluster, name: str) -> Process:
        nanny, environment, way = WORKERS[name]
        if "end of the job" in way:
            environment = environment | {"SLURM_JOB_END_TIME": str(int(self.job_end))}
        return cluster.add_worker(nanny, "--name", name, environment=environment)

    def _end(self, client: Client, name: str, way: str, process: Process) -> None:
        if way == "kill":
            process.kill()
        elif way == "retire":
            client.retire_workers([self.addresses[name]])
        elif way == "exit":
            client.submit(
                deaths.exit_with_seven, workers=[self.addresses[name]], key=f"exit-{name}"
            ).exception()
        else:
            if "end of the job" in way:
                wait_for(lambda: time.time() >= self.job_end, "end of the job", 120)
            process.process.send_signal(signal.SIGTERM)
        self.times[name] = time.time()

    def file(self, name: str, folder: Path) -> Path:
        """The output of a tool, with the times at which the workers ended."""
        text = (FILES / name).read_text()
        is_epoch = name.startswith("sacct")

        def at(match: re.Match) -> str:
            seconds = self.times[match[1]]
            if is_epoch:
                return str(int(seconds))
            return f'"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"'

        path = folder / name
        path.write_text(re.sub(r'"\{([\w-]+)\}"', at, text))
        return path


@pytest.fixture(scope="module")
def ended(new_recording: Callable) -> Ended:
    return Ended(new_recording("imported"))


@pytest.fixture(scope="module")
def copy(ended: Ended, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log before anything is imported."""
    path = tmp_path_factory.mktemp("before") / "run.db"
    with contextlib.closing(sqlite3.connect(ended.recording.log)) as log:
        log.execute("VACUUM INTO ?", [str(path)])
    return path


@pytest.fixture(scope="module")
def files(ended: Ended, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("managers")
    names = ("events.json", "pods.json", "sacct.json", "sacct-21.08.json")
    return [ended.file(name, folder) for name in names]


@pytest.fixture(scope="module")
def told(ended: Ended, copy: Path, files: list[Path], tasklog: Callable) -> str:
    """What the import says."""
    return tasklog(ended.recording.log, "import", *(f"--deaths={file}" for file in files))


def causes(tasklog: Callable, log: Path) -> dict[str, dict[str, Any]]:
    output = tasklog(log, "workers", "--deaths", "--format", "json")
    return {row["worker"]: row for row in json.loads(output[: output.rindex("]") + 1])}


def is_of_manager(row: dict[str, Any]) -> bool:
    words = ("says Kubernetes", "says SLURM", "by the kubelet", "in SLURM")
    return any(word in row["explanation"] for word in words)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_cause_of_an_end_before_and_after_the_import(
    ended: Ended, copy: Path, told: str, tasklog: Callable, name: str
) -> None:
    for log, (cause, explanation) in zip((copy, ended.recording.log), EXPECTED[name], strict=True):
        row = causes(tasklog, log)[ended.addresses[name]]
        assert row["cause"] == cause, row
        assert row["explanation"].startswith(explanation), row
        assert (row["missing"] is not None) == (cause == "unknown")
        seqs = ", ".join(map(str, row["evidence"]))
        hooks = {h for (h,) in Log(log).rows(f"SELECT hook FROM events WHERE seq IN ({seqs})")}
        assert hooks and ("manager" in hooks) == is_of_manager(row)


def test_what_belongs_to_no_worker_is_counted_and_named(told: str) -> None:
    missed = sorted(
        line.partition("not joined: ")[2] for line in told.splitlines() if "not j" in line
    )
    identity, undated = "no worker of the log has recorded this identity", "it does not say when"
    assert missed == sorted(
        [
            f"Evicted of pod other/another-pod: {identity}",
            f"Evicted of pod other/dask-worker-evicted: {identity}",
            # The ID of a process on its host is not the one that it has in its container.
            f"OOMKilling of process 3141 on node node-1: {identity}",
            "Killing of pod dask/dask-worker-alone: no worker that it names left at that time",
            # Which of the containers of its pod is the worker's is not known.
            f"Error of pod dask/dask-worker-alone: {identity}",
            f"OOMKilled of pod dask/dask-worker-alone: {identity}",
            f"Evicted of pod dask/dask-worker-undated: {identity}",
            f"TIMEOUT of job 4799: {identity}",
        ]
    )
    assert undated not in told
    (counts,) = [line for line in told.splitlines() if "imported," in line]
    numbers = [int(number) for number in re.findall(r"\d+", counts)]
    new = [line for line in told.splitlines() if re.match(r"run #\d+, worker ", line)]
    # Started, scheduled, a deletion that was cancelled, a job that runs.
    assert numbers == [len(new), 0, len(missed), 4]


def test_importing_again_changes_nothing(
    ended: Ended, told: str, files: list[Path], tasklog: Callable
) -> None:
    log = ended.recording.log
    before = Log(log).rows("SELECT * FROM events")
    again = tasklog(log, "import", *(f"--deaths={file}" for file in reversed(files)))
    assert "\nrun #" not in "\n" + again
    assert re.search(r"^0 reports imported, \d\d in the log already", again, re.MULTILINE)
    assert Log(log).rows("SELECT * FROM events") == before


def test_an_imported_report_is_an_event_of_a_command(
    ended: Ended, told: str, tasklog: Callable
) -> None:
    rows = Log(ended.recording.log).rows(
        "SELECT source, worker, args ->> '$.reason', time FROM events WHERE hook = 'manager'"
    )
    assert {source for source, *_ in rows} == {"command"}
    evicted = ended.addresses["pod-evicted"]
    assert {reason for _, worker, reason, _ in rows if worker == evicted} == {"Evicted", "Killing"}
    # A run does not get longer by what is known of it later.
    before, after = (
        Log(ended.recording.log).rows(f"SELECT max(time) FROM events WHERE source {test} 'command'")
        for test in ("!=", "=")
    )
    assert after < before


def test_the_log_is_sound_and_its_other_reports_are_the_same(
    ended: Ended, copy: Path, told: str, tasklog: Callable
) -> None:
    log = ended.recording.log
    assert "manager" not in tasklog(log, "check")
    for command in (["summary"], ["time"], ["replay", "--plugin", "counter"], ["errors"]):
        shown = []
        for path in (log, copy):
            output = tasklog(path, *command).replace(str(path), "")
            # All events of a run are counted.
            shown.append(re.sub(r"^\d+ events of run", "N events of run", output, flags=re.M))
        assert shown[0] == shown[1], command
    for form in ("perfetto", "chrome", "otlp-json", "dask"):
        outputs = []
        for path in (log, copy):
            output = path.parent / f"export.{form}"
            tasklog(path, "export", "--to", form, "--output", output)
            outputs.append(output.read_bytes())
        assert outputs[0] == outputs[1], form


def test_the_view_has_the_words_of_the_manager(ended: Ended, told: str, tasklog: Callable) -> None:
    sql = "SELECT worker, manager_reasons FROM worker_ends"
    lines = tasklog(ended.recording.log, "query", sql, "--format", "jsonl").splitlines()
    said = {row["worker"]: row["manager_reasons"] for row in map(json.loads, lines)}
    reasons = {name: said[address] for name, address in ended.addresses.items()}
    assert json.loads(reasons["pod-evicted"]) == ["Evicted", "Killing"]
    assert reasons["pod-alone"] is None and reasons["job-end"] is None
    # The report and the view speak of the same workers.
    rows = causes(tasklog, ended.recording.log)
    for address in ended.addresses.values():
        assert not is_of_manager(rows[address]) or said[address] is not None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("no json", "is not JSON; expected the output of 'kubectl get events -o json'"),
        ('{"a": 1}', "is other JSON; expected the output of 'kubectl get events -o json'"),
        ("[]", "is other JSON; expected the output of 'kubectl get events -o json'"),
    ],
)
def test_other_files_are_refused(
    ended: Ended, tasklog: Callable, tmp_path: Path, content: str, told: str
) -> None:
    file = tmp_path / "file.json"
    file.write_text(content)
    assert told in tasklog(ended.recording.log, "import", "--deaths", str(file), code=64)
    missing = tasklog(ended.recording.log, "import", "--deaths", "none.json", code=64)
    assert "none.json: No such file" in missing


@pytest.mark.parametrize(
    "content",
    [
        '{"items": [1, null, "x", {}, {"kind": "Pod"}, {"kind": "Pod", "status": 3}]}',
        '{"jobs": [1, {"job_id": "x"}, {"job_id": 1e300, "state": {"current": [1, "TIMEOUT"]}}]}',
        '{"jobs": [{"job_id": 1, "state": "TIMEOUT", "time": {"end": {"number": -1}}}]}',
        '{"items": [{"reason": "Evicted", "involvedObject": {"kind": "Pod", "name": "p"},'
        ' "lastTimestamp": "9999-99-99T99:99:99Z"}]}',
    ],
)
def test_odd_output_is_harmless(
    ended: Ended, tasklog: Callable, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "file.json"
    file.write_text(content)
    assert "0 reports imported" in tasklog(ended.recording.log, "import", "--deaths", str(file))


def test_output_is_read_from_standard_input(
    ended: Ended, told: str, files: list[Path], tasklog: Callable
) -> None:
    done = subprocess.run(
        [tasklog.program, "import", "--deaths", "-", "--log", ended.recording.log],
        stdin=files[0].open(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "0 reports imported" in done.stdout
