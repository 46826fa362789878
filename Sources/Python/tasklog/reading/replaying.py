"""Replays a run through a plugin of Dask, in a child process.

The clock of a replay stands in for `time.time` in every module, which a cluster in this process
must not notice.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import warnings
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import IO, Any

from tasklog.reading import child, command
from tasklog.reading.errors import LogError, LogWarning, missing_package
from tasklog.reading.remote import Channel, RebuiltScheduler, RemoteObject

#: The exit code of a replay whose rebuilt state did not match the recording.
_DRIFT = 3


class RebuiltObject:
    """Stands for a scheduler, worker or task of the replay, which stayed in its process.

    Attributes
    ----------
    type
        The name of its class.
    """

    def __init__(self, type: str, shown: str) -> None:
        self.type = type
        self._shown = shown

    def __repr__(self) -> str:
        return self._shown

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(
            f"{self._shown} stayed in the process of the replay, so there is no {name}: let the "
            "plugin keep what it needs of it"
        )


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, identity: Any) -> Any:
        return RebuiltObject(*identity)


def replay(log: str, run: str, plugin: Any, options: dict[str, Any]) -> Any:
    """The plugin after the run; see `Run.replay`."""
    name = getattr(plugin, "__qualname__", type(plugin).__name__)
    if not callable(plugin):
        raise TypeError(f"{name}: expected the class of a plugin, or a function that makes one")
    command.program("replay")
    with tempfile.TemporaryDirectory(prefix="tasklog-replay-") as folder:
        with open(os.path.join(folder, child.PLUGIN), "wb") as file:
            file.write(_pickled(plugin, name))
        arguments = ["--log", log, "--run", run, "--plugin", child.NAME, "--python", sys.executable]
        for option, value in options.items():
            arguments += ["--option", f"{option}={_json(name, option, value)}"]
        environment = {
            **os.environ,
            child.FOLDER: folder,
            **_path(),
        }
        try:
            said = command.run_with_words(
                "replay", *arguments, accepted=(0, _DRIFT), env=environment
            )
        except LogError as error:
            raise LogError(str(error).replace(child.NAME, name)) from None
        for line in said:
            warnings.warn(line.replace(child.NAME, name), LogWarning, stacklevel=3)
        return _kept(Path(folder), name)


def state_at(log: str, run: str, seq: int) -> RebuiltScheduler:
    """The scheduler after an event; see `Run.state_at`."""
    program = command.program("replay")
    with tempfile.TemporaryDirectory(prefix="tasklog-state-") as folder:
        socket = os.path.join(folder, "socket")
        words = open(os.path.join(folder, "words"), "w+")  # noqa: SIM115
        with Listener(socket, "AF_UNIX") as listener, words:
            process = subprocess.Popen(
                [
                    program, "replay", "--log", log, "--run", run, "--plugin",
                    child.STATE, "--source", "scheduler", "--timeout", "0",
                    "--python", sys.executable,
                ],
                env={
                    **os.environ, child.SOCKET: socket, child.LAST_SEQ: str(seq), **_path(),
                },
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=words,
            )  # fmt: skip
            accepted: list[Connection] = []
            waiting = threading.Thread(target=lambda: accepted.append(listener.accept()))
            waiting.daemon = True
            waiting.start()
            while waiting.is_alive() and process.poll() is None:
                waiting.join(0.02)
            if not accepted:
                # Lets the thread end.
                Client(socket, "AF_UNIX").close()
                words.seek(0)
                raise LogError(f"tasklog replay: {command.last_words(words.read())}")
        channel = Channel(accepted[0], process)
        root = channel.receive()
        if not isinstance(root, RemoteObject):
            channel.close()
            raise LogError(
                f"{log}: no scheduler was there at event {seq}; 'transitions' has the numbers"
            )
        return RebuiltScheduler(channel, root._number, root._shown)


def _path() -> dict[str, str]:
    """Lets what a class refers to be imported in the process from where it is here.

    The current folder comes last: a module there must not replace what that process imports.
    """
    here = os.getcwd()
    others = [folder for folder in sys.path if folder not in ("", here)]
    last = {child.LAST_FOLDER: here} if len(others) < len(sys.path) else {}
    return {"PYTHONPATH": os.pathsep.join(others), **last}


def _pickled(plugin: Any, name: str) -> bytes:
    try:
        cloudpickle = importlib.import_module("cloudpickle")
    except ImportError:
        raise missing_package("cloudpickle", "Run.replay()") from None
    try:
        pickled: bytes = cloudpickle.dumps(plugin)
    except Exception as error:
        raise LogError(
            f"{name} cannot be sent to the process of the replay: {type(error).__name__}: {error}; "
            f"put it into a file and run 'tasklog replay --plugin FILE.py:{name}'"
        ) from error
    return pickled


def _json(name: str, option: str, value: Any) -> str:
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        text = ""
    if not text or json.loads(text) != value:
        raise TypeError(
            f"{name}: the option {option} is a {type(value).__name__}; expected what JSON has "
            "(numbers, text, lists, dictionaries with text as keys)"
        )
    return text


def _kept(folder: Path, name: str) -> Any:
    problem = folder / child.PROBLEM
    if problem.exists():
        attribute, _, why = problem.read_text().partition("\n")
        what = f"{name}.{attribute}" if attribute else name
        raise LogError(
            f"{what} cannot come back from the process of the replay ({why}); delete it in "
            f"'close', or read attributes by 'tasklog replay --plugin FILE.py:{name} --result "
            f"{attribute or 'NAME'}'"
        )
    with open(folder / child.KEPT, "rb") as file:
        plugins = _load(file, name)
    if len(plugins) == 1 and plugins[0][0] is None:
        return plugins[0][1]
    return dict(plugins)


def _load(file: IO[bytes], name: str) -> list[tuple[str | None, Any]]:
    try:
        plugins: list[tuple[str | None, Any]] = _Unpickler(file).load()
    except Exception as error:
        raise LogError(
            f"{name} cannot be read as it came back from the replay: {type(error).__name__}: "
            f"{error}; read attributes by 'tasklog replay --plugin FILE.py:{name} --result NAME'"
        ) from error
    return plugins
