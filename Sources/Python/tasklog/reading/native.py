"""Rows of a log from the native library, as Arrow record batches.

The library has its own copy of SQLite, which is safe in a process that records.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tasklog.library import LibraryError, find
from tasklog.reading import command
from tasklog.reading.arrow import ArrowArray, ArrowSchema, ArrowStream, Batch
from tasklog.reading.errors import LogError
from tasklog.reading.interrupting import interruptible

if TYPE_CHECKING:
    from tasklog.reading.log import RunInfo

_KINDS = {
    ArrowSchema: (0, b"arrow_schema"),
    ArrowArray: (1, b"arrow_array"),
    ArrowStream: (2, b"arrow_array_stream"),
}


@functools.cache
def _library() -> ctypes.CDLL:
    """The library; its functions run without the interpreter's lock."""
    try:
        library = ctypes.CDLL(str(find()))
        number, text = ctypes.c_int64, ctypes.c_char_p
        stream = ctypes.POINTER(ArrowStream)
        functions: dict[str, tuple[Any, list[Any]]] = {
            "tasklog_log_stop_when": (None, [ctypes.POINTER(ctypes.c_int32)]),
            "tasklog_log_open": (number, [ctypes.POINTER(text), ctypes.c_ssize_t]),
            "tasklog_log_close": (ctypes.c_int32, [number]),
            "tasklog_log_describe": (ctypes.c_int32, [number, ctypes.POINTER(ctypes.c_void_p)]),
            "tasklog_log_query": (ctypes.c_int32, [number, text, stream]),
            "tasklog_log_interrupt": (None, [stream]),
            "tasklog_box": (
                ctypes.c_void_p,
                [ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)],
            ),
            "tasklog_free": (None, [ctypes.c_void_p]),
            "tasklog_last_error": (ctypes.c_size_t, [text, ctypes.c_size_t]),
        }
        for name, (result, arguments) in functions.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
    except (LibraryError, OSError, AttributeError) as error:
        raise LogError(f"logs cannot be read without the library: {error}") from error
    return library


def _last_error() -> str:
    buffer = ctypes.create_string_buffer(65536)
    _library().tasklog_last_error(buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace")


def _stoppable(call: Callable[[], None]) -> None:
    """Calls the library for something that Ctrl-C ends."""
    word = ctypes.c_int32(0)

    def run() -> None:
        _library().tasklog_log_stop_when(ctypes.byref(word))
        try:
            call()
        finally:
            _library().tasklog_log_stop_when(None)

    def stop() -> None:
        word.value = 1

    interruptible(run, stop)


# Capsules

_new = ctypes.pythonapi.PyCapsule_New
_new.restype = ctypes.py_object
_new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_get_pointer = ctypes.cast(ctypes.pythonapi.PyCapsule_GetPointer, ctypes.c_void_p)


def capsule(struct: ArrowSchema | ArrowArray | ArrowStream) -> Any:
    """A capsule that owns a struct until a consumer moves it.

    It is released by the library: a capsule may go while an exception is raised, when no Python may
    run.
    """
    kind, name = _KINDS[type(struct)]
    destructor = ctypes.c_void_p()
    box = _library().tasklog_box(kind, ctypes.byref(struct), _get_pointer, ctypes.byref(destructor))
    if not box:
        raise MemoryError
    return _new(box, name, destructor)


# Logs


class NativeLog:
    """Open logs of the library; closed when nothing refers to it."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = [os.fsencode(path) for path in paths]
        self._open()

    def _open(self) -> None:
        names = (ctypes.c_char_p * len(self._paths))(*self._paths)
        opened: list[int] = []

        def call() -> None:
            handle = _library().tasklog_log_open(names, len(self._paths))
            if handle <= 0:
                raise LogError(_last_error())
            opened.append(handle)

        try:
            _stoppable(call)
        except BaseException:
            # Ctrl-C came when it was open.
            for handle in opened:
                _library().tasklog_log_close(handle)
            raise
        handle = self._handle = opened[0]
        self._process = os.getpid()
        self._finalizer = weakref.finalize(self, _close, handle, self._process)

    def close(self) -> None:
        self._finalizer()

    @property
    def handle(self) -> int:
        if not self._finalizer.alive:
            raise LogError("this log is closed; open it again with tasklog.open()")
        if self._process != os.getpid():
            # The child of a fork has none of the parent's logs.
            self._finalizer.detach()
            self._open()
        return self._handle

    def describe(self) -> dict[str, Any]:
        """The files and their runs."""
        text = ctypes.c_void_p()
        handle = self.handle

        def call() -> None:
            if _library().tasklog_log_describe(handle, ctypes.byref(text)) < 0:
                raise LogError(_last_error())

        try:
            _stoppable(call)
            described: dict[str, Any] = json.loads(ctypes.string_at(text.value or 0))
            return described
        finally:
            _library().tasklog_free(text)

    def batches(self, request: dict[str, Any]) -> Batches:
        """Runs SQL."""
        return Batches(self._query(request))

    def capsule(self, request: dict[str, Any]) -> Any:
        """Runs SQL; the rows are an Arrow stream in a capsule of Python."""
        return capsule(self._query(request))

    def tasks(self, number: int) -> str:
        """The SQL of the tasks of a run, by its number in its file."""
        return f"tasklog_tasks({number})"

    def analysis(self, name: str, info: RunInfo, asked: dict[str, Any]) -> dict[str, str]:
        """The tables of an analysis of a run, each as a JSON array of its rows."""
        return command.tables(name, info.path, info.id, asked)

    def select(self, expression: str, infos: list[RunInfo], logs: list[str]) -> list[str]:
        """The ids of the runs of which an expression is true, the oldest first."""
        named = [f"--log={path}" for path in logs]
        output = command.run("runs", *named, f"--runs={expression}", "--format=json")
        return [row["id"] for row in json.loads(output or "[]")]

    def _query(self, request: dict[str, Any]) -> ArrowStream:
        stream = ArrowStream()
        encoded = json.dumps(request).encode()
        handle = self.handle

        def call() -> None:
            if _library().tasklog_log_query(handle, encoded, ctypes.byref(stream)) < 0:
                raise LogError(_last_error())

        try:
            _stoppable(call)
        except BaseException:
            stream.free()
            raise
        return stream


def _close(handle: int, process: int) -> None:
    if process == os.getpid():
        _library().tasklog_log_close(handle)


class NativeBatch(Batch):
    """A batch that its consumer takes over without a copy."""

    def __init__(
        self,
        array: ArrowArray,
        columns: list[str],
        formats: list[str],
        schema: Callable[[], ArrowSchema],
    ) -> None:
        super().__init__(array, columns, formats)
        self._schema = schema

    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]:
        return capsule(self._schema()), capsule(self.array)

    def to_arrow(self, pyarrow: Any, schema: Any) -> Any:
        """The batch for pyarrow."""
        return pyarrow.record_batch(self)

    def to_polars(self, polars: Any, schema: list[tuple[str, Any]]) -> Any:
        """The batch for polars."""
        if [name for name, _ in schema] == self.columns:
            return polars.DataFrame(self)
        # Several columns have one name, which polars does not allow.
        return polars.DataFrame(
            [polars.Series(name, self.column(index)) for index, (name, _) in enumerate(schema)]
        )


class Batches:
    """The batches of a stream, one after the other."""

    def __init__(self, stream: ArrowStream) -> None:
        self._stream = stream
        self.schema = ArrowSchema()
        try:
            # The first rows are read here.
            self._check(self._call(stream.get_schema, self.schema))
        except BaseException:
            self.close()
            raise
        self.columns = self.schema.names()
        self.formats = self.schema.formats()

    def _call(self, function: Any, result: ArrowSchema | ArrowArray) -> int:
        stream = ctypes.byref(self._stream)
        return interruptible(
            lambda: int(function(stream, ctypes.byref(result))),
            lambda: _library().tasklog_log_interrupt(stream),
        )

    def _check(self, code: int) -> None:
        if code == 0:
            return
        text = self._stream.get_last_error(ctypes.byref(self._stream))
        raise LogError((text or b"the log cannot be read").decode("utf-8", "replace"))

    def schema_copy(self) -> ArrowSchema:
        """The schema again, for a consumer that takes it over."""
        schema = ArrowSchema()
        self._check(self._stream.get_schema(ctypes.byref(self._stream), ctypes.byref(schema)))
        return schema

    def __iter__(self) -> Iterator[NativeBatch]:
        while True:
            array = ArrowArray()
            self._check(self._call(self._stream.get_next, array))
            if not array.release:
                return
            yield NativeBatch(array, self.columns, self.formats, self.schema_copy)

    def close(self) -> None:
        self.schema.free()
        self._stream.free()

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
