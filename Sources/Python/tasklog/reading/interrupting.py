"""Calls that take long and that Ctrl-C ends."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

_Result = TypeVar("_Result")


def interruptible(call: Callable[[], _Result], interrupt: Callable[[], None]) -> _Result:
    """Calls a function that does not return for a signal.

    Python handles signals between two instructions of the main thread: that one waits here for
    another thread, and interrupts what that one does.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    future: Future[_Result] = Future()
    lock = threading.Lock()
    has_begun, has_ended = threading.Event(), threading.Event()
    is_given_up = False

    def run() -> None:
        with lock:
            if is_given_up:
                return
            has_begun.set()
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)
        finally:
            has_ended.set()

    try:
        threading.Thread(target=run, name="tasklog-query", daemon=True).start()
        return future.result()
    finally:
        # After Ctrl-C, also while the thread starts, what the call uses is freed: not during it.
        with lock:
            is_given_up = True
        while has_begun.is_set() and not has_ended.is_set():
            with contextlib.suppress(KeyboardInterrupt):
                if not future.done():
                    interrupt()
                has_ended.wait()


class _Thread(threading.local):
    stop: threading.Event | None = None


_thread = _Thread()


def stoppable(call: Callable[[], _Result]) -> _Result:
    """Calls a function that asks `is_stopped` now and then, until Ctrl-C."""
    stop = threading.Event()

    def run() -> _Result:
        before, _thread.stop = _thread.stop, stop
        try:
            return call()
        finally:
            _thread.stop = before

    return interruptible(run, stop.set)


def is_stopped() -> bool:
    """Whether Ctrl-C was pressed while this thread does something for `stoppable`."""
    return _thread.stop is not None and _thread.stop.is_set()
