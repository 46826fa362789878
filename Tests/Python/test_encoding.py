"""Any value is read from a log as it was written."""

from __future__ import annotations

import collections
import datetime
import decimal
import random
import uuid
from pathlib import Path
from typing import Any

import msgpack
import numpy
import pytest
from distributed.protocol.serialize import Serialize, Serialized

import beside
from globs import GLOBS
from log import Log
from tasklog.decoding import Opaque, PythonObject
from tasklog.encoding import Encoder
from tasklog.library import REFUSED, NativeRecorder


class Odd:
    """Only Python can recreate it."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __repr__(self) -> str:
        return f"Odd({self.x})"

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Odd) and other.x == self.x

    def __hash__(self) -> int:
        return self.x


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __reduce__(self) -> Any:
        raise RuntimeError("no")


def through(
    tmp_path: Path,
    values: list,
    keys: list | None = None,
    decoding: Any = None,
    fast: bool = False,
    **options: Any,
) -> list:
    """Sends values through a log: as the args of events, or as their keys.

    fast:
        Straight from Python's objects, where that is possible.
    """
    encoder = Encoder(**options)
    recorder = NativeRecorder(str(tmp_path / "run.db"), {})
    source = recorder.source("scheduler", "s", "tcp://s")
    longest = encoder.max_value_bytes
    for place, value in enumerate(values):
        key = keys[place] if keys else "key"
        if fast:
            fields = [1, 13, key, 0, 1, None, None, None, [[], {"value": value}], None]
            assert recorder.put_event is not None
            answer = recorder.put_event(recorder.handle, source, fields, longest, encoder.patterns)
            if answer != REFUSED:
                assert answer > 0
                continue
        key = encoder.key(key)
        args = [[], encoder.named({"value": value})]
        content = encoder.pack([1, 13, key, 0, 1, None, None, None, args, None])
        recorder.put(recorder.handle, source, content, len(content))
    recorder.close()
    log = Log(tmp_path / "run.db", **(decoding or {}))
    assert log.rows("SELECT * FROM gap") == []
    events = list(log.events("s"))
    return [e.key for e in events] if keys else [e.kwargs["value"] for e in events]


VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2**63 - 1, -(2**63), 2**63, 2**64, -(2**63) - 1, 10**400,
    0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, float("inf"), -float("inf"), float("nan"),
    "", "text", "a\0b", "\0", "ümlaut", "\U0001f980", "\udc80", "a\ud800b\0", "e\u0301", "\u00e9",
    b"", b"\0\xff", b"x" * 255, b"x" * 257, bytearray(b"ba"), bytearray(b"y" * 300),
    [], [1, [2, [3]]], (), (1,), (1, (2.0, "x")), [(1, 2)], {}, {"a": 1}, {"b": 1, "a": 2},
    {1: 2}, {1.5: "x", "y": None}, {("k", 1): [1]}, {None: 0}, {True: "yes"}, {b"k": 1},
    {"$tuple": [1]}, {"$bytes": "eA=="}, {"$": 1}, {"$a": 1, "b": 2}, {frozenset({1}): 1},
    set(), {1, 2}, frozenset({"a", ("b", 1)}), {(1, 2)},
    collections.defaultdict(list, {"a": [1]}), collections.OrderedDict([("b", 1), ("a", 2)]),
    collections.Counter("hello"), collections.deque([1, 2], 5), range(1, 10, 2), 1 + 2j,
    datetime.datetime(2026, 1, 2, 3, 4, 5, 6), datetime.date(2026, 1, 2), datetime.time(1, 2),
    datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc), datetime.timedelta(1, 2, 3),
    uuid.UUID(int=5), decimal.Decimal("1.10"), memoryview(b"view"),
    numpy.float64(1.5), numpy.float32(0.1), numpy.int8(-3), numpy.uint64(2**64 - 1),
    numpy.bool_(True), numpy.datetime64("2026-01-01"), numpy.str_("text"), numpy.complex128(1j),
]  # fmt: skip


@pytest.mark.parametrize("fast", [False, True])
def test_every_kind_of_value_comes_back(tmp_path: Path, fast: bool) -> None:
    for before, after in zip(VALUES, through(tmp_path, VALUES, fast=fast), strict=True):
        assert beside.comparable(after) == beside.comparable(before), repr(before)
        if before == before:
            assert after == before
        # A memoryview is of bytes; everything else has its very type.
        assert type(after) is type(before)


def random_value(generator: random.Random, depth: int = 0) -> Any:
    kind = generator.randrange(13 if depth < 5 else 8)
    if kind == 0:
        return generator.choice([None, True, False])
    if kind == 1:
        return generator.randrange(-(2 ** generator.randrange(1, 80)), 2**70)
    if kind == 2:
        return generator.choice([generator.random(), generator.uniform(-1e9, 1e9), float("nan")])
    if kind in (3, 4):
        return "".join(
            chr(generator.choice([generator.randrange(128), 0x20AC, 0xDC80, 0x1F980]))
            for _ in range(generator.randrange(12))
        )
    if kind == 5:
        return generator.randbytes(generator.randrange(400))
    if kind == 6:
        return bytearray(generator.randbytes(3))
    if kind == 7:
        return generator.choice(["$x", "$tuple", "plain"])
    items = [random_value(generator, depth + 1) for _ in range(generator.randrange(5))]
    if kind == 8:
        return items
    if kind == 9:
        return tuple(items)
    hashable = [generator.randrange(9), "k", ("t", generator.randrange(3)), None, 2.5, b"b"]
    if kind == 10:
        return set(generator.sample(hashable, 3))
    if kind == 11:
        return frozenset(generator.sample(hashable, 2))
    keys = generator.sample(hashable, len(items))
    return dict(zip(keys, items, strict=True))


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_random_values_come_back(tmp_path: Path, seed: int, fast: bool) -> None:
    generator = random.Random(seed)
    values = [random_value(generator) for _ in range(1000)]
    for before, after in zip(values, through(tmp_path, values, fast=fast), strict=True):
        assert beside.comparable(after) == beside.comparable(before), repr(before)


@pytest.mark.parametrize("fast", [False, True])
def test_every_kind_of_key_comes_back(tmp_path: Path, fast: bool) -> None:
    keys = [
        "plain", "", "a\0b", "\udc80", "('x', 1)", ("x", 1), ("x", 1.0), ("x", ("y", -1)), 5, 5.0,
        "5", -0.0, 2**70, ("\0", "\ud800"), (), "ü", "u\u0308", ("quote'\"", "\\n\n"),
    ]  # fmt: skip
    found = through(tmp_path, [None] * len(keys), keys=keys, fast=fast)
    for before, after in zip(keys, found, strict=True):
        assert beside.comparable(after) == beside.comparable(before)
    log = Log(tmp_path / "run.db")
    assert log.one("SELECT count(*) FROM key") == len(keys)
    shown = [row[0] for row in log.rows("SELECT text FROM key ORDER BY id")]
    assert shown[4:6] == ["('x', 1)", "('x', 1)"]
    assert shown[7] == str(("x", ("y", -1)))
    assert all("\0" not in text for text in shown)


def test_the_fast_way_takes_what_is_plain_and_nothing_else(tmp_path: Path) -> None:
    recorder = NativeRecorder(str(tmp_path / "run.db"), {})
    source = recorder.source("scheduler", "s", "tcp://s")

    def put(value: Any) -> int:
        fields = [1, 13, "key", 0, 1, None, None, None, [[], {"value": value}], None]
        return recorder.put_event(recorder.handle, source, fields, 100, ())

    assert put([None, True, 1, 1.5, "x", b"y", bytearray(b"z"), (1, {2}), {3: [4]}]) == 1
    for odd in (
        2**63,
        Odd(1),
        memoryview(b"x"),
        "x" * 101,
        b"x" * 101,
        bytearray(101),
        numpy.int8(1),
        collections.OrderedDict(),
        range(3),
        msgpack.ExtType(1, b"x"),
    ):
        assert put(odd) == put([odd]) == put({"k": (odd,)}) == REFUSED
    assert put("after") == 2
    recorder.close()


def test_wrappers_of_dask_come_back(tmp_path: Path) -> None:
    frames = [b"frame" * 100, memoryview(b"view")]
    values = [Serialized({"a": (1, {2})}, frames), Serialize(b"data"), Serialize({"x": [1]})]
    first, second, third = through(tmp_path, values)
    assert beside.comparable(first) == beside.comparable(values[0])
    assert (second.data, third.data) == (b"data", {"x": [1]})


def test_an_object_is_told_by_type_and_repr(tmp_path: Path) -> None:
    (found,) = through(tmp_path, [Odd(3)])
    assert found == PythonObject(f"{__name__}.Odd", "Odd(3)")


def test_a_pickle_is_kept_and_loaded_only_when_asked_for(tmp_path: Path) -> None:
    (found,) = through(tmp_path, [Odd(4)], pickle=True)
    assert isinstance(found, PythonObject) and found.pickle
    assert list(Log(tmp_path / "run.db", unpickle=True).events("s"))[0].kwargs["value"] == Odd(4)


@pytest.mark.parametrize("fast", [False, True])
def test_what_cannot_be_kept_is_marked(tmp_path: Path, fast: bool) -> None:
    circle: list = [1]
    circle.append(circle)
    deep: list = []
    for _ in range(150):
        deep = [deep]
    values = [circle, deep, "x" * 2000, b"y" * 2000, bytearray(2000), ["z" * 1025], Hostile()]
    found = through(tmp_path, values, max_value_bytes=1024, pickle=True, fast=fast)
    assert found[0] == [1, Opaque("circular")]
    assert found[2:6] == [Opaque("capped")] * 3 + [[Opaque("capped")]]
    assert found[6].repr == "<no repr: RuntimeError>"
    inner = found[1]
    while isinstance(inner, list):
        (inner,) = inner
    assert inner == Opaque("too deep")


HIDDEN = Opaque("redacted")


@pytest.mark.parametrize("fast", [False, True])
def test_values_are_redacted_by_name_at_any_depth(tmp_path: Path, fast: bool) -> None:
    """As in `RedactionTests` of the Swift side."""
    values: list[Any] = [
        {"token": "hunter2", 1: "kept"},
        {"Password": "hunter2", "pass": "kept", "config": [{"api_key": "hunter2", "port": 80}]},
        ({"my key": "hunter2", ("token",): "kept"}, {"x": ({"TOKEN": {"a": "hunter2"}},)}),
        {"schl\u00fcssel-key": "hunter2", "token": {"token": "hunter2"}, "keyed": "kept"},
        [{"\udc80key": "hunter2"}],
    ]
    found = through(tmp_path, values, redact=("pass?*", "*KEY", "token"), fast=fast)
    assert found == [
        {"token": HIDDEN, 1: "kept"},
        {"Password": HIDDEN, "pass": "kept", "config": [{"api_key": HIDDEN, "port": 80}]},
        ({"my key": HIDDEN, ("token",): "kept"}, {"x": ({"TOKEN": HIDDEN},)}),
        {"schl\u00fcssel-key": HIDDEN, "token": HIDDEN, "keyed": "kept"},
        [{"\udc80key": HIDDEN}],
    ]
    assert b"hunter2" not in (tmp_path / "run.db").read_bytes()


@pytest.mark.parametrize("fast", [False, True])
def test_names_are_redacted_by_the_patterns_of_the_table(tmp_path: Path, fast: bool) -> None:
    """As in `GlobTests` of the Swift side."""
    cases = [case for case in GLOBS if case.get("ignores_case") or not has_capitals(case)]
    assert len(cases) > 30
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        names = case["matches"] + case["others"]
        values = [{name: 1} for name in names]
        found = through(folder, values, redact=(case["pattern"],), fast=fast)
        for name, value in zip(names, found, strict=True):
            # `*` matches the name of the argument, too.
            is_redacted = value == HIDDEN or value[name] == HIDDEN
            assert is_redacted == (name in case["matches"]), (case["pattern"], name)


def has_capitals(case: dict[str, Any]) -> bool:
    texts = [case["pattern"], *case["matches"], *case["others"]]
    return any("A" <= character <= "Z" for text in texts for character in text)


@pytest.mark.parametrize("fast", [False, True])
def test_the_text_and_the_pickle_of_what_holds_redacted_values_is_not_kept(
    tmp_path: Path, fast: bool
) -> None:
    secret = Odd("hunter2")  # type: ignore[arg-type]
    values = [collections.OrderedDict(x="hunter2", y=1), [secret], Odd(3), {"y": range(3)}]
    found = through(tmp_path, values, redact=("x",), pickle=True, fast=fast)
    assert found[0] == collections.OrderedDict(x=HIDDEN, y=1)
    assert (found[1][0].repr, found[1][0].pickle) == (HIDDEN, None)
    assert found[3] == {"y": range(3)}
    assert b"hunter2" not in (tmp_path / "run.db").read_bytes()


def test_what_is_redacted_is_marked(tmp_path: Path) -> None:
    assert through(tmp_path, ["secret"], redact=("val*",)) == [Opaque("redacted")]
    encoder = Encoder(redact=("exception*",))
    named = encoder.named({"exception_text": "secret", "worker": "tcp://w"})
    assert b"secret" not in encoder.pack([[], named])
    assert named["worker"] == "tcp://w"


def test_the_places_of_hooks_and_states_are_those_of_the_swift_side(tmp_path: Path) -> None:
    from tasklog.encoding import HOOKS, STATES

    recorder = NativeRecorder(str(tmp_path / "run.db"), {})
    source = recorder.source("scheduler", "s", "tcp://s")
    for place in [*HOOKS.values(), len(HOOKS)]:
        content = msgpack.packb([1, place, None, None, None, None, None, None, None, None])
        recorder.put(recorder.handle, source, content, len(content))
    for place in [*STATES.values(), len(STATES)]:
        content = msgpack.packb([1, 13, None, place, None, None, None, None, None, None])
        recorder.put(recorder.handle, source, content, len(content))
    recorder.close()
    events = list(Log(tmp_path / "run.db").events("s"))
    assert [e.hook for e in events[: len(HOOKS)]] == list(HOOKS)
    assert [e.start for e in events[len(HOOKS) + 1 : -1]] == list(STATES)
    # Everything that the Swift side has is covered here.
    assert (events[len(HOOKS)].hook, events[-1].start) == (f"#{len(HOOKS)}", f"#{len(STATES)}")
