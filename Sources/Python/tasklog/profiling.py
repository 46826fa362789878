"""Records the statistical profile that Dask takes of a worker's tasks.

Dask looks at the stack of each thread every 10 ms, adds it to a tree for the prefix of its task,
and keeps the last trees, 1000 by default, each of a second, in memory. They are merged here now and
then, and recorded every few minutes: one event for each prefix.

This module is sent to workers by value: it imports nothing of this package.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

#: Seconds between two recordings, if the option does not say.
DEFAULT_SECONDS = 120.0
#: Seconds between two looks at what Dask keeps, which makes each of them short.
_LOOK_SECONDS = 10.0
#: The most functions and their callers in one event; the samples of others count for their callers.
MOST_NODES = 2000
#: The most prefixes in one recording; the others are one.
MOST_PREFIXES = 200


class Tree:
    """Samples of stacks, from the outermost function on.

    A function is known by its name, its file and the line where it begins.
    """

    def __init__(self) -> None:
        self.samples = 0
        #: Functions that were not added.
        self.omitted = 0
        self._frames: dict[Any, int] = {}
        self._frame_list: list[list[Any]] = []
        #: By the index of the caller, -1 for none, and that of the function.
        self._nodes: dict[tuple[int, int], int] = {}
        self._node_list: list[list[int]] = []

    def add(self, state: dict[str, Any]) -> None:
        """Adds what `distributed.profile` has counted."""
        self.samples += state["count"]
        stack = [(-1, child) for child in state["children"].values()]
        while stack:
            caller, child = stack.pop()
            node = self._node(caller, child)
            if node is None:
                self.omitted += 1
                continue
            self._node_list[node][2] += child["count"]
            stack += [(node, each) for each in child["children"].values()]

    def _node(self, caller: int, child: dict[str, Any]) -> int | None:
        function = child["identifier"]
        frame = self._frames.get(function)
        place = None if frame is None else self._nodes.get((caller, frame))
        if place is not None:
            return place
        if len(self._node_list) >= MOST_NODES:
            return None
        if frame is None:
            frame = self._frames[function] = len(self._frame_list)
            about = child["description"]
            text = str(function).rpartition(";")[2]
            line = int(text) if text.isdecimal() else about["line_number"]
            self._frame_list.append([about["name"], about["filename"], line])
        place = self._nodes[caller, frame] = len(self._node_list)
        self._node_list.append([caller, frame, 0])
        return place

    def described(self) -> dict[str, Any]:
        """Functions; and, flat, the index of the caller, that of the function, and its samples."""
        nodes = [number for node in self._node_list for number in node]
        told: dict[str, Any] = {
            "samples": self.samples, "frames": self._frame_list, "nodes": nodes
        }  # fmt: skip
        if self.omitted:
            told["omitted"] = self.omitted
        return told


class ProfileWatch:
    """Reads the profile of one worker.

    put:
        Records the args of an event.
    """

    def __init__(self, worker: Any, seconds: float, put: Callable[[dict[str, Any]], None]) -> None:
        self._worker = worker
        self._seconds = seconds
        self._put = put
        self._loop = asyncio.get_running_loop()
        self._trees: dict[str | None, Tree] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._start = self._looked = self._now()

    def install(self) -> None:
        callback = self._worker.periodic_callbacks.get("profile")
        self._interval = None if callback is None else callback.callback_time / 1000
        # What was before is of another recording.
        self._schedule()

    def _now(self) -> float:
        # Dask's histories have the scheduler's time.
        return time.time() + float(getattr(self._worker, "scheduler_delay", 0) or 0)

    def _schedule(self) -> None:
        self._timer = self._loop.call_later(min(_LOOK_SECONDS, self._seconds), self._tick)

    def _tick(self) -> None:
        self._schedule()
        self._look()
        if self._now() - self._start >= self._seconds:
            self.record()

    def _look(self) -> None:
        fresh = []
        for at, trees in reversed(self._worker.profile_keys_history):
            if at <= self._looked:
                break
            fresh.append((at, trees))
        for _, trees in reversed(fresh):
            self._add(trees)
        if fresh:
            self._looked = fresh[0][0]

    def _add(self, trees: dict[str, Any]) -> None:
        for prefix, state in trees.items():
            if not state["count"]:
                continue
            name: str | None = prefix
            if name not in self._trees and len(self._trees) >= MOST_PREFIXES:
                name = None
            tree = self._trees.get(name)
            if tree is None:
                tree = self._trees[name] = Tree()
            tree.add(state)

    def record(self) -> None:
        """Records what was collected; without a sample, that there was none."""
        start, self._start = self._start, self._now()
        trees, self._trees = self._trees, {}
        about = {"start": start, "stop": self._start, "interval": self._interval}
        for prefix, tree in (trees or {None: Tree()}).items():
            self._put({"prefix": prefix, **about, **tree.described()})

    def end(self) -> None:
        """Records the rest."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._look()
        # What Dask has not put into its history yet.
        self._add(dict(self._worker.profile_keys))
        self.record()
