"""Annotations are recorded once, however many tasks have them, and are unchanged in a replay."""

from __future__ import annotations

import collections
import dataclasses
import json
import random
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster

import annotated
import tasklog as package
from clusters import HERE
from log import Log
from replaying import Replay
from tasklog.decoding import Decoder
from tasklog.encoding import Encoder, SentTexts, Shared
from tasklog.reprs import safe_repr

ANNOTATED = f"--plugin={HERE}/annotated.py:Annotated"


@dask.delayed
def add(x: int, y: int = 1) -> int:
    return x + y


class Slow:
    """Its repr is long, and counted."""

    made = 0

    def __repr__(self) -> str:
        Slow.made += 1
        return "slow " * 1000


def record(log: Path, processes: bool, values: dict[str, Any], n: int = 20, **options: Any) -> None:
    """Each value annotates a separate graph."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=processes, dashboard_address=":0",
            resources={"GPU": 1},
        ) as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        client.register_plugin(
            package.Recorder(
                log, verify=[annotated.Annotated], worker_spool=str(log.parent / "spool"), **options
            )
        )
        for name, value in values.items():
            with dask.annotate(custom=value, priority=2, resources={"GPU": 1}):
                tasks = [add(i, dask_key_name=f"{name}-{i}") for i in range(n)]
            results = client.compute(tasks, optimize_graph=False, sync=True)
            assert sum(results) == n * (n + 1) // 2


VALUES = {
    "object": types.SimpleNamespace(rows=list(range(100_000))),
    "text": "t" * 30_000,
    "bytes": b"\x00b" * 3000,
    "list": ["x", {"y": 1}],
    "dict": {"a": [1, 2]},
    "tuple": (1, [2]),
    "short": "short",
}


@pytest.mark.parametrize("processes", [False, True])
def test_plugins_get_the_same_annotations_live_and_in_a_replay(
    tmp_path: Path, replay: Callable[[Path], Replay], processes: bool
) -> None:
    log = tmp_path / "run.db"
    record(log, processes, VALUES)
    done = replay(log).run(ANNOTATED, "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    seen = replay(log).results_of(f"{HERE}/annotated.py", "Annotated", "seen")
    # Each value was seen of each task, and is one object for all of them.
    graphs = [entry for entry in seen if len(entry) == 5 and entry[0] == "custom"]
    assert len(graphs) == 20 * len(VALUES)
    for name in ("object", "list", "dict", "tuple"):
        same = [entry[4] for entry in graphs if entry[1].startswith(name + "-")]
        assert len(same) == 20 and all(entry == [same[0][0], True] for entry in same), name


def test_a_value_is_in_the_log_once(tmp_path: Path, tasklog: Callable[..., str]) -> None:
    log = tmp_path / "run.db"
    text = "".join(random.Random(5).choices("abcdefghij", k=300_000))
    record(log, True, {"text": text, "again": text, "object": VALUES["object"]})
    found = Log(log)
    assert log.stat().st_size < 1 << 20
    sizes = found.rows("SELECT length(bytes) FROM blob ORDER BY length(bytes) DESC LIMIT 2")
    assert sizes[0][0] == len(text) + 2 and sizes[1][0] < 5000
    lost = "args LIKE '%$same%' OR args LIKE '%its text is not in this log%'"
    assert found.one(f"SELECT count(*) FROM events WHERE {lost}") == 0
    assert tasklog(log, "check", "--strict") == ""


def test_lossless_up_to_the_limit_and_cut_beyond_it(tmp_path: Path) -> None:
    for limit, kept in ((1 << 20, True), (10_000, False)):
        log = tmp_path / f"{limit}.db"
        record(log, False, {"text": "t" * 30_000}, 3, max_value_bytes=limit)
        found = Log(log)
        decoder = Decoder(blob=lambda hash, found=found: found.rows(
            "SELECT bytes FROM blob WHERE hash = ?", hash)[0][0])  # fmt: skip
        ((args,),) = found.rows("SELECT args FROM events WHERE hook = 'updateGraph'")
        values = decoder.args(args)[1]["annotations"]["custom"]
        assert len(values) == 3
        for value in values.values():
            assert (value == "t" * 30_000) is kept
            assert kept or value.bytes == 30_000


@pytest.mark.parametrize("native", [True, False])
def test_the_repr_of_an_object_is_made_once_a_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    if not native:
        monkeypatch.setattr(package.recorder.Recorder, "_watch", lambda *_: types.SimpleNamespace(
            mark=None, graph=None, counter=0, workers=0))  # fmt: skip
    monkeypatch.setattr(Slow, "made", 0)
    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.register_plugin(package.Recorder(tmp_path / "run.db"))
        with dask.annotate(custom=Slow()):
            tasks = [add(i) for i in range(50)]
        futures = client.compute(tasks, optimize_graph=False)
        client.run_on_scheduler(lambda: None)
        del futures
    assert Slow.made == 1


# Without a cluster


def test_large_text_is_in_the_first_event_of_a_batch() -> None:
    encoder = Encoder()
    encoder.sent = SentTexts()

    def size(text: str) -> int:
        # Dask makes another object of it for each task.
        packed = encoder.pack(
            encoder.named({"annotations": Shared({"custom": text[:1] + text[1:]})})
        )
        encoder.end_event()
        return len(packed)

    assert [size("t" * 10_000) > 10_000 for _ in range(3)] == [True, False, False]
    assert size("u" * 10_000) > 10_000 and size("t" * 10_000) < 200
    # A value hardly longer than its hash, and one that is not Unicode, is sent in full.
    assert [size("t" * 1000) > 1000 for _ in range(2)] == [True, True]
    assert [size("\ud800" * 5000) > 5000 for _ in range(2)] == [True, True]
    encoder.sent.forget()
    assert [size("t" * 10_000) > 10_000 for _ in range(2)] == [True, False]
    # More than are cached.
    for number in range(SentTexts.MAXIMUM_COUNT):
        assert size(f"{number}" * 10_000) > 10_000
    assert size("t" * 10_000) > 10_000


def decoded(encoder: Encoder, value: Any) -> Any:
    """As it is read from a log: the JSON is made by the Swift side, here by hand."""
    import msgpack

    def opened(value: Any) -> Any:
        if isinstance(value, msgpack.ExtType) and value.code == 7:
            name, content = unpacked(value.data)
            return {name: content}
        if isinstance(value, msgpack.ExtType) and value.code == 1:
            return {"$tuple": unpacked(value.data)}
        if isinstance(value, dict):
            return {key: opened(item) for key, item in value.items()}
        return [opened(item) for item in value] if isinstance(value, list) else value

    def unpacked(data: bytes) -> Any:
        return opened(msgpack.unpackb(data, strict_map_key=False))

    numbered: dict[int, Any] = {}

    def defined(value: Any) -> Any:
        if isinstance(value, dict) and "$shared" in value:
            number, *rest = value["$shared"]
            if rest:
                numbered[number] = defined(rest[0])
            return {"$shared": [number, numbered[number]]}
        if isinstance(value, dict):
            return {key: defined(item) for key, item in value.items()}
        return [defined(item) for item in value] if isinstance(value, list) else value

    packed = unpacked(encoder.pack(encoder.value(value)))
    encoder.end_event()
    return Decoder().loads(json.dumps(defined(packed)))


def test_the_same_object_is_the_same_and_equal_ones_are_not() -> None:
    encoder = Encoder()
    one, two = [1], [1]
    made = decoded(encoder, [Shared({"a": one, "b": two}), Shared({"a": one, "c": "s"})])
    assert made == [{"a": [1], "b": [1]}, {"a": [1], "c": "s"}]
    assert made[0]["a"] is made[1]["a"] and made[0]["a"] is not made[0]["b"]
    again = decoded(encoder, [Shared({"x": {"k1": one, "k2": one}}, 2)])
    assert again == [{"x": {"k1": [1], "k2": [1]}}] and again[0]["x"]["k1"] is again[0]["x"]["k2"]


def test_what_is_hidden_is_hidden_within_what_is_shared() -> None:
    encoder = Encoder(redact=("secret",))
    held = types.SimpleNamespace(secret="hush")
    holder = collections.OrderedDict(one=held)
    for value in (
        Shared({"a": held, "b": held, "secret": "hush", "c": holder}),
        Shared({"x": {"k": {"secret": "hush"}}, "secret": {"k": "hush"}}, 2),
    ):
        packed = encoder.pack(encoder.value([value, value]))
        encoder.end_event()
        assert b"hush" not in packed


@dataclasses.dataclass
class Point:
    x: Any
    hidden: Any = dataclasses.field(default=1, repr=False)


class OwnList(list):
    pass


class OwnText(str):
    pass


class OwnSet(frozenset):
    pass


def anything(choose: random.Random, depth: int) -> Any:
    """Text with all quotes, and containers of every kind that is truncated."""
    kind = choose.randrange(15 if depth else 4)
    some = range(choose.randrange(4))
    words = ["a", "it's", '"q"', "both'\"", "é", "\n"]
    match kind:
        case 0:
            return choose.choice([None, 7, 1.5, OwnText("o'") * choose.choice([1, 9000])])
        case 1:
            return choose.choice(words) * choose.choice([1, 2, 3000])
        case 2:
            return choose.choice([b"x", b"'", b'"', b"'\""]) * choose.choice([1, 9000])
        case 3:
            return choose.randrange(1000)
        case 4:
            return tuple(anything(choose, depth - 1) for _ in some)
        case 5:
            return {i: anything(choose, depth - 1) for i in some}
        case 6:
            return {choose.choice(words) for _ in some}
        case 7:
            return frozenset(choose.choice(words) for _ in some)
        case 8:
            return Point(anything(choose, depth - 1))
        case 9:
            return OwnList(anything(choose, depth - 1) for _ in some)
        case 10:
            return types.SimpleNamespace(x=anything(choose, depth - 1), y=1)
        case 11:
            return collections.OrderedDict(a=anything(choose, depth - 1))
        case 12:
            return OwnSet(some)
        case _:
            return [anything(choose, depth - 1) for _ in some]


def test_a_repr_that_is_cut_is_the_beginning_of_the_whole_one() -> None:
    choose = random.Random(33)
    for _ in range(3000):
        value, limit = anything(choose, 4), choose.choice([5, 20, 100, 2000])
        whole = repr(value)
        expected = whole if len(whole) <= limit else whole[:limit] + "…"
        assert safe_repr(value, limit) == expected


def test_containers_within_themselves_have_their_own_repr() -> None:
    items: list = [1]
    items.append(items)
    named: dict = {}
    named[1] = named
    space = types.SimpleNamespace()
    space.me = space
    point = Point(1)
    point.x = point
    pair: tuple = ([],)
    pair[0].append(pair)
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    for value in (items, named, space, point, pair):
        assert safe_repr(value) == repr(value)
    try:
        whole = repr(deep)[:2000] + "…"
    except RecursionError:
        whole = "<no repr: RecursionError>"
    assert safe_repr(deep) == whole


def test_no_more_is_made_of_a_container_than_is_kept() -> None:
    class Counted:
        made = 0

        def __repr__(self) -> str:
            Counted.made += 1
            return "x" * 100

    assert len(safe_repr([Counted()] * 1_000_000)) == 2001
    assert Counted.made < 25
