"""Recording from code: ``with tasklog.record("run.db") as run:``."""

from __future__ import annotations

import asyncio
import contextlib
import os
import warnings
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from tasklog.calling import Caller
from tasklog.fetching import Fetcher, FetchError
from tasklog.options import Options
from tasklog.reading import Log, LogError, Run, RunInfo
from tasklog.reading import open as open_log
from tasklog.recorder import Recorder, RecordingError
from tasklog.serving import HANDLER

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")

#: Seconds that the scheduler may take to answer, beyond the time to end a recording.
ANSWER_SECONDS = 60.0


class RecordingWarning(UserWarning):
    """A recording has not ended as it should."""


@dataclass(frozen=True)
class Status:
    """How a recording stands.

    Attributes
    ----------
    run : str
        The id of the run.
    recording : bool
        Whether the run is still recorded.
    host : str
        The host of the scheduler.
    log : str
        The log there; with ``{run}`` one file for each run.
    fetched : str or None
        The log here if it was fetched from there, else None.
    events : int
        The number of events that were recorded.
    waiting : int
        The number of those that are in the spool and not yet in the log.
    lag : float
        How far the log is behind the cluster, in seconds.
    spool_bytes : int
        What the spool occupies on the disk, in bytes.
    dropped : int
        The number of events that were lost, which are gaps in the log.
    """

    run: str
    recording: bool
    host: str
    log: str
    fetched: str | None
    events: int
    waiting: int
    lag: float
    spool_bytes: int
    dropped: int


def record(
    log: str | os.PathLike[str] = "tasklog.db",
    *,
    client: Client | None = None,
    labels: Mapping[str, str | int | float] | None = None,
    command_line: bool = False,
    scheduler_log: str | None = None,
    **options: Any,
) -> Recording:
    """Record a cluster while a block of code runs.

    Parameters
    ----------
    log : str or path
        The log, in this process's file system. ``{run}`` in its name is the id of the run.
    client : distributed.Client, optional
        The client of the cluster; by default the current one.
    labels : dict, optional
        Labels of the run: text or numbers by name.
    command_line : bool
        Whether the run has the command line of this process. Values of arguments whose names match
        the option ``redact`` are redacted.
    scheduler_log : str, optional
        Where the scheduler writes the log if it runs on another machine. By default a file in its
        folder for temporary files, which is removed when it has been fetched.
    **options
        The options of `tasklog.Recorder`, and its arguments ``verify`` and ``every``.

    Returns
    -------
    Recording
        A context manager, for ``with`` and ``async with``; after the block it reads the log.

    Raises
    ------
    RecordingError
        On entering the block, if nothing can be recorded.

    Examples
    --------
    >>> with tasklog.record("run.db", labels={"pipeline": "etl"}) as run:  # doctest: +SKIP
    ...     client.submit(sum, [1, 2]).result()
    >>> run.tasks().df()  # doctest: +SKIP
    """
    return Recording(
        _Session(
            log,
            client=client,
            labels=labels,
            command_line=command_line,
            scheduler_log=scheduler_log,
            **options,
        )
    )


class _Session:
    """A recording as its client sees it; the coroutines run on the client's loop."""

    def __init__(
        self,
        log: str | os.PathLike[str],
        *,
        client: Client | None = None,
        labels: Mapping[str, str | int | float] | None = None,
        command_line: bool = False,
        scheduler_log: str | None = None,
        verify: Any = (),
        every: int = 1000,
        **options: Any,
    ) -> None:
        path = os.fspath(log)
        if not isinstance(path, str) or not path:
            raise RecordingError(f"nothing is recorded: expected the path of a log, not {log!r}")
        self._log = os.path.abspath(os.path.expanduser(path))
        self.client = client
        self._command_line = command_line
        self._scheduler_log = scheduler_log
        self._verify, self._every = verify, every
        self._options = dict(options, labels=None if labels is None else dict(labels))
        try:
            Options.check({**self._options, "log": path})
        except ValueError as error:
            raise RecordingError(f"nothing is recorded: {error}") from None
        self._fetcher = Fetcher(self._log)
        self._caller: Caller | None = None
        self._status: dict[str, Any] = {}
        self._fetched: list[str] = []
        #: A connection that is kept for several requests.
        self._scheduler: Any = None
        self.is_over = False
        self._is_used = False

    @property
    def id(self) -> str:
        if not self._status:
            raise RecordingError("nothing is recorded yet; use it in a with statement")
        run: str = self._status["run"]
        return run

    @property
    def requested(self) -> str:
        """The log as it was named."""
        return self._log

    @property
    def state(self) -> str:
        if not self._status:
            return "not begun"
        return "recording" if self._status["recording"] and not self.is_over else "ended"

    @property
    def readable(self) -> str:
        """The name of the log for readers; of a rotated run, with all its segments."""
        log = self.log
        name = os.path.basename(self._status["log"])
        # The segments of a run keep their names.
        return str(log.parent / name) if "{run}" in name else str(log)

    @property
    def log(self) -> Path:
        id = self.id
        if self._fetched:
            return Path(self._fetched[0])
        if self._status["shared"]:
            return Path(self._status["segments"][0])
        raise RecordingError(
            f"the log of run {id} is {self._status['log']} on host {self._status['host']} and has "
            "not been fetched; call fetch(), or copy it from there"
        )

    def use(self, client: Client | None) -> None:
        """Takes a client; a recording is made once.

        Raises `RecordingError` if it has been made.
        """
        if self._is_used:
            raise RecordingError(
                "nothing is recorded: this recording has been entered before; call "
                "tasklog.record() for each"
            )
        self.client = _current_client(client)

    async def begin(self) -> None:
        self._is_used = True
        client = self.client
        if client is None or client.scheduler is None:
            raise RecordingError(
                f"nothing is recorded: {client!r} is no client that is connected to a scheduler"
            )
        try:
            self._fetcher.check()
        except FetchError as error:
            raise RecordingError(f"nothing is recorded: {error}") from None
        self._address = client.scheduler.address
        self._connection_args = client.connection_args
        self._caller = await asyncio.to_thread(
            Caller.here, self._log, self._scheduler_log, self._command_line
        )
        recorder = Recorder(self._log, self._verify, self._every, **self._options)
        recorder.caller = self._caller
        try:
            registering: Any = client.register_plugin(recorder)
            await registering
        except RecordingError:
            raise
        except ModuleNotFoundError as error:
            raise RecordingError(
                f"nothing is recorded: the scheduler has no module {error.name}; install tasklog "
                "where the scheduler runs"
            ) from error
        except Exception as error:
            raise RecordingError(f"nothing is recorded: {error}") from error
        self._status = await self._request("status")

    def _connect(self) -> Any:
        from distributed.core import rpc

        # Not through the client, which may be closed.
        return rpc(self._address, connection_args=self._connection_args)

    async def _request(self, action: str, **arguments: Any) -> dict[str, Any]:
        caller = self._caller
        assert caller is not None
        kept = self._scheduler
        scheduler = kept or self._connect()
        try:
            sent = getattr(scheduler, HANDLER)(action=action, token=caller.token, **arguments)
            seconds = ANSWER_SECONDS
            if action in ("copy", "end", "flush"):
                seconds *= 10
            answer = await asyncio.wait_for(sent, seconds)
        except Exception as error:
            raise RecordingError(
                f"the scheduler {self._address} does not answer: {error!r}"
            ) from error
        finally:
            if kept is None:
                await scheduler.close_rpc()
        if not isinstance(answer, dict) or "error" in answer:
            why = answer.get("error") if isinstance(answer, dict) else repr(answer)
            raise RecordingError(f"the scheduler answers: {why}")
        return dict(answer)

    async def ask_status(self) -> Status:
        if not self.is_over:
            self._status = await self._request("status")
        return self._last_status()

    def _last_status(self) -> Status:
        id = self.id
        known = self._status
        return Status(
            run=id,
            recording=known["recording"],
            host=known["host"],
            log=known["log"],
            fetched=self._fetched[0] if self._fetched else None,
            events=known.get("events", 0),
            waiting=known.get("waiting", 0),
            lag=known.get("lag", 0.0),
            spool_bytes=known.get("spool_bytes", 0),
            dropped=known.get("dropped", 0),
        )

    async def fetch(self, remove: bool = False) -> Path:
        if self.is_over:
            return self.log
        if self._status["shared"]:
            self._status = await self._request("flush")
            return self.log
        self._scheduler = self._connect()
        try:
            return await self._fetch_from_there(remove)
        finally:
            scheduler, self._scheduler = self._scheduler, None
            await scheduler.close_rpc()

    async def _fetch_from_there(self, remove: bool) -> Path:
        answer = await self._request("copy")
        files = answer.pop("files")
        self._status = answer
        try:
            self._fetched = await self._fetcher.fetch(self._request, files)
        except OSError as error:
            raise RecordingError(f"the log was not fetched: {error}") from error
        except FetchError as error:
            raise RecordingError(str(error)) from None
        finally:
            await self._drop([file["copy"] for file in files])
        if remove:
            await self._request("drop", remove=True)
        return self.log

    async def _drop(self, copies: list[str]) -> None:
        # The scheduler closes them after a while if it cannot be told.
        with contextlib.suppress(RecordingError):
            for copy in copies:
                await self._request("drop", copy=copy)

    async def end(self) -> None:
        """Ends the recording, unless it was another one's, and fetches the log."""
        try:
            if self._has_ended_here():
                self._status["recording"] = False
                return
            ended = await self._end_there()
            if ended is None:
                self._status["recording"] = False
                return
            self._status = ended
            if not self._status["shared"]:
                await self.fetch(remove=True)
        finally:
            self.is_over = True

    async def _end_there(self) -> dict[str, Any] | None:
        """Asks the scheduler; None if it is being closed and its recorder has ended meanwhile."""
        request = asyncio.ensure_future(self._request("end"))
        try:
            while not request.done():
                await asyncio.wait([request], timeout=1)
                if not request.done() and self._has_ended_here():
                    # A scheduler that is there has an answer by now.
                    await asyncio.wait([request], timeout=1)
                    return request.result() if request.done() else None
            return await request
        finally:
            request.cancel()

    def _has_ended_here(self) -> bool:
        """Whether the recorder has ended, with its scheduler: it leaves the log without a spool."""
        known = self._status
        return known["shared"] and not any(
            os.path.exists(f"{log}.spool/{known['run']}") for log in known["segments"]
        )

    def run(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Runs a coroutine on the client's loop, or on a new one if the client is closed."""
        client = self.client
        if client is None:
            raise RecordingError("nothing is recorded yet; use it in a with statement")
        if client.status in ("running", "connecting"):
            result: T = client.sync(function)
            return result
        return _run_in_thread(function)

    async def run_async(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The same from a coroutine, on whatever loop it runs."""
        client = self.client
        if client is None:
            raise RecordingError("nothing is recorded yet; use it in a with statement")
        if client.asynchronous or client.status not in ("running", "connecting"):
            return await function()
        loop: asyncio.AbstractEventLoop = client.loop.asyncio_loop  # type: ignore[union-attr]
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(function(), loop))

    def warn(self, error: Exception) -> None:
        known = self._status
        if known["shared"]:
            what = f"the recording has not ended as it should; the log is {self.log}"
        else:
            where = f"{known['log']} on host {known['host']}"
            what = f"the log was not fetched at the end; it is {where}"
        words = str(error) or repr(error)
        # At the line with the `with` statement.
        warnings.warn(f"tasklog: {what}: {words}", RecordingWarning, stacklevel=3)


def _current_client(client: Client | None) -> Client:
    import distributed

    if client is not None:
        if not isinstance(client, distributed.Client):
            raise RecordingError(f"nothing is recorded: {client!r} is no distributed.Client")
        return client
    try:
        return distributed.get_client()
    except ValueError:
        raise RecordingError(
            "nothing is recorded: there is no client; create a distributed.Client first, or pass "
            "it as client="
        ) from None


class _Handle(Run):
    """A recording, and the run that it has made: whatever is read of a run can be read of it."""

    def __init__(self, session: _Session) -> None:
        self._session = session
        self._reader: Log | None = None

    @property
    def id(self) -> str:
        """The id of the run."""
        return self._session.id

    @property
    def path(self) -> Path:
        """The log to read: the file that the scheduler writes, or the one that was fetched.

        Raises
        ------
        RecordingError
            If the log is on another machine and has not been fetched yet.
        """
        return self._session.log

    @property
    def log(self) -> Log:  # type: ignore[override]
        """The log that the run is in, open for reading."""
        if self._reader is None:
            reader = open_log(self._session.readable)
            if not self._session.is_over:
                return reader
            self._reader = reader
        return self._reader

    @property
    def info(self) -> RunInfo:  # type: ignore[override]
        """What the log says about the run."""
        return self.log.run(self.id).info

    def __repr__(self) -> str:
        session = self._session
        if session.is_over:
            with contextlib.suppress(LogError, RecordingError):
                return super().__repr__()
        return f"<tasklog.Recording to {session.requested}: {session.state}>"

    def _repr_html_(self) -> str | None:
        # Without a log to read, a notebook shows the text.
        if not self._session.is_over:
            return None
        with contextlib.suppress(LogError, RecordingError):
            return super()._repr_html_()
        return None


class AsyncRecording(_Handle):
    """A recording within ``async with tasklog.record(...)``."""

    async def status(self) -> Status:
        """How the recording stands; see `Recording.status`."""
        return await self._session.run_async(self._session.ask_status)

    async def fetch(self) -> Path:
        """Fetch the log as it is now; see `Recording.fetch`."""
        return await self._session.run_async(self._session.fetch)


class Recording(_Handle):
    """A recording of a cluster, made by `tasklog.record`."""

    def __enter__(self) -> Recording:
        session = self._session
        session.use(session.client)
        if session.client is not None and session.client.asynchronous:
            raise RecordingError(
                "nothing is recorded: the client is asynchronous; write 'async with'"
            )
        session.run(session.begin)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What the block has computed is not lost for a recording.
        try:
            self._session.run(self._session.end)
        except Exception as problem:
            self._session.warn(problem)

    async def __aenter__(self) -> AsyncRecording:
        session = self._session
        session.use(session.client)
        await session.run_async(session.begin)
        return AsyncRecording(session)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._session.run_async(self._session.end)
        except Exception as problem:
            self._session.warn(problem)

    def status(self) -> Status:
        """How the recording stands: where the log is, how far it is behind, what was dropped.

        Returns
        -------
        Status
            After the block the last one.

        Raises
        ------
        RecordingError
            If the scheduler does not answer.
        """
        return self._session.run(self._session.ask_status)

    def fetch(self) -> Path:
        """Fetch the log as it is now, while the recording continues.

        The log is whole and consistent: it is what it was at one moment. The run has no end in it:
        readers show it as one that is running, as of then. If the scheduler runs on this machine,
        nothing is copied.

        Returns
        -------
        pathlib.Path
            The log that can be read here.

        Raises
        ------
        RecordingError
            If it cannot be fetched. The file is then as it was.
        """
        return self._session.run(self._session.fetch)


def _run_in_thread(function: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Runs a coroutine on a new loop, also where a loop runs already."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(lambda: asyncio.run(function())).result()
