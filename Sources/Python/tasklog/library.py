"""The dynamic library that writes the log, through ctypes."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasklog.elsewhere import sentence

ABI = 1
_NAME = "libTaskLogC.so"


class LibraryError(Exception):
    """The library is missing, or could not do what was requested."""


def find(what: str = "this") -> Path:
    """The path of the library: ``$TASKLOG_LIB``, else next to this module, else in a checkout.

    Parameters
    ----------
    what
        What needs it, for the error.
    """
    path = _path()
    if path is None:
        raise LibraryError(sentence(what))
    return path


def is_there() -> bool:
    """Whether this installation has a native part."""
    return _path() is not None


def _path() -> Path | None:
    named = os.environ.get("TASKLOG_LIB")
    if named:
        return Path(named)
    here = Path(__file__).resolve()
    # lib/python3.11/site-packages/tasklog/library.py, or Sources/Python/tasklog/library.py.
    checkout = here.parents[3] if len(here.parents) > 3 else here.parent
    for path in (here.parent / _NAME, checkout / ".build-wheel" / _NAME):
        if path.exists():
            return path
    return None


def load(what: str) -> ctypes.PyDLL:
    """Loads the library for something.

    It holds the interpreter's lock while it copies an event: releasing the lock would take longer.
    """
    path = find(what)
    try:
        library = ctypes.PyDLL(str(path))
    except OSError as error:
        raise LibraryError(f"{path} cannot be loaded: {error}") from error
    try:
        _declare(library)
    except AttributeError as error:
        raise LibraryError(f"{path} is no library of this package: {error}") from error
    if library.tasklog_abi() != ABI:
        raise LibraryError(
            f"{path} has version {library.tasklog_abi()} of the interface, this package needs {ABI}"
        )
    return library


def _declare(library: ctypes.CDLL) -> None:
    text, number, size = ctypes.c_char_p, ctypes.c_int64, ctypes.c_size_t
    source = ctypes.c_int32
    functions: dict[str, tuple[Any, list[Any]]] = {
        "tasklog_abi": (ctypes.c_int32, []),
        "tasklog_open": (number, [text, text]),
        "tasklog_run": (ctypes.c_ssize_t, [number, text, size]),
        "tasklog_path": (ctypes.c_ssize_t, [number, text, size]),
        "tasklog_source": (source, [number, text, text, text, text]),
        "tasklog_put": (number, [number, source, text, size]),
        "tasklog_put_records": (number, [number, source, text, size]),
        "tasklog_put_left": (ctypes.c_int32, [number, text, text, text, text, text, size]),
        "tasklog_gap": (ctypes.c_int32, [number, source, number, text]),
        "tasklog_flush": (ctypes.c_int32, [number, ctypes.c_double]),
        "tasklog_counters": (
            ctypes.c_int32,
            [number, source, ctypes.POINTER(ctypes.c_int64), size],
        ),
        "tasklog_status": (ctypes.c_int32, [number, ctypes.POINTER(ctypes.c_void_p)]),
        "tasklog_free": (None, [ctypes.c_void_p]),
        "tasklog_close": (ctypes.c_int32, [number]),
        "tasklog_copy": (ctypes.c_int32, [text, text]),
        "tasklog_combine": (ctypes.c_int32, [text, text, text]),
        "tasklog_last_error": (size, [text, size]),
    }
    for name, (result, arguments) in functions.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments


def _text(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass").replace(b"\0", b"\\0")


#: The result of the fast way if it cannot encode an event.
REFUSED = -100


def _bind(library: ctypes.PyDLL) -> Any:
    """The fast way, which encodes and stores at once; None if there is none for this Python."""
    try:
        from tasklog import _native
    except ImportError:
        return None
    from tasklog.encoding import Packed

    address = ctypes.cast(library.tasklog_put, ctypes.c_void_p).value
    _native.bind(address, Packed)
    return _native


def copy_log(log: str, copy: str) -> None:
    """Copies a log as it is now, also while it is recorded, into an empty file."""
    _call("copying a log", "tasklog_copy", log, copy)


def combine_logs(log: str, other: str, into: str) -> None:
    """Writes the runs of two logs into a new one."""
    _call("adding a run to a log", "tasklog_combine", log, other, into)


def _call(what: str, name: str, *paths: str) -> None:
    library = load(what)
    # It waits for the disk.
    waiting = ctypes.CDLL(library._name)
    _declare(waiting)
    if getattr(waiting, name)(*map(os.fsencode, paths)) < 0:
        raise LibraryError(_last_error(library))


def _last_error(library: ctypes.CDLL) -> str:
    buffer = ctypes.create_string_buffer(4096)
    library.tasklog_last_error(buffer, 4096)
    return buffer.value.decode("utf-8", "replace")


class NativeRecorder:
    """A recorder of the library; without a log it only publishes."""

    def __init__(self, log: str | None, options: dict[str, Any]) -> None:
        self._library = load("recording a scheduler")
        # Functions that wait for the disk or for a thread, without the interpreter's lock.
        self._waiting = ctypes.CDLL(self._library._name)
        _declare(self._waiting)
        self.put = self._library.tasklog_put
        fast = _bind(self._library)
        self.put_event: Callable[..., int] | None = fast and fast.put
        self.scheduler: Callable[..., Any] | None = fast and fast.Scheduler
        encoded = json.dumps(options, allow_nan=False).encode()
        path = None if log is None else os.fsencode(log)
        self.handle = self._waiting.tasklog_open(path, encoded)
        if self.handle <= 0:
            raise LibraryError(self.last_error())
        buffer = ctypes.create_string_buffer(64)
        self._library.tasklog_run(self.handle, buffer, 64)
        self.run = buffer.value.decode()
        length = self._library.tasklog_path(self.handle, None, 0)
        buffer = ctypes.create_string_buffer(length + 1)
        self._library.tasklog_path(self.handle, buffer, length + 1)
        #: The path of the log: not always the requested one, since a log is not safe on every file
        #: system, and the first segment if the name has ``{run}``.
        self.log = os.fsdecode(buffer.value)

    def last_error(self) -> str:
        return _last_error(self._library)

    def source(self, kind: str, id: str, address: str, name: Any = None) -> int:
        number = self._library.tasklog_source(
            self.handle, kind.encode(), _text(id), _text(address), json.dumps(name).encode()
        )
        if number < 0:
            raise LibraryError(self.last_error())
        return number

    def put_records(self, source: int, records: bytes) -> int:
        number = self._library.tasklog_put_records(self.handle, source, records, len(records))
        if number < 0:
            raise LibraryError(self.last_error())
        return number

    def put_left(self, run: str, source: dict[str, Any], records: bytes) -> None:
        """Stores the events that a dead worker of an earlier run left, if the log has that run."""
        encoded = json.dumps(source.get("name")).encode()
        answer = self._waiting.tasklog_put_left(
            self.handle, run.encode(), _text(source["id"]), _text(source["address"]), encoded,
            records, len(records),
        )  # fmt: skip
        if answer < 0:
            raise LibraryError(self.last_error())

    def gap(self, source: int, count: int, reason: str) -> None:
        self._library.tasklog_gap(self.handle, source, count, _text(reason))

    def flush(self, seconds: float) -> bool:
        return self._waiting.tasklog_flush(self.handle, seconds) == 0

    def counters(self, source: int) -> dict[str, int]:
        """The number of events of a source, and the number of them that were lost."""
        values = (ctypes.c_int64 * 2)()
        if self._library.tasklog_counters(self.handle, source, values, 2) < 0:
            raise LibraryError(self.last_error())
        return {"events": values[0], "lost": values[1]}

    def status(self) -> dict[str, Any]:
        """How it is doing; see ``tasklog_status`` in ``tasklog.h``."""
        text = ctypes.c_void_p()
        if self._library.tasklog_status(self.handle, ctypes.byref(text)) < 0:
            raise LibraryError(self.last_error())
        try:
            return json.loads(ctypes.string_at(text.value or 0))
        finally:
            self._library.tasklog_free(text)

    def close(self) -> None:
        self._waiting.tasklog_close(self.handle)
