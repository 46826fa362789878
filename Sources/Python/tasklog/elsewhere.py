"""What the wheel without a native part cannot do, in one sentence.

That wheel is for macOS, Windows, other processors and musl. It reads logs with Python's own SQLite.
"""

from __future__ import annotations

#: Where the other wheel runs.
PLATFORM = "Linux on x86_64 with glibc 2.28 or later"


def sentence(what: str) -> str:
    """Says that something needs the native part.

    >>> sentence("Run.report()")[:46]
    'Run.report() needs the native part of tasklog,'
    """
    return (
        f"{what} needs the native part of tasklog, which this installation does not have: use the "
        f"wheel for {PLATFORM}"
    )
