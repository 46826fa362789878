"""The process that requests a recording from code, and what the log tells about it."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import shlex
import socket
import stat
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasklog.filtering import Patterns

#: A redacted argument of a command line.
REDACTED = "[redacted]"
#: Seconds that git may take.
_GIT_SECONDS = 5


@dataclass(frozen=True)
class Caller:
    """The process that calls `tasklog.record`, as it describes itself to the scheduler."""

    #: The log as the caller names it, absolute.
    log: str
    #: The log on the machine of the scheduler, if that is another one; None for a temporary file.
    scheduler_log: str | None = None
    user: str | None = None
    git_revision: str | None = None
    command_line: tuple[str, ...] | None = None
    host: str = field(default_factory=socket.gethostname)
    #: The machine and the folder of the log, by which the scheduler knows whether it has the same.
    machine: str | None = field(default_factory=lambda: machine())
    folder: tuple[int, int] | None = None
    #: Distinguishes a recording from those that join it.
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def here(cls, log: str, scheduler_log: str | None = None, command_line: bool = False) -> Caller:
        return cls(
            log=log,
            scheduler_log=scheduler_log,
            user=user(),
            git_revision=git_revision(),
            command_line=tuple(sys.orig_argv) if command_line else None,
            folder=_identity(os.path.dirname(log)),
        )

    def shares_the_log(self) -> bool:
        """Whether this process has the same file system and kernel as the caller, so that both can
        have the log open."""
        return (
            self.machine is not None
            and self.machine == machine()
            and self.folder is not None
            and self.folder == _identity(os.path.dirname(self.log))
        )

    def place(self, scheduler: str) -> str:
        """The log of a scheduler in this process.

        For a caller on another machine, and without a name for the log, it is in a folder of the
        user in the system's folder for temporary files.
        """
        if self.shares_the_log():
            return self.log
        if self.scheduler_log is not None:
            return os.path.abspath(os.path.expanduser(self.scheduler_log))
        # A caller that records again uses the same file.
        origin = f"{self.host}\0{self.machine}\0{self.log}\0{scheduler}"
        name = hashlib.sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        folder = own_folder() / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return str(folder / os.path.basename(self.log))

    def is_temporary(self) -> bool:
        """Whether the log of this process is removed when the caller has fetched it."""
        return not self.shares_the_log() and self.scheduler_log is None

    def metadata(self, redact: Sequence[str]) -> dict[str, Any]:
        """The metadata of the run."""
        line = self.command_line
        return {
            "host": self.host,
            "user": self.user,
            "git_revision": self.git_revision,
            "command_line": None if line is None else shlex.join(redacted(line, redact)),
        }


def machine() -> str | None:
    """Identifies the running kernel; None if that is unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() or None
    except OSError:
        return None


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        found = os.stat(folder or ".")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def own_folder() -> Path:
    """The user's folder for logs that are recorded for other machines.

    Raises `OSError` if it belongs to another user, who could read the logs.
    """
    folder = Path(tempfile.gettempdir()) / f"tasklog-logs-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} is not a folder of this user")
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def user() -> str | None:
    """The name of the user of this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return str(os.getuid()) if hasattr(os, "getuid") else None


def git_revision() -> str | None:
    """The revision of the code of this process, with ``-dirty`` if files differ from it.

    The code is the main script's folder, in a notebook the working folder.
    """
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    folder = os.path.dirname(os.path.abspath(script)) if script else "."
    command = [
        # A repository must not name a program that is run.
        "git", "-c", "core.fsmonitor=false", "-C", folder, "describe", "--always", "--dirty",
        "--abbrev=40", "--exclude=*",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() or None


#: ``--name=value``, ``-n=value`` and ``NAME=value``.
_ASSIGNMENT = re.compile(r"(?s)(--?)?([A-Za-z_][\w.-]*)=(.*)")
_OPTION = re.compile(r"--?([A-Za-z_][\w.-]*)")


def redacted(line: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """A command line without the values of arguments whose names match a pattern.

    >>> redacted(["job.py", "--api-token", "x", "--n=3", "password=y"], ["*token*", "password"])
    ['job.py', '--api-token', '[redacted]', '--n=3', 'password=[redacted]']
    """
    if not patterns:
        return list(line)
    matches = Patterns(patterns, ignores_case=True).matches

    def is_hidden(name: str) -> bool:
        # `--api-token` is the argument `api_token` of the program.
        return matches(name) or matches(name.replace("-", "_"))

    shown: list[str] = []
    hides_next = False
    for argument in line:
        assignment = _ASSIGNMENT.fullmatch(argument)
        option = _OPTION.fullmatch(argument)
        if hides_next:
            shown.append(REDACTED)
            hides_next = False
        elif assignment and is_hidden(assignment[2]):
            shown.append(f"{assignment[1] or ''}{assignment[2]}={REDACTED}")
        else:
            shown.append(argument)
            hides_next = option is not None and is_hidden(option[1])
    return shown
