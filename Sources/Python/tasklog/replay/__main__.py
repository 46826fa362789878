"""``python -m tasklog.replay 3``: events on standard input, answers on descriptor 3."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any


def main(descriptor: int) -> None:
    """Replays what comes on standard input; what plugins read and print is not in its way."""
    from tasklog.replay import frames
    from tasklog.replay.host import Host
    from tasklog.replay.limits import ReplayError
    from tasklog.replay.loading import LoadingError

    events = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    _survive_the_first_interrupt()
    answers = frames.Answers(descriptor)
    try:
        asyncio.run(Host(answers).run(frames.Frames(events)))
    except (LoadingError, ReplayError) as error:
        answers.send(frames.ERROR, str(error))
        _end(1)
    except BrokenPipeError:
        # The command is gone.
        _end(1)
    # What plugins have started must not keep the command waiting.
    _end(0)


def _end(code: int) -> None:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _survive_the_first_interrupt() -> None:
    """Ctrl-C is for the command, which then sends the end; a second one is for everybody."""

    def interrupted(*_: Any) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    signal.signal(signal.SIGINT, interrupted)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        sys.exit("tasklog.replay is started by 'tasklog replay --plugin module:Class'")
    main(int(sys.argv[1]))
