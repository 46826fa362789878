"""What a log from a stranger may cost a replay, and how a replay ends that cannot go further."""

from __future__ import annotations

import os
import traceback

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

#: The longest part of a message that comes from the log.
_SHOWN = 200


class ReplayError(BaseException):
    """Why a replay has ended before the log did, in one line.

    Not an `Exception`: those become failures of a plugin, or drift.
    """


class Memory:
    """The bound of the memory of this process, so that a small log cannot take that of the machine.

    It is the soft limit of the kernel on private memory (`RLIMIT_DATA`); files that are mapped,
    such as libraries, do not count.
    """

    def __init__(self) -> None:
        self.limit = 0
        self._before: tuple[int, int] | None = None

    def bound(self, limit: int) -> None:
        """Sets the limit in bytes; 0 leaves it as it is."""
        if not limit or resource is None:
            return
        soft, hard = self._before = resource.getrlimit(resource.RLIMIT_DATA)
        lowest = min([limit, *(one for one in (soft, hard) if one != resource.RLIM_INFINITY)])
        self.limit = lowest
        resource.setrlimit(resource.RLIMIT_DATA, (lowest, hard))

    def release(self) -> None:
        """Lifts the limit, so that what has happened can be told."""
        if self._before is not None:
            resource.setrlimit(resource.RLIMIT_DATA, self._before)

    def exceeded(self, place: str) -> ReplayError:
        self.release()
        if not self.limit:
            return ReplayError(f"there is not enough memory to replay {place}")
        return ReplayError(
            f"the plugins and the state of the run take more than {self.limit >> 20} MiB at "
            f"{place}; --memory-limit gives them more"
        )


def undecodable(place: str, error: BaseException) -> ReplayError:
    """An event, or another part of the run, that does not hold what a recorder writes."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return ReplayError(
        f"{place} cannot be replayed: {type(error).__name__}: {shortened(str(error))}{where}"
    )


def shortened(text: str) -> str:
    """A text of the log in one line."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "…"
