"""Tables of the documentation, compared with the code that they describe."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from documents import CATALOG, REPOSITORY, code, table
from log import Log

SOURCES = REPOSITORY / "Sources"
SAMPLE = REPOSITORY / "Tests" / "CommandTests" / "Logs" / "sample.db"


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_each_finding_is_listed_with_its_severity() -> None:
    source = (SOURCES / "LogMaintenance" / "Checking" / "Finding.swift").read_text()
    kinds = dict(re.findall(r"^    case (\w+) = \"([\w-]+)\"$", source, re.M))
    severities = {name: "error" for name in kinds.values()}
    for cases, severity in re.findall(r"      case ((?:\.\w+[,\s]*)+):\n        \.(\w+)\n", source):
        if severity in ("info", "warning"):
            severities |= {kinds[case]: severity for case in re.findall(r"\.(\w+)", cases)}
    assert set(severities.values()) == {"error", "warning", "info"} and len(kinds) > 30
    listed = {
        name: severity.partition(":")[0]
        for severity, found in table((CATALOG / "Operating.md").read_text(), "severity")
        for name in names(found)
    }
    assert listed == severities


#: Views that a reader adds, and no file has.
OF_READERS = ["activity", "messages", "worker_ends", "worker_metrics"]


def test_each_view_is_listed(tmp_path: Path, tasklog) -> None:
    log = tmp_path / "sample.db"
    shutil.copy(SAMPLE, log)
    tasklog(log, "migrate")
    views = OF_READERS + [
        name for (name,) in Log(log).rows("SELECT name FROM sqlite_schema WHERE type = 'view'")
    ]
    schema = tasklog(log, "query", "--schema", "--format", "json")
    assert sorted(views) == sorted(row["view"] for row in json.loads(schema))
    listed = [
        name
        for view, _ in table((CATALOG / "TheFileFormat.md").read_text(), "view")
        for name in names(view)
    ]
    assert sorted(listed) == sorted(views)


def test_each_command_is_listed() -> None:
    helps = (REPOSITORY / "Tests" / "CommandTests" / "Help").glob("*.txt")
    listed = {
        code(command).split()[1]
        for command, _ in table((CATALOG / "Commands.md").read_text(), "command")
    }
    assert listed | {"tasklog"} == {file.stem for file in helps}


#: The products of other packages that modules use.
PRODUCTS = {
    "swift-log": "Logging",
    "swift-metrics": "CoreMetrics",
    "swift-service-lifecycle": "ServiceLifecycle",
}


def dependencies(module: str) -> set[str]:
    """The dependencies of a target of the package."""
    package = (REPOSITORY / "Package.swift").read_text()
    body = package[re.search(rf'\.target\(\s*name: "{module}"', package).end() :]
    body = body[: re.search(r"^    (\.|//)", body, re.M).start()]
    _, found, listed = body.partition("dependencies: [")
    end = depth = 0
    while found and depth >= 0:
        depth += {"[": 1, "]": -1}.get(listed[end], 0)
        end += 1
    listed = re.sub(r'package: "[^"]*"|traits: \[[^]]*\]', "", listed[:end])
    return set(re.findall(r'"([\w-]+)"', listed))


def test_the_modules_depend_on_what_the_table_says() -> None:
    rows = table((CATALOG / "Architecture.md").read_text(), "module")
    assert len(rows) > 12
    for module, cell in rows:
        products = {product for name, product in PRODUCTS.items() if name in cell}
        assert set(names(cell)) | products == dependencies(code(module)), code(module)
