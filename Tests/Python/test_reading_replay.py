"""A run is replayed in a child process, and the plugin comes back."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin

import tasklog
from test_reading import FROZEN


@pytest.fixture(autouse=True)
def program(tasklog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKLOG_PROGRAM", str(tasklog.program))


@pytest.fixture
def run(tmp_path: Path) -> tasklog.Run:
    return tasklog.open(shutil.copy(FROZEN[4], tmp_path / "log.db")).run()


class Counter(SchedulerPlugin):
    def __init__(self, step: int = 1) -> None:
        self.step = step
        self.count = 0
        self.times: set[float] = set()

    def start(self, scheduler: Any) -> None:
        self.scheduler = scheduler

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        if start == "processing" and finish == "memory":
            self.count += self.step
            self.task = self.scheduler.tasks[key]
        self.times.add(time.time())


class OnWorkers(WorkerPlugin):
    def __init__(self) -> None:
        self.keys: list[Any] = []

    def transition(self, key: Any, *args: Any, **kwargs: Any) -> None:
        self.keys.append(key)


def test_the_plugin_is_as_it_is_after_the_run(run: tasklog.Run) -> None:
    before = time.time()
    plugin = run.replay(Counter, step=2)
    ended = run.transitions(source="scheduler", start="processing", finish="memory")
    assert type(plugin) is Counter
    assert plugin.count == 2 * len(ended) > 5
    # Its clock was that of the run, and the one here is what it was.
    assert max(plugin.times) < before <= time.time()


def test_rebuilt_state_does_not_come_back(run: tasklog.Run) -> None:
    plugin = run.replay(Counter)
    assert isinstance(plugin.scheduler, tasklog.RebuiltObject)
    assert plugin.scheduler.type == "Scheduler" and plugin.task.type == "TaskState"
    assert "increment" in repr(plugin.task) or "Task" in repr(plugin.task)
    with pytest.raises(AttributeError, match="stayed in the process of the replay"):
        plugin.scheduler.tasks  # noqa: B018


def test_a_class_of_a_notebook_is_replayed(run: tasklog.Run) -> None:
    # As classes of `__main__` are: nothing can import it.
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(
        "from distributed.diagnostics.plugin import SchedulerPlugin\n"
        "class Local(SchedulerPlugin):\n"
        "    def __init__(self): self.seen = []\n"
        "    def transition(self, key, start, finish, *args, **kwargs): self.seen.append(finish)\n",
        namespace,
    )
    assert "memory" in run.replay(namespace["Local"]).seen


def test_the_scheduler_is_rebuilt_as_it_was_after_an_event(run: tasklog.Run) -> None:
    ended = list(run.transitions(source="scheduler", start="processing", finish="memory"))
    seq = ended[2].seq
    expected = {row.key: row.state for row in run.state(at=seq).tasks if row.source == "scheduler"}
    with run.state_at(seq) as scheduler:
        assert {str(key): scheduler.tasks[key].state for key in scheduler.tasks} == expected
        done = scheduler.tasks[ended[0].key]
        (holder,) = done.who_has
        assert holder == scheduler.workers[ended[0].worker]
        assert holder.address == ended[0].worker and holder in list(scheduler.workers.values())
        assert scheduler.get_comm_cost(done, holder) == 0
        assert "tasks" in dir(scheduler) and "memory" in repr(done)
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            _ = scheduler.nothing
        with pytest.raises(KeyError):
            scheduler.tasks["nothing"]
    with pytest.raises(tasklog.LogError, match="has ended; call Run.state_at again"):
        _ = done.state


def test_the_clock_of_this_process_is_not_that_of_the_replay(run: tasklog.Run) -> None:
    before = time.time()
    with run.state_at(30) as scheduler:
        assert scheduler.tasks
        assert time.time() >= before > run.info.started.timestamp()


def test_an_event_that_is_not_there_has_no_state(run: tasklog.Run) -> None:
    with pytest.raises(tasklog.LogError, match="run #1 has the events 1 to 197, and not 1000"):
        run.state_at(1000)


def test_plugins_of_workers_come_back_by_address(run: tasklog.Run) -> None:
    plugins = run.replay(OnWorkers)
    assert set(plugins) == {row.worker for row in run.transitions(source="worker")}
    assert all(plugin.keys for plugin in plugins.values())


def test_an_object_of_a_rebuilt_scheduler_keeps_it(run: tasklog.Run) -> None:
    ended = list(run.transitions(source="scheduler", start="processing", finish="memory"))
    seq = ended[2].seq
    expected = {row.key for row in run.state(at=seq).tasks if row.source == "scheduler"}
    tasks = run.state_at(seq).tasks
    assert {str(key) for key in tasks} == expected != set()
