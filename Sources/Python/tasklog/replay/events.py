"""An event of the run as the host gets it; args and snapshot are decoded at their first use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasklog.decoding import Decoder
from tasklog.encoding import HOOKS, STATES
from tasklog.replay.limits import shortened, undecodable

HOOK_NAMES = list(HOOKS)
STATE_NAMES = list(STATES)

#: What the recorder records in addition to calls of hooks: it changes the state, and no plugin is
#: called with it.
MARKS = frozenset(
    {
        "attach", "detach", "stimulus", "clientDesiresKeys", "clientReleasesKeys", "addReplica",
        "removeReplica", "start", "setup", "report", "heartbeat",
    }
)  # fmt: skip

#: What changes no state either: a replay does not see it.
OBSERVATIONS = frozenset(
    {"nanny", "message", "request", "lock", "plugin", "monitor", "profile", "submission"}
)


class Event:
    """One call of one hook, or a mark."""

    __slots__ = (
        "seq", "source", "number", "nanoseconds", "hook", "key", "start", "finish", "stimulus",
        "worker", "run", "is_selected", "_args", "_snapshot", "_decoder", "_shared",
    )  # fmt: skip

    seq: int
    #: The source's number in the log, and the event's number within the source.
    source: int
    number: int
    nanoseconds: int
    hook: str
    key: Any
    #: None for hooks that do not have it; as Dask's functions expect it for those that do.
    start: Any
    finish: Any
    stimulus: Any
    worker: Any
    run: int | None
    #: Whether plugins are called with it; else it only changes the state.
    is_selected: bool

    def __init__(self, fields: list[Any], decoder: Decoder, keys: dict[str, Any]) -> None:
        (
            _, self.is_selected, self.seq, self.source, self.number, self.nanoseconds, hook, key,
            typed, start, finish, self.stimulus, self.worker, self.run, self._args, self._snapshot,
        ) = fields  # fmt: skip
        self.hook = HOOK_NAMES[hook] if type(hook) is int else hook
        self.start = STATE_NAMES[start] if type(start) is int else start
        self.finish = STATE_NAMES[finish] if type(finish) is int else finish
        self._decoder = decoder
        #: Values that args and snapshot share.
        self._shared: dict[int, Any] = {}
        if typed:
            key = keys.get(typed)
            if key is None:
                if len(keys) > 200_000:
                    keys.clear()
                key = keys[typed] = self._decoded("key", self._key, typed)
        self.key = key

    def _key(self, typed: str) -> Any:
        key = self._decoder.loads(typed)
        # Whatever is kept by key needs it.
        hash(key)
        return key

    def _decoded(self, what: str, decode: Callable[..., Any], *given: Any) -> Any:
        try:
            return decode(*given)
        except MemoryError:
            raise
        except Exception as error:
            hook = shortened(self.hook)
            raise undecodable(f"the {what} of the event seq {self.seq} ({hook})", error) from error

    @property
    def time(self) -> float:
        """Seconds since 1970, by the clock of the source."""
        return self.nanoseconds / 10**9

    @property
    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Beyond the fixed parameters of the hook: the positional and the named ones."""
        arguments = self._args
        if type(arguments) is not tuple:
            arguments = self._args = self._decoded(
                "args", self._decoder.args, arguments, self._shared
            )
        return arguments

    @property
    def kwargs(self) -> dict[str, Any]:
        return self.arguments[1]

    @property
    def snapshot(self) -> Any:
        snapshot = self._snapshot
        if type(snapshot) is str:
            snapshot = self._snapshot = self._decoded(
                "snapshot", self._decoder.loads, snapshot, self._shared
            )
        return snapshot

    def in_words(self) -> str:
        if self.hook == "transition":
            return f"transition of {self.key!r} from {self.start} to {self.finish}"
        return self.hook if self.key is None else f"{self.hook} of {self.key!r}"


class Source:
    """A source of events: the scheduler or one worker."""

    def __init__(self, number: int, kind: str, server: str, address: str, name: Any) -> None:
        self.number = number
        self.kind = kind
        self.id = server
        self.address = address
        self.name = name
