"""The wheel without a native part, for macOS, Windows, other processors and musl.

Its tests run in an environment of Python that has no library and no command: what it can answer is
what the native library answers, and for all else it says in one sentence what it needs.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import msgpack
import pytest
from distributed import Client

import elsewhere
import workloads
from clusters import CommandCluster, Recording, wait_for
from log import Log
from machines import another_machine
from tasklog.library import NativeRecorder
from test_reading import FROZEN, SAMPLE

HERE = Path(__file__).resolve().parent
NEEDS = "needs the native part of tasklog, which this installation does not have: use the wheel for"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return elsewhere.build(tmp_path_factory.mktemp("pure-wheel"))


@pytest.fixture(scope="session")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python that has the wheel."""
    return elsewhere.install(wheel, tmp_path_factory.mktemp("pure"))


def run(python: Path, *arguments: Any, folder: Path | None = None) -> str:
    done = subprocess.run(
        [python, *map(str, arguments)],
        capture_output=True, text=True, cwd=folder, env=elsewhere.environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def test_the_wheel_is_for_any_system_and_has_no_native_part(wheel: Path) -> None:
    import zipfile

    assert wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if re.search(r"\.(so|dylib|dll|pyd)$|/scripts/", name)]
    assert [name for name in names if name.endswith(".sql")]


#: Logs that are opened together.
LOGS = [
    *([path] for path in FROZEN if path.stem in ("v1-dask", "v2-dask", "v2-future", "v2-later")),
    [SAMPLE],
    [path for path in FROZEN if path.stem in ("v2-dask", "v2-demo")],
    # What does not depend on a log.
    ["values", SAMPLE],
]


def compare(python: Path, tasklog: Any, arguments: list[Path | str]) -> dict[str, Any]:
    """What the native library answers, after a Python without it has answered the same."""
    program = HERE / "reading_answers.py"
    native = json.loads(
        subprocess.run(
            [sys.executable, program, *arguments],
            capture_output=True,
            text=True,
            check=True,
            # Expressions are those of the locale.
            env={
                **os.environ, "LC_ALL": "C.UTF-8", "TASKLOG_PROGRAM": str(tasklog.program),
            },
        ).stdout
    )  # fmt: skip
    pure = json.loads(run(python, program, *arguments))
    different = {q: (native[q], pure.get(q)) for q in native if native[q] != pure.get(q)}
    assert different == {} and pure.keys() == native.keys()
    return native


@pytest.mark.parametrize("logs", LOGS, ids=lambda logs: "+".join(Path(one).stem for one in logs))
def test_answers_are_those_of_the_native_library(
    python: Path, tasklog: Any, logs: list[Path | str]
) -> None:
    native = compare(python, tasklog, logs)
    # They are not all errors.
    assert len(native) > 60
    assert sum(isinstance(answer, list) for answer in native.values()) > 40


def test_analyses_are_those_of_the_command(python: Path, tasklog: Any, tmp_path: Path) -> None:
    """On a run of Dask in format 1, and on small runs with every kind of failure."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for path in (SAMPLE, *(each for each in FROZEN if each.stem == "v1-dask")):
        shutil.copy(path, folder)
    native = compare(python, tasklog, ["analyses", folder])
    assert len(native) > 60
    # They are not all errors.
    assert sum(isinstance(answer, list) for answer in native.values()) > 50


def test_analyses_of_killed_workers_are_those_of_the_command(
    python: Path, tasklog: Any, killed_worker: Recording
) -> None:
    native = compare(python, tasklog, ["analyses", killed_worker.log])
    assert len(native["run 1: summary workers"][1]) > 3


def test_the_tests_of_reading_pass(python: Path, tasklog: Any) -> None:
    files = ["test_reading.py", "test_reading_frames.py", "test_reading_bad_input.py"]
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not native", "--tb=short",
         *files],
        capture_output=True, text=True, cwd=HERE,
        env={**elsewhere.environment(), "TASKLOG_TEST_PROGRAM": str(tasklog.program)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) > 100 and "skipped" not in done.stdout, done.stdout


def test_what_needs_the_native_part_says_so_in_one_sentence(python: Path, tmp_path: Path) -> None:
    code = """
        import json, sys
        import tasklog
        from distributed import Client, LocalCluster
        from distributed.diagnostics.plugin import SchedulerPlugin
        class Plugin(SchedulerPlugin): pass
        run = tasklog.open(sys.argv[1]).run("#1")
        calls = {
            "jobs": run.jobs, "workers": run.workers, "advice": run.advice,
            "sizing": run.sizing, "explain": lambda: run.explain("x"), "stuck": run.stuck,
            "jobs of runs": lambda: run.log.runs.where("job=etl"),
            "where": lambda: run.log.runs.where("incomplete"),
            "compare of runs": lambda: run.log.runs.compare("closed"),
            "trend": lambda: run.log.runs.trend("makespan"), "errors": run.log.runs.errors,
            "compare": lambda: run.compare("#1"), "report": lambda: run.report("r.html"),
            "export": lambda: run.export("csv", "r.csv"),
            "anonymize": lambda: run.anonymize("copy.db"), "replay": lambda: run.replay(Plugin),
            "state_at": lambda: run.state_at(run.sql("SELECT max(seq) AS s FROM events").df().s[0]),
            "binary": tasklog.find_binary,
        }
        said = {}
        def call(name, function):
            try:
                function()
            except (tasklog.LogError, tasklog.RecordingError, FileNotFoundError) as error:
                said[name] = str(error)
        for name, function in calls.items():
            call(name, function)
        def record():
            with LocalCluster(n_workers=1, processes=False, dashboard_address=None) as cluster:
                with Client(cluster), tasklog.record("run.db"):
                    pass
        call("record", record)
        print(json.dumps(said))
    """
    said = json.loads(
        run(python, "-c", textwrap.dedent(code), SAMPLE, folder=tmp_path).splitlines()[-1]
    )
    assert len(said) == 19
    for name, words in said.items():
        assert NEEDS in words and "\n" not in words, (name, words)
    assert said["record"].startswith("nothing is recorded: recording a scheduler needs")
    done = subprocess.run(
        [python, "-m", "tasklog", "runs"], capture_output=True, text=True,
        env=elsewhere.environment(),
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith(
        f"tasklog: the command 'tasklog' {NEEDS}"
    )


def test_workers_are_recorded(python: Path, tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.prepare()
    with CommandCluster(recording) as cluster:
        worker = subprocess.Popen(
            [python, "-m", "distributed.cli.dask_worker", cluster.address, "--no-nanny", "--name",
             "elsewhere", "--no-dashboard"],
            cwd=tmp_path, env={**elsewhere.environment(), "PYTHONPATH": str(HERE)},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            with Client(cluster.address) as client:
                client.wait_for_workers(1, timeout=120)
                client.gather(client.map(workloads.increment, range(30), pure=False))
                found = client.run(lambda: __import__("tasklog").__file__)
                assert list(found.values()) == [
                    str(next(python.parents[1].glob("lib/*/site-packages/tasklog/__init__.py")))
                ]
                # Dask does not retire the only worker that has a result.
                wait_for(
                    lambda: client.run_on_scheduler(
                        lambda dask_scheduler: not dask_scheduler.tasks
                    ),
                    "release of the tasks",
                )
                client.retire_workers(list(found))
            worker.wait(60)
        finally:
            worker.kill()
            worker.wait()
    log = Log(recording.log)
    executed = "SELECT count(*) FROM transitions WHERE source = 'worker' AND finish = 'executing'"
    assert log.one(executed) == 30
    assert log.one("SELECT count(*) FROM gap") == 0


def test_a_client_elsewhere_records_a_scheduler_that_can(python: Path, tmp_path: Path) -> None:
    code = """
        import sys
        from distributed import Client
        import tasklog, workloads
        with Client(sys.argv[1]) as client:
            with tasklog.record("run.db", labels={"from": "elsewhere"}) as run:
                client.gather(client.map(workloads.increment, range(20), pure=False))
                run.fetch()
                live = tasklog.open("run.db").run(run.id)
                assert live.info.end == "running" and live.info.as_of is not None, live
                assert "running, as of 20" in repr(live), live
            done = tasklog.open("run.db").run()
            assert (done.info.end, done.info.as_of) == ("closed", None)
            print(len(done.tasks()), done.labels, len(run.transitions().df()) > 60)
    """
    with another_machine(tmp_path) as machine:
        script = tmp_path / "client.py"
        script.write_text(textwrap.dedent(code))
        done = subprocess.run(
            [python, script, machine.address], capture_output=True, text=True, cwd=tmp_path,
            env={**elsewhere.environment(), "PYTHONPATH": str(HERE)},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "20 {'from': 'elsewhere'} True"


#: Takes away what other systems lack, as far as the package uses it.
WITHOUT = {
    "macos": "del os.posix_fallocate",
    "windows": "sys.modules['fcntl'] = None; del os.getuid, os.posix_fallocate, os.O_CLOEXEC",
}


@pytest.mark.parametrize("system", WITHOUT)
def test_the_spool_of_a_worker_does_without_what_a_system_lacks(
    system: str, python: Path, tmp_path: Path
) -> None:
    code = f"""
        import os, sys
        import distributed
        {WITHOUT[system]}
        import tasklog
        from tasklog import recording, spool, worker
        from tasklog.recorder import Recorder
        header = {{"id": "w", "address": "tcp://w", "name": None}}
        made = spool.WorkerSpool(sys.argv[1], "01942f00-0000-7000-8000-000000000001", header)
        files = [name for _, _, names in os.walk(sys.argv[1]) for name in names]
        print(len(files), made.problem, os.path.basename(worker.default_folder())[:8])
        list(spool.orphans(sys.argv[1], "x"))
        assert len(tasklog.open(sys.argv[2]).run("#1").tasks()) == 7
    """
    said = run(python, "-c", textwrap.dedent(code), tmp_path / "spools", SAMPLE).splitlines()[-1]
    expected = {"macos": "1 None tasklog-", "windows": "0 this system has no locks"}
    assert said.startswith(expected[system])


def test_a_live_log_is_running_and_a_dead_one_has_died(
    python: Path, tmp_path: Path, killed_scheduler: Recording
) -> None:
    code = "import sys, tasklog; print([r.info.end for r in tasklog.open(sys.argv[1])])"
    recorder = NativeRecorder(str(tmp_path / "run.db"), {"engine": "test"})
    try:
        recorder.source("scheduler", "s", "tcp://s")
        wait_for(lambda: (tmp_path / "run.db").exists(), "a log")
        assert run(python, "-c", code, tmp_path / "run.db") == "['running']\n"
    finally:
        recorder.close()
    assert run(python, "-c", code, tmp_path / "run.db") == "['closed']\n"
    assert run(python, "-W", "ignore", "-c", code, killed_scheduler.log) == "['died']\n"


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run in several segments, of a scheduler and a worker."""
    folder = tmp_path_factory.mktemp("segments")
    recorder = NativeRecorder(f"{folder}/{{run}}.db", {"engine": "test", "rotate_seconds": 1})
    sources = [recorder.source(kind, kind, f"tcp://{kind}") for kind in ("scheduler", "worker")]
    steps = itertools.cycle(itertools.pairwise(["released", "waiting", "processing", "memory"]))
    number = 0

    def record() -> bool:
        nonlocal number
        for start, finish in itertools.islice(steps, 15):
            number += 1
            event = msgpack.packb(
                [1.7e9 + number // 3, "transition", f"key-{number // 9}", start, finish,
                 f"stimulus-{number // 4}", None, None, None, None]
            )  # fmt: skip
            source = sources[number % 5 > 3]
            assert recorder.put(recorder.handle, source, event, len(event)) > 0
        assert recorder.flush(60)
        return len(list(folder.glob("*.db"))) > 2

    wait_for(record, "a third segment")
    recorder.close()
    return folder


@pytest.mark.parametrize("name", ["template", "folder"])
def test_segments_of_a_run_are_one(name: str, python: Path, tasklog: Any, segments: Path) -> None:
    if name == "folder":
        native = compare(python, tasklog, [segments])
        assert sum(isinstance(answer, list) for answer in native.values()) > 40
    else:
        native = compare(python, tasklog, ["analyses", segments / "{run}.db"])
        assert len(native["run 1: summary prefixes"][1]) == 1


def test_without_the_last_segment_the_run_goes_on(
    python: Path, tasklog: Any, segments: Path, tmp_path: Path
) -> None:
    for path in sorted(segments.glob("*.db"), key=lambda path: path.stat().st_mtime)[:-1]:
        shutil.copy(path, tmp_path)
    native = compare(python, tasklog, ["analyses", tmp_path / "{run}.db"])
    assert len(native["run 1: summary prefixes"][1]) == 1


def test_parts_of_a_run_that_are_no_segments_are_named(python: Path, tmp_path: Path) -> None:
    id = "01942f00-0000-7000-8000-000000000001"
    for name in (f"{id}.db", f"{id}.2.db"):
        (tmp_path / name).write_bytes(SAMPLE.read_bytes())
    code = """
        import sys, tasklog
        try: tasklog.open(sys.argv[1])
        except tasklog.LogError as error: print(error)
    """
    said = run(python, "-c", textwrap.dedent(code), f"{tmp_path}/{{run}}.db")
    assert f"has a part of run {id}" in said and NEEDS in said


def test_a_running_run_in_segments_is_running(python: Path, tmp_path: Path) -> None:
    recorder = NativeRecorder(f"{tmp_path}/{{run}}.db", {"engine": "test", "rotate_seconds": 1})
    source = recorder.source("scheduler", "s", "tcp://s")
    number = 0

    def record() -> bool:
        nonlocal number
        for _ in range(15):
            number += 1
            event = msgpack.packb(
                [1.7e9, "transition", f"key-{number}", "released", "waiting", f"s-{number}",
                 None, None, None, None]
            )  # fmt: skip
            assert recorder.put(recorder.handle, source, event, len(event)) == number
        assert recorder.flush(60)
        return len(list(tmp_path.glob("*.db"))) > 1

    wait_for(record, "a second segment")
    code = "import sys, tasklog; print([(r.end, r.tasks) for r in tasklog.open(sys.argv[1]).runs])"
    template = f"{tmp_path}/{{run}}.db"
    assert run(python, "-c", code, template) == f"[('running', {number})]\n"
    recorder.close()
    assert run(python, "-c", code, template) == f"[('closed', {number})]\n"


def test_a_log_in_a_folder_that_cannot_be_written_to_is_read(python: Path, tmp_path: Path) -> None:
    """A copy of a closed log that is still in WAL mode."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    content = bytearray(SAMPLE.read_bytes())
    content[18:20] = b"\2\2"
    (folder / "run.db").write_bytes(content)
    code = """
        import os, sys, tasklog
        # Modules are imported while they can be.
        count = len(tasklog.open(sys.argv[2]).run("#1").tasks())
        if os.getuid() == 0: os.setuid(65534)
        print(len(tasklog.open(sys.argv[1]).run("#1").tasks()) == count == 7)
    """
    tmp_path.chmod(0o755)
    for parent in (*tmp_path.parents, *python.parents):
        if str(parent).startswith(f"{tempfile.gettempdir()}/"):
            parent.chmod(0o755)
    folder.chmod(0o555)
    (folder / "run.db").chmod(0o444)
    said = run(python, "-c", textwrap.dedent(code), folder / "run.db", SAMPLE)
    assert said == "True\n"
