"""The option `profile`: what Dask's workers sample of their tasks is in the log, and whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster, wait

import tasklog as package
from clusters import wait_for
from log import Log
from tasklog import profiling
from tasklog.options import Options

#: A tree of Dask's: the samples of each function in its callers, and of all of them under ().
Shares = dict[tuple[str, ...], int]


def outer(_: Any, seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        inner()


def inner() -> None:
    innermost()


def innermost() -> int:
    return sum(range(20_000))


def other(_: Any, seconds: float) -> None:
    pause(seconds)


def pause(seconds: float) -> None:
    time.sleep(seconds)


def _of_dask(state: dict[str, Any], above: tuple[str, ...] = ()) -> Shares:
    found: Shares = {above: state["count"]}
    for child in state["children"].values():
        stack = (*above, child["identifier"])
        found |= _of_dask(child, stack)
    return found


def _of_log(log: Path, prefix: str | None) -> Shares:
    found: Shares = {}
    for recorded in _recorded(log, prefix):
        found[()] = found.get((), 0) + recorded["samples"]
        stacks: list[tuple[str, ...]] = []
        numbers = recorded["nodes"]
        for at in range(0, len(numbers), 3):
            caller, frame, count = numbers[at : at + 3]
            name, file, line = recorded["frames"][frame]
            above = stacks[caller] if caller >= 0 else ()
            stacks.append((*above, f"{name};{file};{line}"))
            found[stacks[-1]] = found.get(stacks[-1], 0) + count
    return found


def _of_speedscope(document: dict[str, Any], name: str) -> tuple[Shares, float]:
    """The samples of each stack, and the seconds of all."""
    (profile,) = [each for each in document["profiles"] if each["name"] == name]
    frames = [f"{f['name']};{f['file']};{f['line']}" for f in document["shared"]["frames"]]
    found: Shares = {}
    for stack, weight in zip(profile["samples"], profile["weights"], strict=True):
        for depth in range(len(stack) + 1):
            place = tuple(frames[frame] for frame in stack[:depth])
            found[place] = found.get(place, 0) + round(weight / 0.01)
    assert profile["type"] == "sampled" and profile["unit"] == "seconds"
    assert sum(profile["weights"]) == pytest.approx(profile["endValue"])
    return found, profile["endValue"]


def _recorded(log: Path, prefix: str | None = None) -> list[dict[str, Any]]:
    """The events, or only those of a prefix."""
    rows = Log(log).rows("SELECT args FROM events WHERE hook = 'profile' ORDER BY seq")
    recorded = [json.loads(text) for (text,) in rows]
    return [each for each in recorded if prefix in (None, each["prefix"])]


@pytest.fixture(scope="module")
def monkeymodule() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def profiled(
    tmp_path_factory: pytest.TempPathFactory, monkeymodule: pytest.MonkeyPatch
) -> tuple[Path, dict[str | None, Shares]]:
    """A log, and what Dask's own profile of the same run had: of all, and by prefix."""
    path = tmp_path_factory.mktemp("profile") / "run.db"
    monkeymodule.setattr(profiling, "_LOOK_SECONDS", 0.3)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=2, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(
            package.Recorder(path, worker_spool=str(path.parent / "spool"), profile="1s")
        )
        wait(client.map(outer, range(8), [0.5] * 8, pure=False))
        wait_for(lambda: len(_recorded(path, "outer")) >= 2, "profiles of the first tasks")
        wait(client.map(outer, range(8), [0.5] * 8, pure=False))
        wait(client.map(other, range(6), [0.4] * 6, pure=False))
        # Dask shows the samples of a function once one of its cycles with them has ended.
        wait_for(
            lambda: all(
                any(name in samples for _, samples in worker.profile_keys_history)
                for worker in cluster.workers.values()
                for name in ("outer", "other")
            ),
            "the end of a cycle of Dask's profile",
        )
        theirs: dict[str | None, Shares] = {
            name: _of_dask(client.profile(key=name)) for name in ("outer", "other")
        }
    # Dask walks the stack once for its tree of all tasks and again for that of the prefix, and the
    # thread may have left a function meanwhile: its two trees differ by such a sample now and then.
    theirs[None] = dict(sum((Counter(theirs[name]) for name in ("outer", "other")), Counter()))
    for name in ("outer", "other"):
        theirs[None] = {**dict.fromkeys(theirs[name], 0), **theirs[None]}
    return path, theirs


def test_the_profile_is_that_of_dask(profiled: tuple[Path, dict[str | None, Shares]]) -> None:
    log, theirs = profiled
    assert {recorded["prefix"] for recorded in _recorded(log)} - {None} == {"outer", "other"}
    # That of a prefix is the sum of several.
    assert len(_recorded(log, "outer")) > 2
    for prefix, shares in theirs.items():
        assert shares[()] > 5
        assert _of_log(log, prefix) == shares, prefix


def test_speedscope_has_the_same_shares(
    profiled: tuple[Path, dict[str | None, Shares]], tasklog: Callable[..., str], tmp_path: Path
) -> None:
    log, theirs = profiled
    document = json.loads(tasklog(log, "export", "--to", "speedscope"))
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert [each["name"] for each in document["profiles"]][0] == "all"
    for prefix, shares in theirs.items():
        found, seconds = _of_speedscope(document, prefix or "all")
        # Dask counts the innermost function of a stack for its caller.
        assert found == {stack: count for stack, count in shares.items() if count}
        assert seconds == pytest.approx(shares[()] * 0.01)
    path = tmp_path / "outer.json"
    tasklog(log, "export", "--to", "speedscope", "--prefix", "outer", "-o", str(path))
    chosen = json.loads(path.read_text())
    assert [each["name"] for each in chosen["profiles"]] == ["all", "outer"]


def test_the_functions_are_a_part_of_the_time(
    profiled: tuple[Path, dict[str | None, Shares]], tasklog: Callable[..., str]
) -> None:
    log, theirs = profiled
    rows = json.loads(tasklog(log, "time", "--by", "function", "--format", "json"))
    whole = theirs[None][()]
    for name in ("outer", "inner", "other"):
        (row,) = [each for each in rows if each["function"] == name]
        samples = sum(
            count
            for stack, count in theirs[None].items()
            if stack and stack[-1].startswith(f"{name};")
        )
        assert row["samples"] == samples > 0
        assert row["share"] == pytest.approx(samples / whole)
        assert row["file"].endswith("test_profile.py")
    assert sum(row["own_share"] for row in rows) == pytest.approx(1)


def test_what_a_killed_worker_had_not_sent_is_told(
    tasklog: Callable[..., str], tmp_path: Path
) -> None:
    log = tmp_path / "run.db"
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(
            package.Recorder(log, worker_spool=str(tmp_path / "spool"), profile="1h")
        )
        task = client.submit(other, 0, 600)
        wait_for(lambda: sum(client.run(_sampled).values()) > 150, "some seconds of profile")
        (pid,) = client.run(os.getpid).values()
        os.kill(pid, signal.SIGKILL)
        wait([task])
        # The next worker has a profile.
        client.submit(outer, 1, 0.3).result()
    assert "inner" in tasklog(log, "time", "--by", "function", "--format", "json")
    words = [str(tasklog.program), "export", "--log", str(log), "--to", "speedscope"]  # type: ignore[attr-defined]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert "1 worker ended before the last" in done.stderr
    assert "inner" in done.stdout and "other" not in done.stdout


def _sampled(dask_worker: Any) -> int:
    return sum(
        state["count"]
        for _, states in dask_worker.profile_keys_history
        for state in states.values()
    )


# The option


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("true", 120), (True, 120), ("false", 0), ("off", 0), (False, 0), ("5m", 300), (30, 30)],
)
def test_the_option_is_a_flag_or_a_duration(value: Any, seconds: float) -> None:
    options = Options.read({"profile": value})
    assert options.profile == seconds and not options.problems


def test_it_is_off_by_default_and_an_invalid_one_is_reported() -> None:
    assert Options.read({}).profile == 0
    options = Options.read({"profile": "1ms"})
    assert options.profile == 0 and "profile" in options.problems[0]


def test_with_redaction_there_is_no_profile() -> None:
    options = Options.read({"profile": True, "redact": "password"})
    assert options.profile == 0
    assert "'profile' is off" in options.problems[0]


# The bounds


def _state(depth: int, width: int) -> dict[str, Any]:
    """A tree of `width` functions in each of `depth` others."""

    def node(name: str, children: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "identifier": f"{name};file.py;1",
            "description": {"name": name, "filename": "file.py", "line_number": 1},
            "count": sum(child["count"] for child in children) or 1,
            "children": {child["identifier"]: child for child in children},
        }

    nodes = [node(f"leaf-{place}", []) for place in range(width)]
    for level in range(depth):
        nodes = [node(f"level-{level}", nodes)]
    return node("root", nodes)


def test_a_large_profile_is_bounded_and_no_sample_is_lost() -> None:
    tree = profiling.Tree()
    tree.add(_state(3, profiling.MOST_NODES * 2))
    told = tree.described()
    numbers = told["nodes"]
    assert len(numbers) == 3 * profiling.MOST_NODES
    assert told["samples"] == profiling.MOST_NODES * 2
    assert told["omitted"] == profiling.MOST_NODES * 2 - (profiling.MOST_NODES - 3)
    # The outermost function has all samples, also those of functions that are omitted.
    assert numbers[:3] == [-1, 0, told["samples"]]


def test_trees_are_merged_function_by_function() -> None:
    tree = profiling.Tree()
    tree.add(_state(1, 2))
    tree.add(_state(1, 2))
    told = tree.described()
    assert told["samples"] == 4 and "omitted" not in told
    frames = [name for name, _, _ in told["frames"]]
    counts = {frames[told["nodes"][at + 1]]: told["nodes"][at + 2] for at in range(0, 9, 3)}
    assert counts == {"level-0": 4, "leaf-0": 2, "leaf-1": 2}
