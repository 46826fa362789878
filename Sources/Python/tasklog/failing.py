"""Failures of other plugins' hooks, which Dask swallows and logs, among the events.

A replay of such a plugin fails as well; with this it knows that the live run did, too. The mark is
``report`` with the name of the plugin's class, the hook, and the class of the error. What Dask does
not log, because its loggers are set to be silent, is not seen here.

This module is sent to workers by value.
"""

from __future__ import annotations

import collections
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

#: Those that tell of plugins.
_LOGGERS = (
    "distributed.scheduler", "distributed.broker", "distributed.worker",
    "distributed.worker.state_machine", "distributed.utils",
)  # fmt: skip
#: The functions of Dask that call hooks with other names than their own.
_CALLERS = {
    "_transition": "transition", "_notify_plugins": "transition", "publish": "log_event",
    "plugin_add": "setup", "plugin_remove": "teardown",
}  # fmt: skip
#: So many failures of one hook of one plugin with one kind of error are recorded one by one.
_MAXIMUM = 1000


class FailureWatch(logging.Filter):
    """Sees what Dask logs, and leaves it as it is.

    A filter and not a handler: a logger without handlers is told of warnings in another way.

    plugins:
        Gives the plugins of the server that is recorded; others may be in this process.
    put:
        Records the mark.
    """

    def __init__(
        self, plugins: Callable[[], Iterable[Any]], put: Callable[[dict[str, Any]], None]
    ) -> None:
        super().__init__()
        self._plugins = plugins
        self._put = put
        self._thread = threading.get_ident()
        self._counts: collections.Counter[Any] = collections.Counter()

    def install(self) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self)

    def remove(self) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and threading.get_ident() == self._thread:
            try:
                self._take(record.exc_info[1])
            except Exception:
                # Whatever it was, the message goes on.
                pass
        return True

    def _take(self, error: BaseException | None) -> None:
        found = None if error is None else self._origin(error)
        if found is None:
            return
        plugin, hook = found
        told = failure(plugin, hook, error)
        if told["plugin"] == "Recorder":
            return
        place = tuple(told.values())
        self._counts[place] += 1
        if self._counts[place] < _MAXIMUM:
            self._put(told)
        elif self._counts[place] == _MAXIMUM:
            self._put(dict(told, more=True))

    def _origin(self, error: BaseException) -> tuple[Any, str] | None:
        """The plugin that has failed, and its hook, by the frames of the traceback."""
        own = list(self._plugins())
        trace = error.__traceback__
        caller = trace.tb_frame if trace is not None else None
        while trace is not None:
            here = trace.tb_frame
            name, owner = here.f_code.co_name, here.f_locals.get("self")
            if owner is not None and any(owner is plugin for plugin in own):
                return owner, name
            trace = trace.tb_next
        if caller is None:
            return None
        # It could not even be called.
        plugin, name = caller.f_locals.get("plugin"), caller.f_code.co_name
        if plugin is None or all(plugin is not one for one in own):
            return None
        return plugin, _CALLERS.get(name, name)


def failure(plugin: Any, hook: str, error: BaseException | None) -> dict[str, Any]:
    """The args of the mark."""
    return {"plugin": type(plugin).__name__, "failed": hook, "error": type(error).__name__}
