"""The names that the package promises, and their types."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tasklog
from documents import REPOSITORY

HERE = Path(__file__).resolve().parent
LISTED = HERE / "public_names.txt"


def names() -> list[str]:
    """The public names with their parameters, a line each."""
    found = []
    for name in sorted(tasklog.__all__):
        value = getattr(tasklog, name)
        found.append(name + _signature(value))
        if isinstance(value, type):
            members = {m for kind in value.__mro__ if kind.__module__.startswith("tasklog")
                       for m in (*vars(kind), *getattr(kind, "__annotations__", ()))}  # fmt: skip
            for member in sorted(members):
                if not member.startswith("_"):
                    attribute = inspect.getattr_static(value, member, None)
                    found.append(f"{name}.{member}{_signature(attribute)}")
    return found


def _signature(value: Any) -> str:
    if not inspect.isfunction(value):
        return ""
    parameters = [
        parameter.replace(annotation=parameter.empty)
        for parameter in inspect.signature(value).parameters.values()
    ]
    return str(inspect.Signature(parameters))


def test_the_public_names_are_those_that_are_listed() -> None:
    found = "\n".join(names()) + "\n"
    if os.environ.get("TASKLOG_WRITE_NAMES"):
        LISTED.write_text(found)
    assert LISTED.read_text() == found, "set TASKLOG_WRITE_NAMES=1 to write the list"


def test_every_public_name_is_documented() -> None:
    documented = 0
    for name in tasklog.__all__:
        value = getattr(tasklog, name)
        assert value.__doc__, name
        if not isinstance(value, type) or not value.__module__.startswith("tasklog.reading"):
            continue
        for member, attribute in vars(value).items():
            if member.startswith("_") or not isinstance(attribute, (property, type(names))):
                continue
            assert attribute.__doc__, f"{name}.{member}"
            documented += 1
    assert documented > 20


def test_the_names_are_there_without_being_imported() -> None:
    code = "import sys, tasklog; print([n for n in sys.modules if n.startswith('tasklog.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = tasklog.nothing  # type: ignore[attr-defined]


def test_a_program_that_reads_is_checked_by_mypy() -> None:
    program = HERE / "reading_program.py"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file=",
         "--cache-dir", REPOSITORY / ".build-python/mypy-cache-program", program],
        capture_output=True, text=True, cwd=HERE,
    )  # fmt: skip
    # The last line shows that types are seen at all.
    assert done.stdout.splitlines() == [
        'reading_program.py:27: error: Argument 1 to "slowest" of "Run" has incompatible type'
        ' "str"; expected "int"  [arg-type]'
    ], done.stdout + done.stderr
