"""Calls that take long and that Ctrl-C ends."""

from __future__ import annotations

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

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=run, name="tasklog-query", daemon=True)
    try:
        thread.start()
        return future.result()
    except BaseException:
        # Ctrl-C, or what the call itself has raised.
        if not future.done():
            interrupt()
        raise
    finally:
        if thread.ident is not None:
            thread.join()
