"""Plugins by name: ``module:Class`` and ``file.py:Class``, with the arguments that they are made
with."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import sys
import traceback
from typing import Any

from tasklog.replay import needs


class LoadingError(Exception):
    """Why a plugin cannot be had, in one line with the way out."""


class Target:
    """What makes the instances of a plugin: a class, or a function that returns one."""

    def __init__(self, given: str, options: dict[str, Any], made_from: Any) -> None:
        #: As the user has named it.
        self.given = given
        self.options = options
        self.made_from = made_from
        self.parameters = needs.constructor_parameters(made_from)
        self.kind = _kind(given, made_from)
        self.needs_state = needs.needs_state(made_from)

    @property
    def is_for_workers(self) -> bool:
        return self.kind == "worker"

    @property
    def takes_scheduler(self) -> bool:
        """Whether it is made with the scheduler that it watches."""
        return "scheduler" in self.parameters and "scheduler" not in self.options

    def check(self) -> None:
        """Fails when it cannot be called with the options."""
        given = dict(self.options)
        if self.takes_scheduler:
            given["scheduler"] = None
        try:
            inspect.signature(self.made_from).bind(**given)
        except TypeError as error:
            raise LoadingError(self._wrong(error)) from None
        except ValueError:
            pass

    def make(self, scheduler: Any) -> Any:
        """A new instance."""
        given = dict(self.options)
        if self.takes_scheduler:
            given["scheduler"] = scheduler
        try:
            return self.made_from(**given)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)
            if isinstance(error, TypeError) and len(where) == 1:
                raise LoadingError(self._wrong(error)) from None
            raise LoadingError(
                f"{self.given} fails when it is made: {_last_words(error)}; give it what it needs "
                "with --option name=value"
            ) from error

    def _wrong(self, error: Exception) -> str:
        names = [
            name if p.default is p.empty else f"{name}={p.default!r}"
            for name, p in self.parameters.items()
            if name != "scheduler" and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
        takes = f"it takes {', '.join(names)}" if names else "it takes no arguments"
        return (
            f"{self.given} cannot be made with these arguments: {error}; {takes}; "
            "give them with --option name=value"
        )


def load(given: str, options: dict[str, str]) -> Target:
    """Finds what a plugin is made from.

    given:
        ``module:Class``, ``package.module:Class`` or ``file.py:Class``; without ``:Class`` the only
        plugin of the file or module.
    options:
        The arguments as text, which are JSON when they can be.
    """
    where, _, name = given.rpartition(":") if ":" in given else (given, "", "")
    module = _file(given, where) if where.endswith(".py") else _module(given, where)
    found = _attribute(given, where, module, name) if name else _only(given, module)
    target = Target(given, {key: parsed(text) for key, text in options.items()}, found)
    target.check()
    return target


def parsed(text: str) -> Any:
    """An option's value: JSON when it is that, else the text as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _file(given: str, path: str) -> Any:
    if not os.path.exists(path):
        raise LoadingError(f"{given}: there is no file {path}")
    folder = os.path.dirname(os.path.abspath(path))
    # Modules next to it can be imported, as when it is run.
    _open(folder)
    name = os.path.splitext(os.path.basename(path))[0]
    if name in sys.modules and getattr(sys.modules[name], "__file__", None) == os.path.abspath(
        path
    ):
        return sys.modules[name]
    if name in sys.modules:
        name = f"tasklog_plugin_{name}"
    spec = importlib.util.spec_from_file_location(name, os.path.abspath(path))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        raise LoadingError(_not_imported(given, path, error)) from error
    return module


#: What is imported while the log is replayed, and may not be installed.
_OPTIONAL = ("distributed", "dask", "numpy", "cloudpickle")


def _open(folder: str) -> None:
    """Lets modules be imported from the folder of a plugin, after those that are installed.

    The folder may be one of downloads: a `json.py` there must not be run in the place of the real
    one, nor a `numpy.py` because there is no real one.
    """
    if folder in sys.path:
        return
    for name in _OPTIONAL:
        if _is_missing(name):
            sys.modules[name] = None  # type: ignore[assignment]
    sys.path.append(folder)


def _is_missing(name: str) -> bool:
    return name not in sys.modules and importlib.util.find_spec(name) is None


def _module(given: str, name: str) -> Any:
    try:
        if _is_missing(name.partition(".")[0]):
            _open(os.getcwd())
        return importlib.import_module(name)
    except BaseException as error:
        raise LoadingError(_not_imported(given, name, error)) from error


def _not_imported(given: str, what: str, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        missing = error.name
        if what == missing or what.startswith(missing + "."):
            return (
                f"{given}: there is no module {missing} in {sys.executable} nor in this folder; "
                f"install it there, choose another Python with --python, or name the file: "
                f"{missing.replace('.', '/')}.py:Class"
            )
        return (
            f"{given}: {what} needs the module {missing}, which {sys.executable} does not have; "
            "install it there or choose another Python with --python"
        )
    return f"{given}: {what} does not import: {_last_words(error)}"


def _last_words(error: BaseException) -> str:
    """An error with the place where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):
        place = f" ({os.path.basename(error.filename or '?')}:{error.lineno})"
        return f"SyntaxError: {error.msg}{place}"
    return f"{type(error).__name__}: {error}{place}"


def _candidates(module: Any) -> list[str]:
    """The plugins that a module defines; internal ones only if there are no others."""
    names = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and (_has(value, *_SCHEDULER_HOOKS) or _has(value, "setup", "teardown"))
    ]
    return [name for name in names if not name.startswith("_")] or names


def _only(given: str, module: Any) -> Any:
    names = _candidates(module)
    if len(names) == 1:
        return getattr(module, names[0])
    if not names:
        raise LoadingError(f"{given}: there is no plugin in it; name what makes one: {given}:Class")
    raise LoadingError(
        f"{given}: there are several plugins in it; choose one: "
        + ", ".join(f"{given}:{name}" for name in names)
    )


def _attribute(given: str, where: str, module: Any, path: str) -> Any:
    found = module
    for name in path.split("."):
        if not hasattr(found, name):
            known = ", ".join(_candidates(module)) or "no plugin"
            raise LoadingError(f"{given}: there is no {path} in {where}; it has {known}")
        found = getattr(found, name)
    if not callable(found):
        raise LoadingError(f"{given}: {path} is a {type(found).__name__}, not a class of plugins")
    return found


_SCHEDULER_HOOKS = (
    "transition", "start", "before_close", "close", "restart", "update_graph", "add_worker",
    "remove_worker", "add_client", "remove_client", "log_event", "valid_workers_downscaling",
)  # fmt: skip


def _has(kind: type, *hooks: str) -> bool:
    return any(hasattr(kind, hook) for hook in hooks)


def _kind(given: str, made_from: Any) -> str:
    """`scheduler` or `worker`; `unknown` for a function, until it has made one."""
    if not isinstance(made_from, type):
        parameters = needs.constructor_parameters(made_from)
        return "scheduler" if "scheduler" in parameters else "unknown"
    bases = [base.__name__ for base in made_from.__mro__]
    if "NannyPlugin" in bases:
        raise LoadingError(f"{given} is a nanny's plugin: nannies are not recorded")
    if "WorkerPlugin" in bases:
        return "worker"
    if "SchedulerPlugin" in bases:
        return "scheduler"
    if _has(made_from, "setup", "teardown") and not _has(made_from, *_SCHEDULER_HOOKS[1:]):
        return "worker"
    if not _has(made_from, *_SCHEDULER_HOOKS):
        raise LoadingError(
            f"{given} is no plugin: it has none of the hooks of a SchedulerPlugin or WorkerPlugin"
        )
    return "scheduler"


def settle(target: Target, instance: Any) -> None:
    """Says of what a function has made which kind of plugin it is."""
    target.kind = _kind(target.given, type(instance))
    target.needs_state = True
