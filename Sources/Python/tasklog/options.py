"""The options: arguments of `Recorder`, else environment variables, else Dask's config."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any

from tasklog import messages, profiling
from tasklog.encoding import HOOKS
from tasklog.filtering import NAMES, hook_patterns


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    raise ValueError("expected true or false")


def _seconds(value: Any) -> float:
    from dask.utils import parse_timedelta

    seconds = float(parse_timedelta(value))
    if not 0.001 <= seconds <= 86_400:
        raise ValueError("expected a duration from 1ms to 1d")
    return seconds


def _age(value: Any) -> float:
    from dask.utils import parse_timedelta

    seconds = float(parse_timedelta(value))
    if not 1 <= seconds <= 1e9:
        raise ValueError("expected a duration of 1s or more")
    return seconds


def _bytes(value: Any) -> int:
    from dask.utils import parse_bytes

    count = int(parse_bytes(value))
    if not 1 << 10 <= count <= 1 << 44:
        raise ValueError("expected a size from 1 kiB to 16 TiB")
    return count


def _path(value: Any) -> str:
    path = os.fspath(value)
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError("expected a path")
    return os.path.expanduser(path)


def _destination(value: Any) -> str:
    text = os.fspath(value)
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise ValueError("expected a folder, a command with {file} in it, or none")
    return text if "{file}" in text else os.path.expanduser(text)


def _rules(value: Any) -> str:
    """How long runs are kept, and how large all logs may be; the recorder reads it."""
    from dask.utils import parse_bytes, parse_timedelta

    words = value.split(",") if isinstance(value, str) else list(value)
    rules = [str(word).strip() for word in words]
    kinds = []
    for rule in rules:
        if rule == "failures":
            continue
        for kind, read in (("age", parse_timedelta), ("size", parse_bytes)):
            with contextlib.suppress(Exception):
                least = 1 if kind == "age" else 1 << 20
                if rule[-1].isalpha() and read(rule) >= least and kind not in kinds:
                    kinds.append(kind)
                    break
        else:
            kinds = []
            break
    if not kinds:
        raise ValueError("expected an age, a size, or both, such as 7d,20GiB; and failures")
    return ",".join(rules)


def _interval(value: Any) -> float:
    seconds = _seconds(value)
    if seconds < 1:
        raise ValueError("expected a duration from 1s to 1d")
    return seconds


def _profile(value: Any) -> float:
    """Seconds between two recordings; 0 for none."""
    try:
        return profiling.DEFAULT_SECONDS if _flag(value) else 0.0
    except ValueError:
        pass
    if value in ("off", None):
        return 0.0
    if type(value) is float and value == 0:
        # As it is passed on.
        return value
    return _interval(value)


def _address(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected the address of a broker, such as amqp://host")
    return value


def _queue(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected the name of a queue")
    return value


def _batch(value: Any) -> int:
    count = int(value)
    if not 1 <= count <= 100_000:
        raise ValueError("expected a number of events from 1 to 100000")
    return count


def _names(value: Any) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else list(value)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("expected names, separated by commas")
    return tuple(name.strip() for name in names if name.strip())


def _hooks(value: Any) -> tuple[str, ...]:
    names = _names(value)
    for name in names:
        patterns = hook_patterns([name])
        if not any(patterns.matches(hook) for hook in HOOKS):
            raise ValueError(f"'{name}' matches no hook; the hooks are {', '.join(HOOKS)}")
    return names


def _patterns(value: Any) -> tuple[str, ...]:
    """Several patterns are a list, or text with ``;``: keys may contain commas."""
    names = value.split(";") if isinstance(value, str) else list(value)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("expected patterns, in a list or separated by ;")
    return tuple(name.strip() for name in names if name.strip())


_LABEL_SEPARATOR = re.compile(r";|,(?=[^,;=]*=)")


def _labels(value: Any) -> tuple[tuple[str, str], ...]:
    """Labels are a mapping, or text with ``;``, or ``,`` where another ``NAME=`` follows: values
    may contain commas.
    """
    if isinstance(value, str):
        parts = [text for text in _LABEL_SEPARATOR.split(value) if text.strip()]
        if not all("=" in text for text in parts):
            raise ValueError("expected NAME=VALUE, several separated by ;")
        split = (text.partition("=") for text in parts)
        pairs = [(name, given.strip()) for name, _, given in split]
    else:
        pairs = list(value.items()) if isinstance(value, Mapping) else list(value)
    labels = {}
    for name, given in pairs:
        if not isinstance(given, (str, int, float)):
            raise ValueError(f"expected text or a number as the value of the label {name!r}")
        if not isinstance(name, str) or not name.strip() or "=" in name or ";" in name:
            raise ValueError(f"expected a name without = and ; for a label, not {name!r}")
        labels[name.strip()] = str(given)
    return tuple(labels.items())


#: The versions of distributed that the tests run with.
TESTED_VERSIONS = ("2024.8.2", "2025.5.1", "2026.8.0")

#: Options that name a file or a folder.
_PATHS = ("log", "worker_spool", "publish_spool")

#: Options that a recorder which joins another one may have on its own.
_OWN = ("labels",)


def _value(option: Field[Any], where: str, given: Any) -> Any:
    """The value of an option; raises `ValueError` with where it was given."""
    try:
        return option.metadata["read"](given)
    except Exception as error:
        # It may contain a password.
        shown = "…" if option.metadata["secret"] else repr(given)
        raise ValueError(f"{where} is {shown}: {error}") from None


def _option(default: Any, read: Callable[[Any], Any], secret: bool = False) -> Any:
    return field(default=default, metadata={"read": read, "secret": secret})


@dataclass
class Options:
    """The options of a recorder.

    An option `name` is also ``TASKLOG_NAME`` in the environment and ``tasklog.name`` in Dask's
    config.
    """

    #: The log file; None if events are published and no log is requested.
    log: str | None = _option("tasklog.db", _path)
    #: The broker that events are published to.
    publish: str | None = _option(None, _address, secret=True)
    #: The queue there, created if it does not exist.
    publish_queue: str = _option("dask_task_status", _queue)
    #: The largest number of events in a message.
    publish_batch: int = _option(1, _batch)
    #: The folder where events wait until the broker has confirmed them.
    publish_spool: str = _option("tasklog-publish.spool", _path)
    #: The labels of the run, ``name=value``.
    labels: tuple[tuple[str, str], ...] = _option((), _labels)
    #: Records state that changes without a hook, too; else only public hooks. By default false on
    #: an untested version of distributed, and then `stimuli`, too.
    deep: bool = _option(True, _flag)
    #: Records the workers, too.
    workers: bool = _option(True, _flag)
    #: Records the stimuli of each worker.
    stimuli: bool = _option(True, _flag)
    #: Records the heartbeats of workers.
    heartbeats: bool = _option(True, _flag)
    #: Records what Dask's loggers write: ``off``; or a level, names of loggers, or both.
    messages: tuple[str, ...] = _option(("WARNING",), messages.parse)
    #: Records the workers' statistical profile: false, true, or how often; as seconds, 0 for not.
    profile: float = _option(0.0, _profile)
    #: Names of args, or patterns of names, whose values are redacted.
    redact: tuple[str, ...] = _option((), _names)
    #: Records objects that only Python can rebuild as pickles.
    pickle: bool = _option(False, _flag)
    #: Text and bytes longer than this are truncated.
    max_value_bytes: int = _option(1 << 20, _bytes)
    #: Args of an event that are longer than this are truncated.
    max_args_bytes: int | None = _option(None, _bytes)
    #: Only events of these hooks, or patterns of their names; and none of those.
    include_hooks: tuple[str, ...] = _option((), _hooks)
    exclude_hooks: tuple[str, ...] = _option((), _hooks)
    #: Of events about a task, only those about these keys; and none about those.
    include_keys: tuple[str, ...] = _option((), _patterns)
    exclude_keys: tuple[str, ...] = _option((), _patterns)
    #: Only events of these sources: scheduler, worker, or the id, address or name of one.
    include_sources: tuple[str, ...] = _option((), _patterns)
    exclude_sources: tuple[str, ...] = _option((), _patterns)
    #: How long a worker collects events, which are in its spool, before it ships them.
    worker_interval: float = _option(0.5, _seconds)
    #: The folder of the workers' spools; by default one of the user in the system's folder for
    #: temporary files.
    worker_spool: str | None = _option(None, _path)
    #: The largest size of a worker's spool.
    worker_spool_limit: int = _option(256 << 20, _bytes)
    #: The largest size of the recorder's spool.
    spool_limit: int | None = _option(None, _bytes)
    #: Start a new segment when the current one has grown by this size, or reached this age.
    rotate_size: int | None = _option(None, _bytes)
    rotate_age: float | None = _option(None, _age)
    #: A power loss costs at most the events of this time.
    sync_seconds: float = _option(1.0, _seconds)
    #: How long the end of a recording may take.
    close_seconds: float = _option(10.0, _seconds)
    #: What is kept of older runs and segments: an age, a size of all logs, or both, such as
    #: ``7d,20GiB``; ``failures`` in addition for the stories of failed tasks.
    keep: str | None = _option(None, _rules)
    #: Where copies of the log are delivered: a folder, a command with ``{file}``, or ``none``. By
    #: default a log for a path on a network file system, which is recorded to a local disk, is
    #: delivered there.
    deliver: str | None = _option(None, _destination, secret=True)
    #: How often, if the log has changed.
    deliver_every: float = _option(60.0, _interval)
    #: How long the last delivery may take.
    deliver_seconds: float = _option(15.0, _seconds)
    #: The installed version of distributed if no test runs with it; else None.
    untested_version: str | None = None
    #: What that version has changed, in a line; None if nothing.
    limited: str | None = None
    #: Errors of options that are set to their default instead.
    problems: list[str] = field(default_factory=list)
    #: Errors of redaction, after which nothing is recorded.
    refused: list[str] = field(default_factory=list)

    @property
    def filter(self) -> dict[str, list[str]]:
        """The options of the filter."""
        return {name: list(getattr(self, name)) for name in NAMES}

    @classmethod
    def read(cls, given: dict[str, Any]) -> Options:
        """Reads the options. It raises nothing: see `problems`."""
        options = cls()
        known = {option.name: option for option in fields(cls) if "read" in option.metadata}
        for name in given:
            if name not in known:
                options._add_problem(name, f"unknown option '{name}'")
        places = {name: _find(name, given) for name in known}
        chosen = set()
        for name, option in known.items():
            where, value = places[name]
            if where is None:
                continue
            try:
                setattr(options, name, _value(option, where, value))
                chosen.add(name)
            except ValueError as error:
                if name == "redact":
                    options.refused.append(str(error))
                else:
                    options.problems.append(f"{error}; {option.default!r} is used")
        if options.publish is not None and places["log"][0] is None:
            options.log = None
        if options.redact and "messages" not in chosen:
            # A message may have what is redacted elsewhere.
            options.messages = ("off",)
        if options.redact and options.profile:
            options.profile = 0.0
            options.problems.append("'profile' is off: with 'redact' no names of code are recorded")
        options._limit_to_public_hooks(chosen)
        for variable in _unknown_variables(known):
            words = f"unknown option '{variable}'"
            options._add_problem(variable.removeprefix("TASKLOG_").lower(), words)
        return options

    @classmethod
    def check(cls, given: dict[str, Any]) -> None:
        """Raises `ValueError` for options that a recorder would not use."""
        known = {option.name: option for option in fields(cls) if "read" in option.metadata}
        for name, value in given.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean '{close[0]}'?" if close else ""
                raise ValueError(f"unknown option '{name}'{hint}")
            if value is not None:
                _value(known[name], f"the option '{name}'", value)

    def _limit_to_public_hooks(self, chosen: set[str]) -> None:
        """Sets the defaults for an untested version of distributed, whose internals may differ."""
        import distributed

        if distributed.__version__ in TESTED_VERSIONS:
            return
        self.untested_version = distributed.__version__
        if "deep" not in chosen:
            self.deep = False
            self.limited = (
                f"distributed {self.untested_version} is untested (tested are "
                f"{', '.join(TESTED_VERSIONS)}): recording by public hooks only; "
                "set deep=True or TASKLOG_DEEP=true to record more"
            )
        if "stimuli" not in chosen and not self.deep:
            self.stimuli = False

    def _add_problem(self, name: str, words: str) -> None:
        """Adds an unknown option; one that looks like `redact` is refused."""
        if difflib.get_close_matches(name, ["redact"], 1, 0.7) or "redact" in name:
            self.refused.append(f"{words}; did you mean 'redact'?")
        else:
            self.problems.append(words)

    def differences(self, other: Options) -> list[str]:
        """The options that differ from those of another recorder, in words."""
        different = []
        for option in fields(self):
            if "read" not in option.metadata or option.name in _OWN:
                continue
            ours, theirs = getattr(self, option.name), getattr(other, option.name)
            if option.name in _PATHS:
                ours, theirs = (path and os.path.realpath(path) for path in (ours, theirs))
            if ours != theirs and option.metadata["secret"]:
                different.append(f"'{option.name}' differs")
            elif ours != theirs:
                different.append(f"'{option.name}' is {ours!r} there and {theirs!r} here")
        return different

    @property
    def place(self) -> str:
        """The log and the queue, in words."""
        return self._place(self.log)

    @property
    def absolute_place(self) -> str:
        """The same with the absolute path of the log."""
        return self._place(self.log and os.path.abspath(self.log))

    def _place(self, log: str | None) -> str:
        places = [] if log is None else [log]
        if self.publish is not None:
            places.append(f"the queue '{self.publish_queue}'")
        return " and ".join(places)


def _find(name: str, given: dict[str, Any]) -> tuple[str | None, Any]:
    if given.get(name) is not None:
        return f"the option '{name}'", given[name]
    variable = f"TASKLOG_{name.upper()}"
    if os.environ.get(variable):
        return variable, os.environ[variable]
    import dask

    value = dask.config.get(f"tasklog.{name}", None)
    if value is None:
        value = dask.config.get(f"tasklog.{name.replace('_', '-')}", None)
    return (None, None) if value is None else (f"'tasklog.{name}' in Dask's config", value)


#: Variables, or their prefixes, that are not options of a recorder in Dask.
_OTHERS = (
    "TASKLOG_AMQP_", "TASKLOG_RESOLVED_LOG", "TASKLOG_DISABLED", "TASKLOG_LIB", "TASKLOG_MODULES",
    "TASKLOG_OPTION_", "TASKLOG_PROGRAM", "TASKLOG_RUN", "TASKLOG_SQL_MEMORY", "TASKLOG_TEST_",
    "TASKLOG_TRAITS", "TASKLOG_WATCHED",
)  # fmt: skip


def _unknown_variables(known: dict[str, Any]) -> list[str]:
    variables = {f"TASKLOG_{name.upper()}" for name in known}
    return [
        variable
        for variable in sorted(os.environ)
        if variable.startswith("TASKLOG_")
        and variable not in variables
        and not any(
            variable.startswith(name) if name.endswith("_") else variable == name
            for name in _OTHERS
        )
    ]
