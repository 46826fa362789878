"""Exports of real runs, opened with the tools' own classes and compared with the log's counts."""

from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import os
import resource
import signal
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster
from distributed.diagnostics.task_stream import rectangles
from google.protobuf import json_format
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status, TracesData
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

import beside
import workloads
from clusters import Recording
from expected import expected
from log import Log

SAMPLE = Path(__file__).resolve().parents[1] / "CommandTests" / "Logs" / "sample.db"
FORMATS = ["perfetto", "chrome", "jsonl", "csv", "otlp-json", "dask"]
HOSTILE = [
    "<script>alert(1)</script>", '"},{"ph":"X', "=cmd()|'/C calc'!A0", "new\nline\rand\ttab",
    "\x1b[31mred", "\u202eevil", "nul\0byte", "comma,quote\"semicolon;", "\\u0041\\",
    "emoji-😀", "\ud800lone", "a" * 5000, "\x7f\x9b2J",
]  # fmt: skip


@pytest.fixture(scope="session")
def hostile(new_recording: Callable) -> Recording:
    """Keys with a special meaning for programs that read exports."""
    recording = new_recording("hostile")
    with (
        recording.applied(),
        LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        futures = [
            client.submit(workloads.increment, place, key=key) for place, key in enumerate(HOSTILE)
        ]
        client.gather(futures)
        failing = client.submit(workloads.fail, 3, key="fails-<b>-\x1b[31m")
        assert failing.exception() is not None
    return recording


@pytest.fixture(scope="session")
def demo(new_recording: Callable, tasklog) -> Recording:
    """A run of our own engine."""
    recording = new_recording("demo")
    tasklog(recording.log, "demo", "--input", str(Path(__file__).parent))
    return recording


OF_DASK = ["in_process", "in_processes", "commands", "killed_worker", "killed_scheduler", "hostile"]
PICTURED = [*OF_DASK, "demo"]


@pytest.fixture(params=PICTURED)
def pictured(request: pytest.FixtureRequest) -> Recording:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=OF_DASK)
def of_dask(request: pytest.FixtureRequest) -> Recording:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def export(tasklog: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    def run(log: Path, to: str, *arguments: str) -> bytes:
        file = tmp_path_factory.mktemp("export") / "file"
        tasklog(log, "export", "--to", to, "-o", str(file), *arguments)
        assert [path.name for path in file.parent.iterdir()] == ["file"]
        return file.read_bytes()

    return run


# Perfetto


class Track:
    """The events of a track in TraceProcessor."""

    def __init__(self, descriptor: Any) -> None:
        self.descriptor = descriptor
        self.slices: list[tuple[int, int | None, Any]] = []
        self.instants: list[tuple[int, Any]] = []
        self.counts: list[tuple[int, int]] = []


class Picture:
    def __init__(self, data: bytes) -> None:
        self.trace = Trace.FromString(data)
        self.tracks: dict[int, Track] = {}
        names: dict[str, dict[int, str]] = defaultdict(dict)
        stacks: dict[int, list] = defaultdict(list)
        events = []
        for packet in self.trace.packet:
            assert packet.trusted_packet_sequence_id == 1
            for kind in ("event_categories", "event_names", "debug_annotation_names"):
                for entry in getattr(packet.interned_data, kind):
                    assert entry.iid not in names[kind]
                    assert entry.name not in names[kind].values()
                    names[kind][entry.iid] = entry.name
            if packet.HasField("track_descriptor"):
                descriptor = packet.track_descriptor
                assert descriptor.uuid not in self.tracks
                if descriptor.HasField("parent_uuid"):
                    assert self.tracks[descriptor.parent_uuid].descriptor.HasField("process")
                self.tracks[descriptor.uuid] = Track(descriptor)
            if packet.HasField("track_event"):
                event = packet.track_event
                event.name = event.name or names["event_names"].get(event.name_iid, "")
                for iid in event.category_iids:
                    event.categories.append(names["event_categories"][iid])
                for annotation in event.debug_annotations:
                    annotation.name = names["debug_annotation_names"][annotation.name_iid]
                events.append((packet.timestamp, event))
        for time, event in sorted(events, key=lambda pair: pair[0]):
            track, stack = self.tracks[event.track_uuid], stacks[event.track_uuid]
            if event.type == TrackEvent.TYPE_SLICE_BEGIN:
                assert not stack, f"a slice begins in another on {track.descriptor}"
                stack.append((time, event))
            elif event.type == TrackEvent.TYPE_SLICE_END:
                start, begun = stack.pop()
                track.slices.append((start, time, begun))
            elif event.type == TrackEvent.TYPE_INSTANT:
                track.instants.append((time, event))
            else:
                assert event.type == TrackEvent.TYPE_COUNTER
                track.counts.append((time, event.counter_value))
        for uuid, stack in stacks.items():
            self.tracks[uuid].slices += [(start, None, event) for start, event in stack]

    def process(self, track: Track) -> Any:
        return self.tracks[track.descriptor.parent_uuid].descriptor.process

    def work(self) -> Iterator[tuple]:
        """Each slice of work with its track."""
        for track in self.tracks.values():
            for start, stop, event in track.slices:
                if event.categories[0] != "worker":
                    yield start, stop, event, track


def details(event: Any) -> dict[str, Any]:
    return {
        annotation.name: getattr(annotation, annotation.WhichOneof("value"))
        for annotation in event.debug_annotations
    }


def thread_of(track: Track) -> int | None:
    name = track.descriptor.thread.thread_name or track.descriptor.name
    return int(name.split("(")[1].split(")")[0]) if name.startswith("thread") else None


def test_perfetto_draws_each_span_of_work_once(pictured: Recording, export) -> None:
    told = expected(Log(pictured.log))
    picture = Picture(export(pictured.log, "perfetto"))
    drawn: Counter = Counter()
    computed = 0
    for start, stop, event, track in picture.work():
        action = event.categories[0].split(",")[0]
        computed += action == "compute"
        (worker,) = picture.process(track).process_labels
        prefix = event.name.removeprefix(f"{action}-") if action != "compute" else event.name
        thread = thread_of(track)
        drawn[action, prefix, start, stop, worker, details(event)["key"], thread] += 1
    spans: Counter = Counter()
    for (action, prefix, start, stop, worker, thread, key), count in told.spans.items():
        # Transfers are the worker's, not a thread's.
        thread = thread if action == "compute" else None
        spans[action, shown(prefix), start, stop, worker, shown(key), thread] += count
    assert not spans - drawn
    # Other slices are runs at workers without an end that the scheduler received. The last events
    # of
    # workers do not reach a scheduler that is killed.
    if "killed-scheduler" not in pictured.folder.name:
        assert computed == told.executions


def shown(key: str) -> str:
    """A key's text as the log has it."""
    text = key.replace("\0", "\\u0000")
    return "".join(f"\\u{ord(c):04x}" if 0xD800 <= ord(c) < 0xE000 else c for c in text)


def shown_if_text(key: Any) -> Any:
    return shown(key) if isinstance(key, str) else key


def test_perfetto_draws_an_arrow_for_each_dependency(pictured: Recording, export) -> None:
    told = expected(Log(pictured.log))
    picture = Picture(export(pictured.log, "perfetto"))
    begin, end = {}, {}
    for _, _, event, _ in picture.work():
        for flow in event.flow_ids:
            assert flow not in begin
            begin[flow] = details(event)["key"]
        for flow in event.terminating_flow_ids:
            assert flow not in end
            end[flow] = details(event)["key"]
    ran = {details(event)["key"] for _, _, event, _ in picture.work()}
    arrows = {(begin[flow], end[flow]) for flow in begin.keys() & end.keys()}
    edges = {(shown(str(a)), shown(str(b))) for a, b in told.edges if a in told.in_memory}
    assert arrows == {(a, b) for a, b in edges if b in ran}
    assert len(arrows) >= 10 or pictured.folder.name.startswith(("hostile", "killed-scheduler"))


def test_perfetto_counts_tasks_by_state_and_by_worker(pictured: Recording, export) -> None:
    told = expected(Log(pictured.log))
    picture = Picture(export(pictured.log, "perfetto"))
    states, given = {}, {}
    for track in picture.tracks.values():
        if track.descriptor.name.startswith("tasks given"):
            given[picture.process(track).process_labels[0]] = track.counts
        elif track.descriptor.name.startswith("tasks "):
            states[track.descriptor.name[6:]] = track.counts
        elif track.descriptor.name == "bytes in memory":
            assert all(count >= 0 for _, count in track.counts)
            if pictured.folder.name.startswith("in-process0"):
                assert track.counts[-1][1] == 0
    assert states == dict(told.states)
    assert given == dict(told.given)


def test_perfetto_marks_failures_graphs_and_the_lives_of_workers(
    pictured: Recording, export
) -> None:
    log = Log(pictured.log)
    told = expected(log)
    picture = Picture(export(pictured.log, "perfetto"))
    instants: Counter = Counter()
    lives = 0
    for track in picture.tracks.values():
        for _, event in track.instants:
            instants[event.categories[0]] += 1
            if event.categories[0] == "failure":
                assert details(event)["key"]
        lives += sum(event.categories[0] == "worker" for _, _, event in track.slices)
    assert instants == Counter(failure=told.erred, graph=told.graphs) + Counter()
    joined = log.one(
        "SELECT count(*) FROM events WHERE hook = 'addWorker' AND source = 'scheduler'"
    )
    assert lives == joined


def test_perfetto_marks_gaps_and_tells_runs_apart(export) -> None:
    picture = Picture(export(SAMPLE, "perfetto", "--run", "all"))
    processes = [t.descriptor.process for t in picture.tracks.values()]
    names = [p.process_name for p in processes if p.process_name]
    assert names == [
        "#1 scheduler", "#1 worker alice", "#1 worker 1",
        "#2 scheduler", "#2 worker alice", "#2 worker 1",
    ]  # fmt: skip
    assert len({p.pid for p in processes if p.process_name}) == 6
    (gap,) = [
        (picture.process(track).process_name, details(event))
        for track in picture.tracks.values()
        for _, event in track.instants
        if event.categories[0] == "gap"
    ]
    assert gap == ("#2 worker 1", {"count": 3, "reason": "spool limit reached"})
    # The second run died while it ran a task: that slice has no end.
    (unended,) = [details(event) for _, stop, event, track in picture.work() if stop is None]
    assert unended["key"] == "('sum', 0)" and unended["outcome"] == "unfinished"
    failed = [event for _, _, event, _ in picture.work() if "failed" in event.categories[0]]
    assert len(failed) == 1


# Chrome


def test_chrome_has_integer_ids_and_no_slice_overlaps(pictured: Recording, export) -> None:
    told = expected(Log(pictured.log))
    text = export(pictured.log, "chrome")
    document = json.loads(text, parse_float=Decimal)
    zero = int(document["otherData"]["zero_ns"])
    lanes = defaultdict(list)
    drawn: Counter = Counter()
    flows: dict[str, set] = {"s": set(), "f": set()}
    processes, threads = {}, {}
    for event in document["traceEvents"]:
        assert type(event["pid"]) is int and type(event["tid"]) is int
        lane = event["pid"], event["tid"]
        if event["ph"] == "M":
            table = processes if event["name"] == "process_name" else threads
            if event["name"].endswith("_name"):
                table[lane] = event["args"]["name"]
            continue
        assert event["ts"] >= 0
        if event["ph"] in "XB":
            start = event["ts"] * 1000
            stop = start + event["dur"] * 1000 if "dur" in event else Decimal("Infinity")
            lanes[lane].append((start, stop))
            if event["cat"] != "worker":
                drawn[event["args"]["key"], zero + int(start)] += 1
        elif event["ph"] in "sf":
            assert event["id"] not in flows[event["ph"]]
            flows[event["ph"]].add(event["id"])
        else:
            assert event["ph"] in "Ci"
    for lane, slices in lanes.items():
        assert lane in threads
        slices.sort()
        for (_, stop), (start, _) in itertools.pairwise(slices):
            assert stop <= start
    assert {pid for pid, _ in lanes} <= {pid for pid, _ in processes}
    picture = Picture(export(pictured.log, "perfetto"))
    assert drawn == Counter((details(e)["key"], s) for s, _, e, _ in picture.work())
    assert len(flows["s"] & flows["f"]) >= len(
        [1 for a, b in told.edges if a in told.in_memory and b in told.computed]
    )


# OpenTelemetry


def spans_of(data: bytes) -> list[tuple[dict[str, Any], Span]]:
    """Each span with the attributes of its resource."""
    spans = []
    for line in data.splitlines():
        document = json.loads(line)
        for spans_of_resource in document["resourceSpans"]:
            for scope in spans_of_resource["scopeSpans"]:
                for span in scope["spans"]:
                    for part in [span, *span.get("links", ())]:
                        # OTLP has ids in hexadecimal where protobuf's JSON has base64.
                        for name in ("traceId", "spanId", "parentSpanId"):
                            if name in part:
                                raw = bytes.fromhex(part[name])
                                part[name] = base64.b64encode(raw).decode()
        traces = json_format.ParseDict(document, TracesData())
        for group in traces.resource_spans:
            about = attributes(group.resource.attributes)
            spans += [(about, s) for scope in group.scope_spans for s in scope.spans]
    return spans


def attributes(pairs: Any) -> dict[str, Any]:
    return {p.key: getattr(p.value, p.value.WhichOneof("value")) for p in pairs}


def test_opentelemetry_has_a_span_for_each_attempt(pictured: Recording, export) -> None:
    log = Log(pictured.log)
    told = expected(log)
    data = export(pictured.log, "otlp-json")
    assert data == export(pictured.log, "otlp-json")
    spans = spans_of(data)
    ids = {span.span_id for _, span in spans}
    assert len(ids) == len(spans) and b"\0" * 8 not in ids
    assert len({span.trace_id for _, span in spans}) == 1
    (root,) = [span for _, span in spans if not span.parent_span_id]
    kinds = Counter(span.kind for _, span in spans)
    assert kinds == Counter(
        {Span.SPAN_KIND_INTERNAL: 1, Span.SPAN_KIND_PRODUCER: told.graphs,
         Span.SPAN_KIND_CONSUMER: len(told.attempts)}
    ) + Counter()  # fmt: skip
    assert all(span.parent_span_id in ids for _, span in spans if span is not root)
    keys = Counter(
        attributes(span.attributes)["tasklog.key"]
        for _, span in spans
        if span.kind == Span.SPAN_KIND_CONSUMER
    )
    assert keys == Counter(shown(str(attempt.key)) for attempt in told.attempts)
    for about, span in spans:
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        if span.kind == Span.SPAN_KIND_CONSUMER:
            worker = attributes(span.attributes).get("tasklog.worker")
            assert worker is None or about["server.address"] == worker
    died = "killed-scheduler" in pictured.folder.name
    assert (root.status.code == Status.STATUS_CODE_ERROR) == died
    finished = Counter(attempt.finish for attempt in told.attempts)
    outcomes = Counter(
        attributes(span.attributes).get("tasklog.outcome")
        for _, span in spans
        if span.kind == Span.SPAN_KIND_CONSUMER
    )
    assert outcomes == Counter({name or "unfinished": count for name, count in finished.items()})


def test_opentelemetry_links_to_what_was_needed_and_tells_exceptions(
    pictured: Recording, export
) -> None:
    told = expected(Log(pictured.log))
    spans = spans_of(export(pictured.log, "otlp-json"))
    by_id = {span.span_id: span for _, span in spans}
    linked = set()
    for _, span in spans:
        about = attributes(span.attributes)
        for link in span.links:
            needed = attributes(by_id[link.span_id].attributes)
            assert needed["tasklog.outcome"] == "memory"
            linked.add((needed["tasklog.key"], about["tasklog.key"]))
        exceptions = [event for event in span.events if event.name == "exception"]
        if about.get("tasklog.outcome") == "erred":
            assert span.status.code == Status.STATUS_CODE_ERROR and span.status.message
            # There is no text from a worker that was killed.
            if not about["tasklog.key"].startswith("deadly"):
                (exception,) = exceptions
                assert "exception.message" in attributes(exception.attributes)
        elif about.get("tasklog.outcome") == "memory":
            assert span.status.code == Status.STATUS_CODE_OK and not exceptions
    memory = {attempt.key for attempt in told.attempts if attempt.finish == "memory"}
    tried = {attempt.key for attempt in told.attempts}
    assert linked == {
        (shown(str(a)), shown(str(b))) for a, b in told.edges if a in memory and b in tried
    }


# Dask


def lines(data: bytes) -> list[dict]:
    return [json.loads(line) for line in data.splitlines()]


def plain(value: Any) -> Any:
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    return value


def text_or_number(key: Any) -> Any:
    return shown(key) if isinstance(key, str) else str(key) if isinstance(key, tuple) else key


def streams(recording: Recording) -> tuple[list[dict], dict | None]:
    """The records of `TaskStreamPlugin`, and its rectangles if it lived to draw them."""
    (path,) = recording.folder.glob("stream-*")
    rows = beside.read(path)
    drawn = [row[1] for row in rows if row[0] == "rectangles"]
    return [row[1] for row in rows if row[0] == "record"], drawn[0] if drawn else None


def test_dask_gives_the_records_that_its_own_plugin_kept(of_dask: Recording, export) -> None:
    records, _ = streams(of_dask)
    ours = lines(export(of_dask.log, "dask"))
    for record in ours:
        record.pop("exception", None)
        record.pop("traceback", None)
    theirs = [plain(dict(record, key=text_or_number(record["key"]))) for record in records]
    assert len(theirs) > 10
    if "killed-scheduler" in of_dask.folder.name:
        # The recorder is first: it may have one more than the plugin after it had written.
        ours = ours[: len(theirs)]
    assert ours == theirs


def test_dask_draws_the_rectangles_that_its_own_plugin_drew(of_dask: Recording, export) -> None:
    records, theirs = streams(of_dask)
    if theirs is None:
        # It was killed before, or stopped by a lone surrogate.
        theirs = rectangles([dict(r, key=shown_if_text(r["key"])) for r in records])
    ours = lines(export(of_dask.log, "dask", "--rectangles"))[: len(theirs["start"])]
    theirs["key"] = [shown(str(key)) for key in theirs["key"]]
    assert {name: [row[name] for row in ours] for name in theirs} == theirs
    # Dask draws the same of exported records.
    again = rectangles(lines(export(of_dask.log, "dask")))
    again["key"] = [str(key) for key in again["key"]]
    length = len(theirs["start"])
    assert {name: column[:length] for name, column in again.items()} == theirs


# Events


csv.field_size_limit(2**31)
COLUMNS = """
    run seq time time_ns source server_id source_seq hook key key_typed prefix key_group start
    finish stimulus worker task_run args snapshot raw_time_ns life
""".split()


@pytest.mark.parametrize("name", [*PICTURED, "sample"])
def test_every_event_is_there_with_all_its_facts(
    name: str, request: pytest.FixtureRequest, export
) -> None:
    path = SAMPLE if name == "sample" else request.getfixturevalue(name).log
    log = Log(path)
    rows = log.rows(
        f"SELECT {', '.join(COLUMNS)}, (SELECT uuid FROM runs WHERE run = events.run)"
        " FROM events ORDER BY run, seq"
    )
    exported = lines(export(path, "jsonl", "--run", "all"))
    assert len(exported) == len(rows) > 50
    for event, row in zip(exported, rows, strict=True):
        known = dict(zip(COLUMNS, row, strict=False), run_id=row[-1])
        known["key_typed"] = known["key_typed"] or None
        for json_column in ("args", "snapshot"):
            if known[json_column] is not None:
                known[json_column] = json.loads(known[json_column])
        if event["hook"] == "heartbeat":
            # Packed in the file; a separate test covers their content.
            assert isinstance(event["args"], dict)
            known["args"] = event["args"]
        assert event == known
    text = export(path, "csv", "--run", "all").decode()
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(table) == len(rows)
    for event, fields in zip(exported, table, strict=True):
        assert list(fields) == list(event)
        for column in ("seq", "time_ns", "server_id", "hook", "finish", "task_run"):
            assert fields[column] == ("" if event[column] is None else str(event[column]))


def test_hostile_keys_stay_text(hostile: Recording, export) -> None:
    keys = {shown(key) for key in HOSTILE}
    for to in ("chrome", "jsonl", "csv", "otlp-json", "dask"):
        text = export(hostile.log, to).decode()
        for line_end in ("\r\n", "\n"):
            text = text.replace(line_end, "")
        controls = {c for c in text if (ord(c) < 32 and c not in "\r\t") or c in "\x7f\x9b\u202e"}
        assert not controls, to
    assert keys <= {record["key"] for record in lines(export(hostile.log, "dask"))}
    assert keys <= {event["key"] for event in lines(export(hostile.log, "jsonl"))}
    events = json.loads(export(hostile.log, "chrome"))["traceEvents"]
    assert keys <= {event["args"].get("key") for event in events if "args" in event}
    fields = csv.DictReader(io.StringIO(export(hostile.log, "csv").decode(), newline=""))
    assert {"=cmd()|'/C calc'!A0", "new\nline\rand\ttab"} <= {row["key"] for row in fields}


def test_the_same_log_gives_the_same_bytes_in_file_and_pipe(in_process: Recording, tasklog) -> None:
    for to in FORMATS:
        outputs = {
            subprocess.run(
                [tasklog.program, "export", "--to", to, "--log", in_process.log, *arguments],
                capture_output=True, check=True,
            ).stdout
            for arguments in ([], ["-o", "-"], ["-o", "/dev/stdout"])
        }  # fmt: skip
        assert len(outputs) == 1 and len(outputs.pop()) > 1000


def test_several_logs_come_one_after_the_other(
    in_process: Recording, hostile: Recording, export
) -> None:
    more = ["--log", str(hostile.log)]
    first, second = (expected(Log(r.log)) for r in (in_process, hostile))
    exported = lines(export(in_process.log, "jsonl", *more))
    assert {event["log"] for event in exported} == {str(in_process.log), str(hostile.log)}
    spans = spans_of(export(in_process.log, "otlp-json", *more))
    assert len({span.trace_id for _, span in spans}) == 2
    assert len(spans) == 2 + sum(len(e.attempts) + e.graphs for e in (first, second))
    picture = Picture(export(in_process.log, "perfetto", *more))
    pids = [t.descriptor.process.pid for t in picture.tracks.values()]
    assert len([pid for pid in pids if pid]) == 1 + 2 + 1 + 1


# Files


def test_a_file_that_cannot_be_finished_leaves_the_old_one(
    in_process: Recording, tasklog, tmp_path: Path
) -> None:
    file = tmp_path / "out"
    file.write_text("old")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = subprocess.run(
        [tasklog.program, "export", "--to", "jsonl", "--log", in_process.log, "-o", file],
        capture_output=True, text=True, preexec_fn=limit,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"tasklog: {file}: cannot be written: File too large; name another file\n"
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--to", "pdf"], 64, "perfetto"),
        (["--to", "csv", "--rectangles"], 64, "--rectangles requires --to dask"),
        (["--to", "csv", "-o", "nowhere/out"], 1, "nowhere/out: cannot be written"),
        (["--to", "csv", "-o", "."], 1, ".: is a folder; name a file"),
        (["--to", "csv", "-o", "/dev/full"], 1, "/dev/full: cannot be written: No space"),
        (["--to", "csv", "-o", "LOG"], 64, "is the log itself; name another file"),
        (["--to", "csv", "--run", "#9"], 1, "has no run '#9'"),
        ([], 64, "--to"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str], code: int, words: str, in_process: Recording, tasklog
) -> None:
    arguments = [str(in_process.log) if word == "LOG" else word for word in arguments]
    before = Path(in_process.log).read_bytes()
    told = tasklog(in_process.log, "export", *arguments, code=code)
    assert words in told and told.count("\n") == 1
    assert Path(in_process.log).read_bytes() == before


def test_what_is_missing_is_told(tasklog, tmp_path: Path) -> None:
    told = tasklog(SAMPLE, "export", "--to", "dask", "--rectangles", "-o", str(tmp_path / "out"))
    assert "2 ends of tasks have no thread" in told
    assert "3 events are missing in the log" in told
    assert "run #2 died" in told
