"""The host of plugins in Python: where it is found, what can be wrong with it, and which logs it
replays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters import HERE, Recording
from documents import PLUGIN_CATALOG
from log import Log
from replaying import WATCHERS, without_an_assignment
from test_older import OLDER
from watched import Watched

COUNTER = '''
class Counter:
    """The counter of Dask's documentation, without its base class."""

    def __init__(self, first=0):
        self.counter = first

    def transition(self, key, start, finish, *args, **kwargs):
        if start == "processing" and finish == "memory":
            self.counter += 1

    def restart(self, scheduler):
        self.counter = 0
'''


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    file = tmp_path / "counter.py"
    file.write_text(COUNTER)
    return file


@pytest.fixture(scope="session")
def same_graph(demo: Path, new_recording: Callable) -> Recording:
    """The graph of that log, run by Dask."""
    from distributed import Client, LocalCluster, wait

    recording = new_recording("same-graph")
    log = Log(demo)
    (server,) = log.servers("scheduler")
    with (
        recording.applied(),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        futures: dict = {}
        for event in log.events(server):
            if event.hook == "updateGraph":
                for facts in event.snapshot["graph"]:
                    needed = [futures[key] for key in facts.get("dependencies", ())]
                    futures[facts["key"]] = client.submit(len, needed, key=facts["key"])
        wait(list(futures.values()))
    return recording


def test_the_two_counters_count_the_same_on_logs_of_both_engines(
    demo: Path, same_graph: Recording, replay: Callable, counter: Path
) -> None:
    counts = []
    for log in (demo, same_graph.log):
        swift = replay(log).run("--plugin=counter").stdout
        (line,) = [line for line in swift.splitlines() if "counter:" in line]
        counts.append(int(line.split(":")[1]))
        python = replay(log).run(f"--plugin={counter}:Counter", "--result=counter")
        assert python.stderr == ""
        counts.append(int(python.stdout))
    assert len(set(counts)) == 1, counts
    article = (PLUGIN_CATALOG / "ReplayDaskPlugins.md").read_text()
    for kind in ("`--plugin counter`, in Swift", "`--plugin counter.py:Counter`, in Python"):
        assert f"| {kind} | {counts[0]} | {counts[0]} |" in article


def test_a_run_is_followed_through_plugins_while_it_is_recorded(
    replay: Callable, new_recording: Callable
) -> None:
    from distributed import Client, LocalCluster

    import workloads

    recording = new_recording("followed")
    plugins = [f"--plugin={WATCHERS}:{name}" for name in ("Counter", "MyPlugin", "Notified")]
    wanted = [
        f"--result={WATCHERS}:{name}"
        for name in ("Counter:counter", "MyPlugin:seen", "Notified:observed")
    ]
    with (
        recording.applied(),
        LocalCluster(
            n_workers=2, threads_per_worker=2, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        workloads.maps(client)
        following = subprocess.Popen(
            [
                replay(recording.log).program, "replay", "--log", recording.log, "--follow",
                "--python", sys.executable, *plugins, *wanted,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE)},
        )  # fmt: skip
        for _ in range(5):
            workloads.maps(client)
    output, errors = following.communicate(timeout=60)
    assert following.returncode == 0, errors
    assert "drift" not in errors, errors
    afterwards = replay(recording.log).run(*plugins, *wanted)
    assert output == afterwards.stdout
    # Tasks whose results still exist are not run again.
    assert int(output.splitlines()[0]) >= 61


def test_a_log_of_our_own_engine_shows_its_state_to_plugins_of_dask(
    demo: Path, replay: Callable
) -> None:
    """Dask's own functions compute the same state."""
    replayed = replay(demo)
    done = replayed.run(
        f"--plugin={WATCHERS}:MyPlugin",
        f"--plugin={WATCHERS}:Everything",
        "--plugin=distributed.diagnostics.progress:AllProgress",
        f"--result={WATCHERS}:MyPlugin:seen",
        f"--result={WATCHERS}:Everything:calls",
        "--result=distributed.diagnostics.progress:AllProgress:state",
    )
    assert "drift" not in done.stderr, done.stderr
    assert "failed" not in done.stderr, done.stderr
    seen, calls, state = (json.loads(line) for line in done.stdout.splitlines())
    log = Log(demo)
    (server,) = log.servers("scheduler")
    transitions = [e for e in log.events(server) if e.hook == "transition"]
    assert [row[:4] for row in seen] == [
        [str(e.key), e.start, e.finish, e.finish] for e in transitions
    ]
    assert {call[0] for call in calls} >= {"update_graph", "add_worker", "add_client", "close"}
    assert state["memory"] == {}


def test_worker_plugins_are_called_with_what_our_own_engine_did(
    demo: Path, replay: Callable
) -> None:
    done = replay(demo).run(
        f"--plugin={WATCHERS}:Notified", f"--result={WATCHERS}:Notified:observed"
    )
    assert done.returncode == 0, done.stderr
    log = Log(demo)
    recorded = [
        len([e for e in log.events(server) if e.hook == "transition"])
        for server in log.servers("worker")
    ]
    observed = json.loads(done.stdout)
    assert sorted(recorded) == sorted(len(rows) - 2 for rows in observed.values())


def test_what_a_file_keeps_to_itself_is_not_meant(
    demo: Path, replay: Callable, tmp_path: Path
) -> None:
    log = Log(demo)
    (server,) = log.servers("scheduler")
    transitions = sum(event.hook == "transition" for event in log.events(server))
    code = "class {}:\n  count = 0\n  def transition(self, *args, **kwargs): self.count += 1\n"
    for names in (["_Base", "Mine"], ["_Only"]):
        source = tmp_path / f"{names[-1]}.py"
        source.write_text("".join(code.format(name) for name in names))
        done = replay(demo).run(f"--plugin={source}", f"--result={source}:count")
        assert done.returncode == 0 and int(done.stdout) == transitions, done.stderr


# What can be wrong


def test_each_error_is_one_line_with_the_way_out(
    demo: Path, replay: Callable, tmp_path: Path, counter: Path
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import json\n\nvalue = 1 / 0\n")
    needing = tmp_path / "needing.py"
    needing.write_text("import no_such_module_at_all\n")
    several = tmp_path / "several.py"
    several.write_text("class A:\n  transition = 1\nclass B:\n  transition = 1\n")
    asking = tmp_path / "asking.py"
    asking.write_text(
        "class Asking:\n    def __init__(self, host, port=1):\n        raise OSError('no host')\n"
        "    def transition(self, *args, **kwargs): ...\n"
    )
    nanny = tmp_path / "nanny.py"
    nanny.write_text("class NannyPlugin: ...\nclass Mine(NannyPlugin): ...\n")
    cases = [
        ("no_such_module:Class", [], "there is no module no_such_module", "--python"),
        (f"{tmp_path}/nothing.py:Class", [], "there is no file", "nothing.py"),
        (f"{broken}:Class", [], "ZeroDivisionError: division by zero (broken.py:3)", "broken.py"),
        (f"{needing}:Class", [], "needs the module no_such_module_at_all", "--python"),
        (f"{counter}:Nobody", [], "there is no Nobody in", "it has Counter"),
        (f"{several}", [], "several plugins in it", f"{several}:A, {several}:B"),
        (f"{counter}:Counter", ["--option=second=1"], "unexpected keyword", "it takes first=0"),
        (f"{asking}:Asking", [], "missing a required argument: 'host'", "--option name=value"),
        (
            f"{asking}:Asking",
            ["--option=host=x"],
            "fails when it is made: OSError: no host",
            "--op",
        ),
        ("json:dumps", [], "missing a required argument: 'obj'", "--option name=value"),
        ("os:getcwd", [], "os:getcwd is no plugin", "hooks"),
        ("json:JSONDecoder", [], "is no plugin", "SchedulerPlugin"),
        ("json:__all__", [], "__all__ is a list", "not a class"),
        (f"{nanny}:Mine", [], "nannies are not recorded", "Mine"),
        (f"{counter}:Counter", ["--result=nothing"], "has no nothing", "it has counter"),
    ]
    for plugin, more, said, way in cases:
        done = replay(demo).run(f"--plugin={plugin}", *more)
        assert done.returncode == 1, (plugin, done.stdout, done.stderr)
        (line,) = done.stderr.splitlines()
        assert line.startswith("tasklog: ") and said in line and way in line, line


def test_options_of_the_command_that_do_not_fit_are_errors_of_usage(
    demo: Path, replay: Callable, counter: Path
) -> None:
    cases = [
        (["--plugin=counter", "--result=counter"], "requires a Python plugin"),
        ([f"--plugin={counter}:Counter", "--plugin=json:JSONDecoder", "--result=counter"], "write"),
        ([f"--plugin={counter}:Counter", "--result=a.py:B:counter"], "no --plugin names a Python"),
        ([f"--plugin={counter}:Counter", "--python", "/no/such/python"], "no such program"),
    ]
    for arguments, said in cases:
        done = replay(demo).run(*arguments)
        assert done.returncode == 64, done.stderr
        assert said in done.stderr


def test_without_a_python_or_its_package_the_way_to_one_is_told(
    demo: Path, replay: Callable, tmp_path: Path, counter: Path
) -> None:
    bare = tmp_path / "bare"
    venv.create(bare, with_pip=False)
    done = replay(demo).run(f"--plugin={counter}:Counter", "--python", str(bare / "bin/python"))
    assert done.returncode == 1
    assert "there is no tasklog package in" in done.stderr
    assert "-m pip install tasklog-….whl" in done.stderr
    command = [replay(demo).program, "replay", "--log", demo, f"--plugin={counter}:Counter"]
    environment = {n: v for n, v in os.environ.items() if n not in ("PATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        command, capture_output=True, text=True, env={**environment, "PATH": str(tmp_path)}
    )
    assert done.returncode == 1
    assert "no python3 on PATH" in done.stderr
    # The active environment comes first.
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "VIRTUAL_ENV": str(bare)}
    )
    assert f"in {bare}/bin/python" in done.stderr


def test_a_host_that_dies_or_does_not_come_back_is_told(
    demo: Path, replay: Callable, tmp_path: Path
) -> None:
    file = tmp_path / "bad.py"
    file.write_text(
        "import os, time\n"
        "class Dies:\n"
        "    def transition(self, *args, **kwargs):\n        os.kill(os.getpid(), 11)\n"
        "class Hangs:\n"
        "    def transition(self, key, start, finish, *args, **kwargs):\n"
        "        if finish == 'memory':\n            time.sleep(600)\n"
        "class Exits:\n"
        "    def transition(self, *args, **kwargs):\n        os._exit(7)\n"
    )
    done = replay(demo).run(f"--plugin={file}:Dies")
    assert done.returncode == 1 and "signal 11" in done.stderr, done.stderr
    done = replay(demo).run(f"--plugin={file}:Exits")
    assert done.returncode == 1 and "ended with code 7" in done.stderr, done.stderr
    done = replay(demo).run(f"--plugin={file}:Hangs", "--timeout", "1")
    assert done.returncode == 1
    assert f"plugin '{file}:Hangs' has not come back for 1 s in transition of" in done.stderr
    assert "from processing to memory (seq" in done.stderr


# Options and reports


def test_options_are_json_where_they_can_be(demo: Path, replay: Callable, tmp_path: Path) -> None:
    file = tmp_path / "taking.py"
    file.write_text(
        "class Taking:\n"
        "    def __init__(self, **given):\n        self.given = given\n"
        "    def transition(self, *args, **kwargs): ...\n"
        "    def tasklog_report(self):\n        return {'tuple': (1, 2), 'set': {'b', 'a'}}\n"
    )
    options = ["n=1", "x=1.5", "t=text", 'l=[1, "two"]', "b=true", 's="1"']
    given = [f"--option={option}" for option in options]
    done = replay(demo).run(f"--plugin={file}:Taking", "--result=given", *given)
    assert json.loads(done.stdout) == {
        "n": 1, "x": 1.5, "t": "text", "l": [1, "two"], "b": True, "s": "1",
    }  # fmt: skip
    done = replay(demo).run(f"--plugin={file}:Taking")
    assert 'set: ["a","b"]' in done.stdout and "tuple: [1,2]" in done.stdout, done.stdout


def test_what_a_plugin_prints_comes_before_the_reports(
    demo: Path, replay: Callable, tmp_path: Path
) -> None:
    file = tmp_path / "printing.py"
    file.write_text(
        "class Printing:\n    async def close(self):\n        print('closed')\n"
        "    def add_worker(self, scheduler, worker):\n        print('a worker')\n"
    )
    done = replay(demo).run(f"--plugin={file}:Printing")
    lines = done.stdout.splitlines()
    assert lines.count("a worker") >= 1
    assert lines.index("closed") < len(lines) - 1
    assert "events of run #1 replayed" in lines[-1]


def test_pickles_are_loaded_only_when_they_are_trusted(
    tasklog: Any, replay: Callable, new_recording: Callable, tmp_path: Path
) -> None:
    from distributed import Client, LocalCluster

    recording = new_recording("pickles")
    recording.environment["TASKLOG_PICKLE"] = "1"

    def log(dask_scheduler: Any) -> None:
        import fractions

        dask_scheduler.log_event("pickled", {"value": fractions.Fraction(1, 3)})

    with (
        recording.applied(),
        LocalCluster(n_workers=1, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.run_on_scheduler(log)
    file = tmp_path / "events.py"
    file.write_text(
        "class Events:\n    def __init__(self):\n        self.seen = []\n"
        "    def log_event(self, topic, msg):\n        if topic == 'pickled':\n"
        "            value = msg['value']\n"
        "            self.seen = [type(value).__name__, getattr(value, 'repr', None),\n"
        "                         getattr(value, 'denominator', None)]\n"
    )
    done = replay(recording.log).run(f"--plugin={file}:Events", "--result=seen")
    assert json.loads(done.stdout) == ["PythonObject", "Fraction(1, 3)", None]
    assert "stand-ins" in done.stderr and "fractions.Fraction (1)" in done.stderr
    trusting = ["--trust-pickles", "--result=seen"]
    done = replay(recording.log).run(f"--plugin={file}:Events", *trusting)
    assert json.loads(done.stdout) == ["Fraction", None, 3]
    assert "stand-ins" not in done.stderr


def test_what_was_noted_live_is_compared(
    replay: Callable, new_recording: Callable, tmp_path: Path
) -> None:
    import dask
    from distributed import Client, LocalCluster

    import tasklog
    import watchers
    import workloads

    recording = new_recording("verified")
    with (
        recording.applied(),
        dask.config.set({"distributed.scheduler.preload": []}),
        LocalCluster(n_workers=2, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        recorder = tasklog.Recorder(
            recording.log,
            verify=[watchers.Counter, watchers.MyPlugin, watchers.RepairedErrorLogger],
            every=50,
        )
        client.register_plugin(recorder)
        workloads.maps(client)
        workloads.errors(client, str(recording.folder))
    plugins = [f"--plugin={WATCHERS}:{name}" for name in ("Counter", "RepairedErrorLogger")]
    done = replay(recording.log).run(*plugins, f"--plugin={WATCHERS}:MyPlugin", "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'Counter' on the scheduler: same as live in all" in done.stdout
    assert "'MyPlugin' on the scheduler: same as live in all" in done.stdout
    assert done.stdout.count("'RepairedErrorLogger' on worker") == 2
    # A plugin that was ported to Swift is compared with its Python version.
    done = replay(recording.log).run(f"--plugin={HERE}/Counter.swift", "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'Counter' on the scheduler: same as live in all" in done.stdout
    other = tmp_path / "Counter.swift"
    swift = (HERE / "Counter.swift").read_text()
    other.write_text(swift.replace("start == .processing", "start == .released"))
    done = replay(recording.log).run(f"--plugin={other}", "--verify")
    assert done.returncode == 2
    assert "counter" in done.stdout + done.stderr
    other = tmp_path / "other.py"
    other.write_text(
        "class Counter:\n    counter = 0\n"
        "    def __init__(self):\n        self.counter = 0\n"
        "    def transition(self, key, start, finish, *args, **kwargs):\n"
        "        if start == 'waiting' and finish == 'memory':\n            self.counter += 1\n"
    )
    done = replay(recording.log).run(f"--plugin={other}:Counter", "--verify")
    assert done.returncode == 2
    assert "counter" in done.stdout + done.stderr
    # A state that does not fit comes before a report that differs, and a failure before both.
    log = without_an_assignment(recording.log, tmp_path / "without.db")
    failing = tmp_path / "failing.py"
    failing.write_text("class Failing:\n    def transition(self, *args, **kwargs): 1 / 0\n")
    plugins = [f"--plugin={other}:Counter", f"--plugin={WATCHERS}:MyPlugin", "--verify"]
    done = replay(log).run(*plugins)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "differs from the live run" in done.stderr and "drift: " in done.stderr, done.stderr
    done = replay(log).run(*plugins, f"--plugin={failing}:Failing")
    assert done.returncode == 1, done.stdout + done.stderr


# Other Pythons


def test_without_distributed_plugins_that_only_use_their_arguments_work(
    demo: Path, same_graph: Recording, replay: Callable, tmp_path: Path, counter: Path
) -> None:
    import msgpack

    import tasklog

    bare = tmp_path / "bare"
    venv.create(bare, with_pip=False)
    (packages,) = bare.glob("lib/python*/site-packages")
    for module in (msgpack, tasklog):
        folder = Path(module.__file__).parent
        (packages / folder.name).symlink_to(folder)
    python = str(bare / "bin" / "python")
    for log in (demo, same_graph.log):
        here = replay(log).run(f"--plugin={counter}:Counter", "--result=counter")
        done = replay(log).run(
            f"--plugin={counter}:Counter", "--result=counter", "--python", python
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == here.stdout
    looking = tmp_path / "looking.py"
    looking.write_text(
        "class Looking:\n    def restart(self, scheduler): self.n = len(scheduler.tasks)\n"
        "    def add_worker(self, scheduler, worker): self.n = len(scheduler.tasks)\n"
    )
    done = replay(same_graph.log).run(f"--plugin={looking}:Looking", "--python", python)
    assert done.returncode == 1
    assert "distributed is not installed" in done.stderr
    assert "no tasks" in done.stderr


@pytest.mark.skipif(not OLDER, reason="TASKLOG_TEST_OLDER names no Python with an older Dask")
@pytest.mark.parametrize("older", OLDER)
def test_a_log_of_another_version_is_replayed_with_a_warning(
    watched_in_process: Watched, replay: Callable, older: str
) -> None:
    version = subprocess.run(
        [older, "-c", "import distributed; print(distributed.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    plugins = [f"--plugin={WATCHERS}:{name}" for name in ("Counter", "EventStream", "AllProgress")]
    wanted = [
        f"--result={WATCHERS}:{name}"
        for name in ("Counter:counter", "EventStream:buffer", "AllProgress:state")
    ]
    done = replay(watched_in_process.log).run(*plugins, *wanted, "--python", older)
    assert f"recorded with distributed 2026.8.0, replayed with {version}" in done.stderr
    lines = done.stdout.splitlines()
    live = watched_in_process.scheduler
    assert lines[0] == live["Counter.counter"]
    assert lines[1] == live["EventStream.buffer"]
    assert lines[2] == live["AllProgress.state"]
