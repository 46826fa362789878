"""The ``tasklog`` command that was installed with this package."""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
from pathlib import Path

from tasklog import library
from tasklog.elsewhere import sentence

_NAME = "tasklog"


def find_binary() -> Path:
    """Find the ``tasklog`` command.

    ``$TASKLOG_PROGRAM`` if it is set, else the command of this package: `pip` puts it into the
    folder of scripts of the environment, of the user (``--user``), or of the target
    (``--target``, ``--prefix``). The ``PATH`` is not searched: another version may be there.

    Returns
    -------
    Path
        The path of the program.

    Raises
    ------
    FileNotFoundError
        If the package was installed without the command.
    """
    named = os.environ.get("TASKLOG_PROGRAM")
    if named:
        return Path(named)
    folders = list(dict.fromkeys(_folders()))
    for folder in folders:
        path = folder / _NAME
        if os.access(path, os.X_OK) and path.is_file():
            return path
    if not library.is_there():
        raise FileNotFoundError(sentence(f"the command '{_NAME}'"))
    raise FileNotFoundError(
        f"there is no {_NAME} command in {', '.join(map(str, folders))}: install the package "
        "again with pip, from a wheel with the command, or set TASKLOG_PROGRAM to its path"
    )


def _folders() -> list[Path]:
    """The folders in which pip may have put the command, likeliest first."""
    # lib/python3.11/site-packages/tasklog/binary.py, or tasklog/binary.py for --target.
    package = Path(__file__).resolve().parent
    folders = [package.parents[3] / "bin"] if len(package.parents) > 3 else []
    folders.append(package.parent / "bin")
    folders.append(Path(sysconfig.get_path("scripts")))
    folders.append(Path(sysconfig.get_path("scripts", f"{os.name}_user")))
    return folders


def main() -> None:
    """Run the command with the arguments of this process, in its place."""
    try:
        program = find_binary()
    except FileNotFoundError as error:
        sys.exit(f"tasklog: {error}")
    # Python ignores it, and the command would, too: `python -m tasklog query | head` ends.
    if sys.platform != "win32":
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execv(program, [_NAME, *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"tasklog: {program} cannot be run: {error.strerror}")
