"""Records the messages that Dask's loggers write.

A process may have a scheduler, nannies and workers that are recorded: the first that was recorded
takes a message, so that each is in the log once.

This module is sent to workers by value: it imports nothing of this package.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

#: Messages of a process in one second; the others are counted.
MOST_PER_SECOND = 20
#: Characters of a message, and of its traceback.
LONGEST = 8192
#: Loggers, if the option names none.
LOGGERS = ("distributed",)
_LEVELS = {name: getattr(logging, name) for name in ("DEBUG", "INFO", "WARNING", "ERROR")} | {
    "WARN": logging.WARNING,
    "CRITICAL": logging.CRITICAL,
}


def parse(value: Any) -> tuple[str, ...]:
    """The option `messages`: ``off``; or a level, names of loggers, or both."""
    if value is False:
        return ("off",)
    if value is True:
        return ("WARNING",)
    names = value.split(",") if isinstance(value, str) else list(value)
    if not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError("expected off, a level, or names of loggers, separated by commas")
    names = [name.strip() for name in names]
    if any(name.lower() == "off" for name in names):
        if len(names) > 1:
            raise ValueError("'off' cannot be combined with others")
        return ("off",)
    levels = [name.upper() for name in names if name.upper() in _LEVELS]
    if len(levels) > 1:
        raise ValueError("expected one level")
    return (*(levels or ["WARNING"]), *(n for n in names if n.upper() not in _LEVELS))


class MessageWatch(logging.Handler):
    """Reads what loggers write; it changes neither their levels nor what they print.

    option:
        As `parse` returns it.
    put:
        Records a message; called in the thread of the loop.
    """

    def __init__(
        self, option: tuple[str, ...], put: Callable[[dict[str, Any]], None], run: str
    ) -> None:
        super().__init__(_LEVELS.get(option[0], logging.CRITICAL + 1))
        self._names = option[1:] or LOGGERS
        self._put = put
        self._mark = f"_tasklog_{run}"
        self._thread = threading.get_ident()
        self._loop = asyncio.get_running_loop()
        self._loggers: list[logging.Logger] = []
        self._waiting: collections.deque[dict[str, Any]] = collections.deque(maxlen=1000)
        self._second = 0
        self._count = 0
        self._excess = 0
        self._is_busy = False

    def install(self) -> None:
        if self.level > logging.CRITICAL:
            return
        chosen = set(self._names)
        for name in list(logging.root.manager.loggerDict):
            # Some of Dask's loggers have their own handlers, and do not propagate.
            known = logging.getLogger(name)
            if not known.propagate and any(name.startswith(f"{one}.") for one in self._names):
                chosen.add(name)
        self._loggers = [logging.getLogger(name) for name in sorted(chosen)]
        for known in self._loggers:
            known.addHandler(self)

    def remove(self) -> None:
        for known in self._loggers:
            known.removeHandler(self)
        self._loggers = []
        self.flush_excess()

    def createLock(self) -> None:
        # Nothing here needs one, and a message may be written while another is.
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        if self._is_alone(record.name) and logging.lastResort is not None:
            # Without this handler Python would print it.
            if record.levelno >= logging.lastResort.level:
                logging.lastResort.handle(record)
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        # A process that was forked has no loop.
        if self._is_busy or getattr(record, self._mark, False):
            return
        try:
            setattr(record, self._mark, True)
            if not self._admit(int(record.created)):
                return
            message = self._message(record)
            if threading.get_ident() == self._thread:
                self._put_now(message)
            else:
                self._waiting.append(message)
                self._loop.call_soon_threadsafe(self._put_waiting)
        except Exception:
            # The message is printed in any case.
            pass

    def _admit(self, second: int) -> bool:
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        if self._count > MOST_PER_SECOND:
            self._excess += 1
            return False
        return True

    def _message(self, record: logging.LogRecord) -> dict[str, Any]:
        message: dict[str, Any] = {
            "level": record.levelname,
            "logger": record.name,
            "text": record.getMessage()[:LONGEST],
            "at": record.created,
        }
        if record.exc_info and record.exc_info[1] is not None:
            text = record.exc_text or logging.Formatter().formatException(record.exc_info)
            message["traceback"] = text[-LONGEST:]
        if record.thread != self._thread:
            message["thread"] = record.threadName
        return message

    def _put_waiting(self) -> None:
        while self._waiting:
            self._put_now(self._waiting.popleft())

    def _put_now(self, message: dict[str, Any]) -> None:
        # What recording writes is not recorded.
        self._is_busy = True
        try:
            excess, self._excess = self._excess, 0
            if excess:
                message["dropped"] = excess
            self._put(message)
        finally:
            self._is_busy = False

    def flush_excess(self) -> None:
        """Records how many messages were not recorded since the last one that was."""
        if self._excess:
            self._put_now({"level": "WARNING", "logger": "tasklog", "text": "", "at": time.time()})

    def _is_alone(self, name: str) -> bool:
        """Whether the logger has no other handler."""
        known: logging.Logger | None = logging.getLogger(name)
        while known is not None:
            if any(not _is_watch(handler) for handler in known.handlers):
                return False
            if not known.propagate:
                break
            known = known.parent
        return True


class SignalWatch(logging.Filter):
    """Remembers the signal that Dask has received and logs: without a nanny nothing else tells."""

    #: Dask's programs have the logger.
    _LOGGER = logging.getLogger("distributed._signals")
    #: How many watch, and what the logger's own and its effective level were before the first did.
    _count = 0
    _before = (logging.NOTSET, logging.INFO)

    def __init__(self) -> None:
        super().__init__()
        self.number: int | None = None

    def install(self) -> None:
        if SignalWatch._count == 0:
            SignalWatch._before = (self._LOGGER.level, self._LOGGER.getEffectiveLevel())
            if not self._LOGGER.isEnabledFor(logging.INFO):
                # Below its level, a logger does not ask its filters.
                self._LOGGER.setLevel(logging.INFO)
        SignalWatch._count += 1
        self._LOGGER.addFilter(self)

    def remove(self) -> None:
        if self not in self._LOGGER.filters:
            return
        self._LOGGER.removeFilter(self)
        SignalWatch._count -= 1
        if SignalWatch._count == 0:
            self._LOGGER.setLevel(SignalWatch._before[0])

    def filter(self, record: logging.LogRecord) -> bool:
        args = record.args
        if isinstance(args, tuple) and args and type(args[-1]) is int:
            self.number = args[-1]
        return record.levelno >= SignalWatch._before[1]


def _is_watch(handler: logging.Handler) -> bool:
    # Another copy of this module may have made it.
    return type(handler).__name__ == "MessageWatch"
