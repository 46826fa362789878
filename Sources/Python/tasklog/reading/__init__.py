"""Reads logs: tables, SQL, analyses. Needs neither Dask nor any other package."""

from __future__ import annotations

from tasklog.reading.args import Args
from tasklog.reading.errors import LogError, LogWarning
from tasklog.reading.log import Log, RunInfo
from tasklog.reading.log import open_log as open
from tasklog.reading.remote import RebuiltScheduler, RemoteObject
from tasklog.reading.replaying import RebuiltObject
from tasklog.reading.run import Errors, Report, Run
from tasklog.reading.runs import Replayed, Runs
from tasklog.reading.table import Table

__all__ = [
    "Args", "Errors", "Log", "LogError", "LogWarning", "RebuiltObject", "RebuiltScheduler",
    "RemoteObject", "Replayed", "Report", "Run", "RunInfo", "Runs", "Table", "open",
]  # fmt: skip
