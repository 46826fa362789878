"""What can go wrong while reading."""

from __future__ import annotations


class LogError(Exception):
    """A log that cannot be read, a run that is not in it, or SQL that cannot be run.

    The message names the file and says what to do.
    """


class LogWarning(UserWarning):
    """What is wrong with a log that can be read, such as events that are missing."""


def missing_package(name: str, what: str) -> LogError:
    """The error about an optional package that is not installed."""
    return LogError(f"{what} needs {name}, which is not installed: pip install {name}")
