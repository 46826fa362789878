"""Reads tables of the documentation."""

from __future__ import annotations

import re

from conftest import REPOSITORY

CATALOG = REPOSITORY / "Sources" / "TaskLogKit" / "TaskLogKit.docc"
PLUGIN_CATALOG = REPOSITORY / "Sources" / "TaskLogPlugin" / "TaskLogPlugin.docc"


def table(text: str, first: str) -> list[list[str]]:
    """The rows of the one table whose first column is named `first`."""
    (body,) = re.findall(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M)
    rows = [re.split(r"(?<!\\)\|", row)[1:-1] for row in body.splitlines()]
    return [[cell.strip().replace("\\|", "|") for cell in row] for row in rows]


def code(cell: str) -> str | None:
    """The code in a cell, which must contain nothing else."""
    found = re.fullmatch(r"`([^`]+)`", cell)
    return found and found[1]
