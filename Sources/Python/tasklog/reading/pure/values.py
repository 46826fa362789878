"""Values of recorded JSON, of which a damaged or redacted one may be anything."""

from __future__ import annotations

import json
from typing import Any


def integer(value: Any) -> int | None:
    """An integer, None for any other value."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text(value: Any) -> str | None:
    """A text, None for any other value."""
    return value if isinstance(value, str) else None


def load(text: Any) -> Any:
    """The value of JSON, None if it is none."""
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


def members(value: Any) -> dict[str, Any]:
    """The members of an object; none of any other value."""
    return value if isinstance(value, dict) else {}
