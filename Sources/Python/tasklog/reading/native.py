"""Rows of a log from the native library, as Arrow record batches.

The library has its own copy of SQLite, which is safe in a process that records.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from tasklog.library import LibraryError, find
from tasklog.reading.arrow import ArrowArray, ArrowSchema, ArrowStream, Batch
from tasklog.reading.errors import LogError


@functools.cache
def _library() -> ctypes.CDLL:
    """The library; its functions run without the interpreter's lock."""
    try:
        library = ctypes.CDLL(str(find()))
        number, text = ctypes.c_int64, ctypes.c_char_p
        stream = ctypes.POINTER(ArrowStream)
        functions: dict[str, tuple[Any, list[Any]]] = {
            "tasklog_log_open": (number, [ctypes.POINTER(text), ctypes.c_ssize_t]),
            "tasklog_log_close": (ctypes.c_int32, [number]),
            "tasklog_log_describe": (ctypes.c_int32, [number, ctypes.POINTER(ctypes.c_void_p)]),
            "tasklog_log_query": (ctypes.c_int32, [number, text, stream]),
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


class NativeLog:
    """Open logs of the library; closed when nothing refers to it."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = [os.fsencode(path) for path in paths]
        self._open()

    def _open(self) -> None:
        library = _library()
        names = (ctypes.c_char_p * len(self._paths))(*self._paths)
        handle = library.tasklog_log_open(names, len(self._paths))
        if handle <= 0:
            raise LogError(_last_error())
        self._handle = handle
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
        if _library().tasklog_log_describe(self.handle, ctypes.byref(text)) < 0:
            raise LogError(_last_error())
        try:
            described: dict[str, Any] = json.loads(ctypes.string_at(text.value or 0))
            return described
        finally:
            _library().tasklog_free(text)

    def query(self, request: dict[str, Any]) -> ArrowStream:
        """Runs SQL."""
        stream = ArrowStream()
        try:
            encoded = json.dumps(request, allow_nan=False).encode()
        except ValueError:
            raise LogError("SQL: a parameter is not a number") from None
        if _library().tasklog_log_query(self.handle, encoded, ctypes.byref(stream)) < 0:
            raise LogError(_last_error())
        return stream


def _close(handle: int, process: int) -> None:
    if process == os.getpid():
        _library().tasklog_log_close(handle)


class Batches:
    """The batches of a stream, one after the other."""

    def __init__(self, stream: ArrowStream) -> None:
        self._stream = stream
        self.schema = ArrowSchema()
        try:
            self._check(stream.get_schema(ctypes.byref(stream), ctypes.byref(self.schema)))
        except BaseException:
            self.close()
            raise
        self.columns = self.schema.names()
        self.formats = self.schema.formats()

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

    def __iter__(self) -> Iterator[Batch]:
        while True:
            array = ArrowArray()
            self._check(self._stream.get_next(ctypes.byref(self._stream), ctypes.byref(array)))
            if not array.release:
                return
            yield Batch(array, self.columns, self.formats)

    def close(self) -> None:
        self.schema.free()
        self._stream.free()

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
