"""Rows of an analysis as the JSON that the command prints."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Sequence
from typing import Any

_EPOCH = datetime.datetime(1970, 1, 1)


class Raw(str):
    """A value that is JSON already."""


def time_text(nanoseconds: int | None) -> str | None:
    """A time as the command writes it: ``2026-01-31T12:00:00.123456Z``."""
    if nanoseconds is None:
        return None
    time = _EPOCH + datetime.timedelta(microseconds=nanoseconds // 1000)
    return time.isoformat(timespec="microseconds") + "Z"


def rounded(value: float | None, digits: float) -> float | None:
    """Rounded as in Swift: halves away from zero, after the multiplication."""
    if value is None:
        return None
    scaled = abs(value * digits)
    whole = float(int(scaled)) if scaled < 2**53 else scaled
    whole += scaled - whole >= 0.5
    return (whole if value >= 0 else -whole) / digits


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A JSON array with an object for each row."""
    names = [json.dumps(column) for column in columns]
    return (
        "["
        + ",".join(
            "{"
            + ",".join(
                f"{name}:{value if isinstance(value, Raw) else json.dumps(value)}"
                for name, value in zip(names, row, strict=True)
            )
            + "}"
            for row in rows
        )
        + "]"
    )
