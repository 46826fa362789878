"""The table of options in the documentation, compared with the recorders in Python and Swift."""

from __future__ import annotations

import re
from dataclasses import fields

from dask.utils import parse_bytes, parse_timedelta

from documents import CATALOG, REPOSITORY, code, table
from tasklog.options import _OTHERS, Options

RECORDING = REPOSITORY / "Sources" / "Recording"
OPTIONS = table((CATALOG / "Options.md").read_text(), "Python")
#: The options of the recorder in Python, by name.
KNOWN = {option.name: option for option in fields(Options) if "read" in option.metadata}
NONE = "–"
#: The variables by their names in Swift.
VARIABLES = dict(
    re.findall(
        r'case (\w+) = "(TASKLOG_\w+)"',
        (REPOSITORY / "Sources/TaskLogPlugin/Vocabulary/EnvironmentVariable.swift").read_text(),
    )
)


def test_each_option_of_python_is_one_row() -> None:
    rows = [[code(cell) for cell in row[:3]] for row in OPTIONS if row[0] != NONE]
    assert sorted(rows) == sorted(
        [name, f"TASKLOG_{name.upper()}", f"tasklog.{name.replace('_', '-')}"] for name in KNOWN
    )


def test_the_defaults_are_those_of_python() -> None:
    for row in OPTIONS:
        if row[0] == NONE:
            continue
        option, default = KNOWN[code(row[0])], row[5]
        if option.default in (None, ()):
            assert default and code(default) is None, row
        else:
            assert option.metadata["read"](code(default)) == option.default, row


def swift_options() -> dict[str, str | None]:
    """The properties of `Recorder.Options` and its filter, with their defaults as written."""
    recorder = (RECORDING / "Recorder.swift").read_text()
    (options,) = re.findall(r"\n  public struct Options: .*?\{\n(.*?)\n  \}\n", recorder, re.S)
    limits = (RECORDING / "Limits" / "RecordingFilter.swift").read_text()
    (of_filter,) = re.findall(r"\n  public struct Filter: .*?\{\n(.*?)\n  \}\n", limits, re.S)
    pattern = r"^    public var (\w+)(?:: [^=\n]+)?(?: = (.+))?$"
    found = {name: default or None for name, default in re.findall(pattern, options, re.M)}
    assert found.pop("filter") == "Filter()"
    found |= {f"filter.{name}": default for name, default in re.findall(pattern, of_filter, re.M)}
    return found


def test_each_option_of_swift_is_one_row() -> None:
    listed = [name for row in OPTIONS if (name := code(row[3])) and "(" not in name]
    assert sorted(listed) == sorted(swift_options())
    for row in OPTIONS:
        assert row[3] == NONE or code(row[3])
        assert row[0] != NONE or row[1] == row[2] == NONE != row[3]


def test_the_variables_are_those_that_swift_reads() -> None:
    """`Options+Environment.swift` assigns each variable to the property that the table names."""
    source = (RECORDING / "Options+Environment.swift").read_text()
    read = dict(
        (VARIABLES[variable], name)
        for name, variable in re.findall(
            r"options\.([\w.]+) = (?:try )?(?:patterns|size|seconds|text|read)\(\.(\w+)", source
        )
    )
    for _, variable, name in re.findall(
        r"if let (\w+) = try seconds\(\.(\w+).*\{ options\.(\w+) = \1 \}", source
    ):
        read[VARIABLES[variable]] = name
    named = [(code(row[1]), code(row[3])) for row in OPTIONS]
    assert read == {
        variable: name for variable, name in named if variable and name and "(" not in name
    }
    assert len(read) > 10


def test_the_defaults_are_those_of_swift() -> None:
    compared = 0
    defaults = swift_options()
    for row in OPTIONS:
        name, default = code(row[3]), code(row[5])
        if name not in defaults:
            continue
        written = defaults[name]
        if written in (None, "[]", "[:]"):
            assert default is None, row
        elif name.endswith(("Seconds", "Microseconds")):
            scale = 1e6 if name.endswith("Microseconds") else 1
            assert parse_timedelta(default) * scale == float(written.replace("_", "")), row
        elif name.endswith("Size"):
            base, shift = map(int, written.split(" << "))
            assert parse_bytes(default) == base << shift, row
        elif name == "problem":
            assert default is None and "Recorder.printWarning" in written
        else:
            # `Overflow.drop` is `.drop` in Swift code.
            assert default == re.sub(r"^Overflow", "", written), row
        compared += 1
    assert compared == len(defaults)


def test_the_other_variables_are_listed() -> None:
    text = (CATALOG / "Options.md").read_text()
    rows = table(text, "variable")
    named = {name for row in rows for name in re.findall(r"`(TASKLOG_\w+)(?:=\d)?`", row[0])}
    #: How a replay passes its selection to the process that it watches.
    internal = {"TASKLOG_RESOLVED_LOG", "TASKLOG_WATCHED"}
    options = {code(row[1]) for row in OPTIONS}
    for name in set(VARIABLES.values()) - options - internal:
        assert name in named or f"`{name}`" in text, name
    for name in set(_OTHERS) - internal:
        assert any(listed.startswith(name) for listed in named) or f"`{name}" in text, name
