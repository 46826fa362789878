"""The library with its C ABI returns a result for any arguments."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import msgpack
import pytest

from log import Log
from tasklog import library
from tasklog.library import LibraryError, NativeRecorder

HEADER = Path(__file__).resolve().parents[2] / "Sources" / "TaskLogC"


def event(key: str = "x", at: float = 1.5) -> bytes:
    return msgpack.packb([at, 13, key, 0, 1, "stimulus", None, None, None, None])


def run(script: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parent,
    )


def test_what_is_put_is_in_the_log(tmp_path: Path) -> None:
    recorder = NativeRecorder(str(tmp_path / "run.db"), {"engine": "test"})
    source = recorder.source("scheduler", "s", "tcp://s", "name")
    for number in range(1, 101):
        content = event(f"key-{number}", number + 0.25)
        assert recorder.put(recorder.handle, source, content, len(content)) == number
    assert recorder.flush(10)
    assert recorder.counters(source) == {"events": 100, "lost": 0}
    recorder.close()
    log = Log(tmp_path / "run.db")
    events = list(log.events("s"))
    assert [e.key for e in events] == [f"key-{n}" for n in range(1, 101)]
    assert [e.time for e in events] == [n + 0.25 for n in range(1, 101)]
    assert log.rows("SELECT uuid, engine, end FROM run") == [(recorder.run, "test", "closed")]


def test_a_run_has_as_many_sources_as_workers_came(tmp_path: Path) -> None:
    count = 5000
    recorder = NativeRecorder(str(tmp_path / "run.db"), {})
    for number in range(count):
        source = recorder.source("worker", f"w-{number}", f"tcp://w:{number}")
        content = event(f"key-{number}")
        assert recorder.put(recorder.handle, source, content, len(content)) == 1
    recorder.close()
    log = Log(tmp_path / "run.db")
    assert log.one("SELECT count(DISTINCT source) FROM event") == count
    assert log.one("SELECT count(*) FROM gaps") == 0


def test_times_come_back_bit_for_bit(tmp_path: Path) -> None:
    recorder = NativeRecorder(str(tmp_path / "run.db"), {})
    source = recorder.source("scheduler", "s", "tcp://s")
    generator = random.Random(1)
    times = [generator.uniform(1.6e9, 2.1e9) for _ in range(500)]
    for at in times:
        content = event(at=at)
        recorder.put(recorder.handle, source, content, len(content))
    recorder.close()
    assert [e.time for e in Log(tmp_path / "run.db").events("s")] == times


def test_what_is_no_event_becomes_a_gap(tmp_path: Path) -> None:
    recorder = NativeRecorder(str(tmp_path / "run.db"), {})
    source = recorder.source("scheduler", "s", "tcp://s")
    good, bad = event(), b"\x9a" + b"\xc1" * 20
    for content in (good, bad, good):
        assert recorder.put(recorder.handle, source, content, len(content)) > 0
    recorder.gap(source, 5, "not looked at")
    assert recorder.put(recorder.handle, source, b"xyz", 3) < 0
    recorder.close()
    log = Log(tmp_path / "run.db")
    assert [e.number for e in log.events("s")] == [1, 3]
    assert [row[:2] for row in log.rows("SELECT source_seq, count FROM gap")] == [(2, 1), (4, 5)]


def test_records_that_come_twice_are_left_out(tmp_path: Path) -> None:
    from tasklog.spool import WorkerSpool

    recorder = NativeRecorder(str(tmp_path / "run.db"), {})
    spool = WorkerSpool(None, recorder.run, {"id": "w"})
    source = recorder.source("worker", "w", "tcp://w")
    batches = []
    for number in range(1, 31):
        fields = msgpack.unpackb(event(f"k{number}"))
        spool.put(msgpack.packb([spool.next_sequence, *fields]))
        if number % 10 == 0:
            segment, end, records = spool.batch()
            batches.append(records)
            spool.acknowledge(segment, end)
    first, second, third = batches
    assert recorder.put_records(source, first) == 10
    assert recorder.put_records(source, first + second) == 20
    assert recorder.put_records(source, second) == 20
    assert recorder.put_records(source, third) == 30
    recorder.close()
    assert [e.key for e in Log(tmp_path / "run.db").events("w")] == [f"k{n}" for n in range(1, 31)]


@pytest.mark.parametrize("seed", range(3))
def test_no_argument_makes_it_trap(tmp_path: Path, seed: int) -> None:
    """In a separate process: a trap would end it."""
    done = run(
        """
        import ctypes, random, sys
        from tasklog import library
        from tasklog.library import NativeRecorder
        generator = random.Random(int(sys.argv[2]))
        recorder = NativeRecorder(sys.argv[1], {})
        source = recorder.source("scheduler", "s", "tcp://s")
        lib = recorder._library
        texts = [None, b"", b"{}", b"[", b"nonsense", b"scheduler", b"worker", b"\\xff\\xfe",
                 b'{"spool_limit": -1}', b'{"unknown": 1}', b'{"engine": 5}', b"x" * 5000,
                 b'{"spool_limit": 1e300}', b'"text"', b"\\xed\\xb2\\x80"]
        numbers = [0, 1, -1, 2**31 - 1, -2**31, 2**63 - 1, -2**63, recorder.handle, 7]
        small = [n for n in numbers if -2**31 <= n < 2**31]
        def text(): return generator.choice(texts)
        def number(): return generator.choice(numbers)
        def junk():
            if generator.random() < 0.1: return None, generator.choice([0, 5, 2**63])
            content = generator.randbytes(generator.randrange(200))
            if generator.random() < 0.5: content = b"\\x9a" + content
            return content, generator.choice([len(content), 0, 2**64 - 1, 2**40])
        for _ in range(4000):
            which = generator.randrange(9)
            handle = generator.choice([recorder.handle, number()])
            if which == 0:
                answer = lib.tasklog_open(generator.choice([None, b"", b"/proc/none/x.db"]), text())
                assert answer < 0, answer
            elif which == 1: lib.tasklog_source(handle, text(), text(), text(), text())
            elif which == 2:
                content, length = junk()
                # A length beyond the bytes would be a lie about the memory.
                if content is not None and len(content) < length < 2**31: length = len(content)
                lib.tasklog_put(handle, generator.choice(small), content, length)
            elif which == 3:
                content, length = junk()
                if content is not None and len(content) < length < 2**31: length = len(content)
                lib.tasklog_put_records(handle, generator.choice(small), content, length)
            elif which == 4: lib.tasklog_gap(handle, generator.choice(small), number(), text())
            elif which == 5: lib.tasklog_flush(number() if handle != recorder.handle else handle,
                generator.choice([-1.0, 0.0, float("nan"), 0.01]))
            elif which == 6: lib.tasklog_counters(handle, generator.choice(small), None, 5)
            elif which == 7: lib.tasklog_run(handle, None, 0)
            elif which == 8 and handle != recorder.handle: lib.tasklog_close(handle)
            lib.tasklog_last_error(None, 0)
            assert isinstance(recorder.last_error(), str)
        last = lib.tasklog_source(recorder.handle, b"worker", b"after", b"tcp://after", None)
        import msgpack
        event = msgpack.packb([1.0, 13, "after", 0, 1, None, None, None, None, None])
        assert recorder.put(recorder.handle, last, event, len(event)) == 1
        recorder.close()
        assert lib.tasklog_close(recorder.handle) < 0
        """,
        str(tmp_path / "run.db"),
        str(seed),
    )
    assert done.returncode == 0, done.stderr
    assert [e.key for e in Log(tmp_path / "run.db").events("after")] == ["after"]


def test_errors_have_words(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="unknown option 'colour'"):
        NativeRecorder(str(tmp_path / "run.db"), {"colour": "red"})
    with pytest.raises(LibraryError, match="spool_limit"):
        NativeRecorder(str(tmp_path / "run.db"), {"spool_limit": -1})
    with pytest.raises(LibraryError, match="'publish_batch': expected a number from 1 to 100000"):
        NativeRecorder(str(tmp_path / "run.db"), {"publish_batch": 0})
    with pytest.raises(LibraryError, match="no-such-folder"):
        NativeRecorder(str(tmp_path / "no-such-folder" / "run.db"), {})
    recorder = NativeRecorder(str(tmp_path / "run.db"), {})
    with pytest.raises(LibraryError, match="'scheduler' or 'worker'"):
        recorder.source("client", "c", "tcp://c")
    recorder.close()


def test_the_child_of_a_fork_has_recorders_of_its_own(tmp_path: Path) -> None:
    done = run(
        """
        import os, sys, msgpack
        from tasklog.library import NativeRecorder
        event = msgpack.packb([1.0, 13, "x", 0, 1, None, None, None, None, None])
        parent = NativeRecorder(sys.argv[1], {"engine": "parent"})
        source = parent.source("scheduler", "parent", "tcp://p")
        assert parent.put(parent.handle, source, event, len(event)) == 1
        child = os.fork()
        if child == 0:
            assert parent.put(parent.handle, source, event, len(event)) < 0
            own = NativeRecorder(sys.argv[1], {"engine": "child"})
            theirs = own.source("scheduler", "child", "tcp://c")
            assert own.put(own.handle, theirs, event, len(event)) == 1
            own.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert parent.put(parent.handle, source, event, len(event)) == 2
        parent.close()
        """,
        str(tmp_path / "run.db"),
    )
    assert done.returncode == 0, done.stderr
    log = Log(tmp_path / "run.db")
    assert [e.number for e in log.events("parent")] == [1, 2]
    assert [e.number for e in log.events("child")] == [1]


def test_what_has_returned_survives_a_sigkill(tmp_path: Path, tasklog) -> None:
    script = """
        import os, sys, msgpack
        from tasklog.library import NativeRecorder
        recorder = NativeRecorder(sys.argv[1], {})
        source = recorder.source("scheduler", "s", "tcp://s")
        event = msgpack.packb([1.0, 13, "x" * 100, 0, 1, None, None, None, None, None])
        for number in range(1, 10**9):
            assert recorder.put(recorder.handle, source, event, len(event)) == number
            if number % 1000 == 0: os.write(1, b"%d\\n" % number)
        """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "run.db")],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 50_000:
            break
    process.send_signal(signal.SIGKILL)
    told = [int(line) for line in process.stdout.read().split()]
    process.wait()
    tasklog(tmp_path / "run.db", "recover")
    log = Log(tmp_path / "run.db")
    numbers = [e.number for e in log.events("s")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= max(told, default=50_000)
    assert log.rows("SELECT end FROM run") == [("died",)]


def test_a_c_program_can_record(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("clang")
    assert compiler, "there is no C compiler"
    program = tmp_path / "program.c"
    program.write_text(
        r"""
        #include <stdio.h>
        #include <string.h>
        #include "tasklog.h"
        int main(int count, char **arguments) {
          char text[256];
          if (tasklog_abi() != TASKLOG_ABI) return 1;
          if (tasklog_open(NULL, NULL) != TASKLOG_BAD_ARGUMENT) return 2;
          if (tasklog_last_error(text, sizeof text) == 0) return 3;
          int64_t recorder = tasklog_open(arguments[1], "{\"engine\": \"c\"}");
          if (recorder <= 0) return 4;
          int32_t source = tasklog_source(recorder, "scheduler", "s", "here", NULL);
          const char event[] = "\x9a\x01\x0d\xa1x\x00\x01\xc0\xc0\xc0\xc0\xc0";
          if (tasklog_put(recorder, source, event, sizeof event - 1) != 1) return 5;
          if (tasklog_gap(recorder, source, 2, "why not") != 0) return 6;
          if (tasklog_flush(recorder, 10) != 0) return 7;
          int64_t counters[2];
          if (tasklog_counters(recorder, source, counters, 2) != 2 || counters[0] != 3) return 8;
          if (tasklog_run(recorder, text, sizeof text) != 36 || strlen(text) != 36) return 9;
          if (tasklog_close(recorder) != 0) return 10;
          return tasklog_put(recorder, source, event, sizeof event - 1) < 0 ? 0 : 11;
        }
        """
    )
    built = tmp_path / "program"
    found = library.find()
    flags = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-I", str(HEADER)]
    subprocess.run(
        [compiler, *flags, str(program), str(found), f"-Wl,-rpath,{found.parent}", "-o", built],
        check=True,
    )
    done = subprocess.run([built, tmp_path / "run.db"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    log = Log(tmp_path / "run.db")
    assert [(e.key, e.start, e.finish) for e in log.events("s")] == [("x", "released", "waiting")]


def test_the_library_needs_no_swift_and_is_small() -> None:
    found = library.find()
    # With RabbitMQ it contains OpenSSL, too.
    limit = 19 if b"openssl.org" in found.read_bytes() else 14
    assert found.stat().st_size < limit << 20
    needed = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
    assert {line.split(".so")[0].strip() for line in needed.splitlines()} <= {
        *("libc", "libm", "libdl", "libpthread", "linux-vdso", "/lib64/ld-linux-x86-64"),
    }


def test_the_disabled_recorder_says_so(tmp_path: Path) -> None:
    os.environ["TASKLOG_DISABLED"] = "1"
    try:
        with pytest.raises(LibraryError, match="TASKLOG_DISABLED"):
            NativeRecorder(str(tmp_path / "run.db"), {})
    finally:
        del os.environ["TASKLOG_DISABLED"]
    assert ctypes is not None
    assert not (tmp_path / "run.db").exists()
