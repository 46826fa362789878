"""The recorders for Dask name the fields of snapshots as Swift's `SnapshotField.swift` does."""

from __future__ import annotations

import inspect
import re
from typing import Any

from documents import REPOSITORY
from tasklog import hooks, snapshots, worker

VOCABULARY = REPOSITORY / "Sources" / "TaskLogPlugin" / "Vocabulary"
SWIFT = {
    kind: set(re.findall(r'StaticString \{ "(\w+)" \}', body))
    for kind, body in re.findall(
        r"package enum (\w+) \{\n(.*?)\n\}\n",
        (VOCABULARY / "SnapshotField.swift").read_text(),
        re.S,
    )
}
#: Fields that only the engine in Swift writes.
OF_THE_ENGINE = {"cause"}


def written(*things: Any) -> set[str]:
    """The names of the fields that a source file writes."""
    source = "".join(inspect.getsource(thing) for thing in things)
    return {a or b for a, b in re.findall(r'\w\["(\w+)"\] =|"(\w+)":', source)}


def test_the_names_of_swift_are_found() -> None:
    assert {kind: len(names) for kind, names in SWIFT.items()} == {
        "SnapshotKind": 3, "TaskField": 12, "GraphTaskField": 8, "WorkerField": 8, "SpanField": 4,
    }  # fmt: skip


def test_the_tasks_of_a_graph_have_the_names_of_swift() -> None:
    names = written(snapshots.graph_task)
    assert SWIFT["GraphTaskField"] <= names
    header = (REPOSITORY / "Sources" / "Python" / "tasklog" / "_graph.h").read_text()
    fast = set(re.findall(r'field\(b, "(\w+)"', header))
    assert len(fast) > 5 and fast <= names | {"known"}


def test_workers_have_the_names_of_swift() -> None:
    assert SWIFT["WorkerField"] <= written(snapshots.worker)


def test_the_changes_of_tasks_have_the_names_of_swift() -> None:
    names = written(hooks, worker, snapshots)
    assert SWIFT["TaskField"] - OF_THE_ENGINE <= names
    assert not OF_THE_ENGINE & names
    assert SWIFT["SnapshotKind"] <= written(hooks, snapshots, worker)
