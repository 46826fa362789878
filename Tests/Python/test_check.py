"""Recordings of real clusters have no findings."""

from __future__ import annotations

import json
from collections.abc import Callable

from clusters import Recording


def test_a_check_of_every_recording_finds_no_error(
    recording: Recording, tasklog: Callable[..., str]
) -> None:
    printed = tasklog(recording.log, "check", "--format", "jsonl")
    findings = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert [f for f in findings if f["severity"] == "error"] == []
