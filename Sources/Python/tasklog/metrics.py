"""How recorders are doing, in the scheduler's own ``/metrics`` for Prometheus."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from tasklog import ending

#: The metrics by their names: the field of the recorder's status, its unit's factor, and the help.
_GAUGES = {
    "tasklog_lag_seconds": ("lag", 1e-9, "How long events have been waiting to be in the log"),
    "tasklog_last_commit_timestamp_seconds": (
        "committed",
        1e-9,
        "When the log was written last, in seconds since 1970",
    ),
    "tasklog_spool_bytes": ("spool_bytes", 1, "Size of the recorder's spool"),
    "tasklog_spool_limit_bytes": (
        "spool_limit",
        1,
        "Size of the spool at which events are dropped",
    ),
    "tasklog_last_delivery_timestamp_seconds": (
        "delivered",
        1e-9,
        "When the last delivered copy of the log was made, in seconds since 1970",
    ),
    "tasklog_delivery_failing": (
        "delivery_failing_since",
        None,
        "1 if the last copy of the log could not be delivered",
    ),
}
_COUNTERS = {
    "tasklog_events": ("events", "Events that were recorded, of scheduler and workers"),
    "tasklog_dropped_events": (
        "lost",
        "Events that were not recorded, for lack of room or by fault",
    ),
    "tasklog_delivered_copies": ("copies", "Copies of the log that were delivered"),
    "tasklog_delivery_failures": ("delivery_failures", "Copies that could not be delivered"),
}


class _Collector:
    """Gives `prometheus_client` the metrics of all recorders of this process."""

    def describe(self) -> list[Any]:
        # Nothing is recorded yet when it is registered.
        return []

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        found = list(_statuses())
        if not found:
            return
        for name, (field, factor, text) in _GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=["run"])
            for run, status in found:
                value = status.get(field)
                if factor is None:
                    gauge.add_metric([run], 0 if value is None else 1)
                elif value is not None:
                    gauge.add_metric([run], value * factor)
            yield gauge
        for name, (field, text) in _COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=["run"])
            for run, status in found:
                counter.add_metric([run], status[field])
            yield counter


def _statuses() -> Iterator[tuple[str, dict[str, Any]]]:
    for recorder in list(ending.open_recorders):
        status = recorder.status()
        if status is not None:
            yield recorder.run, status


_collector: _Collector | None = None


def register() -> None:
    """Adds the metrics to those that Dask's schedulers serve, if they serve any."""
    global _collector
    client = sys.modules.get("prometheus_client")
    if _collector is not None or client is None:
        return
    _collector = _Collector()
    client.REGISTRY.register(_collector)
