"""Records failures of other plugins' hooks, which Dask catches and logs.

A replay of such a plugin fails as well; the mark says that the live run did, too. The mark is
``report`` with the name of the plugin's class, the hook, and the class of the error. Failures that
Dask does not log, because its loggers are silent, are not recorded.

This module is sent to workers by value.
"""

from __future__ import annotations

import collections
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

#: The loggers that log failures of plugins.
_LOGGERS = (
    "distributed.scheduler", "distributed.broker", "distributed.worker",
    "distributed.worker.state_machine", "distributed.utils",
)  # fmt: skip
#: The functions of Dask that call hooks with other names than their own.
_CALLERS = {
    "_transition": "transition", "_notify_plugins": "transition", "publish": "log_event",
    "plugin_add": "setup", "plugin_remove": "teardown",
}  # fmt: skip
#: The number of failures of one hook of one plugin with one kind of error that are recorded.
_MAXIMUM = 1000


class FailureWatch(logging.Filter):
    """Reads what Dask logs, and does not change it.

    A filter and not a handler: without a handler a logger prints warnings in another way.

    plugins:
        Returns the plugins of the server that is recorded; the process may have other servers.
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
                self._record(record.exc_info[1])
            except Exception:
                # The message is logged in any case.
                pass
        return True

    def _record(self, error: BaseException | None) -> None:
        found = None if error is None else self._origin(error)
        if found is None:
            return
        plugin, hook = found
        mark = failure(plugin, hook, error)
        if mark["plugin"] == "Recorder":
            return
        place = tuple(mark.values())
        self._counts[place] += 1
        if self._counts[place] < _MAXIMUM:
            self._put(mark)
        elif self._counts[place] == _MAXIMUM:
            self._put(dict(mark, more=True))

    def _origin(self, error: BaseException) -> tuple[Any, str] | None:
        """The plugin that failed, and its hook, from the traceback; None if it is none."""
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
        # The hook could not be called.
        plugin, name = caller.f_locals.get("plugin"), caller.f_code.co_name
        if plugin is None or all(plugin is not one for one in own):
            return None
        return plugin, _CALLERS.get(name, name)


def failure(plugin: Any, hook: str, error: BaseException | None) -> dict[str, Any]:
    """The args of the mark."""
    return {"plugin": type(plugin).__name__, "failed": hook, "error": type(error).__name__}
