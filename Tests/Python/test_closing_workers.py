"""A closing scheduler waits for the workers that will ship events, and for no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from types import SimpleNamespace
from typing import Any

from tasklog.ending import ClosingWorkers

Answer = Callable[[], Awaitable[dict]]


async def ok() -> dict:
    return {"status": "OK"}


async def not_recorded() -> dict:
    return {"status": "not recorded"}


async def broken() -> dict:
    raise OSError("the connection broke")


async def never() -> dict:
    await asyncio.get_running_loop().create_future()
    raise AssertionError


def workers_that(seconds: float, **answers: Answer) -> ClosingWorkers:
    """Workers that have shipped before, by their addresses; ids have the prefix ``id-``."""

    def rpc(address: str) -> Any:
        return SimpleNamespace(tasklog_ship=answers[address])

    closing = ClosingWorkers(SimpleNamespace(rpc=rpc, workers=dict(answers)), seconds)
    for address in answers:
        closing.ship(f"id-{address}", address, ended=False)
    return closing


def run(body: Coroutine, seconds: float = 20) -> None:
    asyncio.run(asyncio.wait_for(body, seconds))


def test_it_waits_until_all_have_ended() -> None:
    async def body() -> None:
        closing = workers_that(3600, a=ok, b=ok)
        await closing.ask()
        waiting = asyncio.ensure_future(closing.wait_for_their_end())
        closing.ship("id-a", "a", ended=False)
        closing.ship("id-a", "a", ended=True)
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        closing.ship("id-b", "b", ended=True)
        await waiting

    run(body())


def test_it_does_not_wait_for_workers_that_ship_nothing_more() -> None:
    async def body() -> None:
        closing = workers_that(3600, a=not_recorded, b=broken, c=ok)
        closing.ship("id-c", "c", ended=True)
        await closing.ask()
        await closing.wait_for_their_end()

    run(body())


def test_a_worker_that_goes_while_it_is_asked_is_not_waited_for() -> None:
    async def body() -> None:
        closing = workers_that(3600, a=never, b=ok)
        asking = asyncio.ensure_future(closing.ask())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not asking.done()
        closing.leave("a")
        await asking
        closing.ship("id-b", "b", ended=True)
        await closing.wait_for_their_end()

    run(body())


def test_a_worker_that_does_not_answer_leaves_time_for_the_others() -> None:
    async def body() -> None:
        closing = workers_that(6, a=never, b=ok)
        await closing.ask()
        waiting = asyncio.ensure_future(closing.wait_for_their_end())
        for _ in range(5):
            await asyncio.sleep(0)
        assert not waiting.done()
        closing.ship("id-b", "b", ended=True)
        await waiting

    run(body())


def test_the_time_is_limited() -> None:
    async def body() -> None:
        closing = workers_that(0.05, a=never, b=ok)
        await closing.ask()
        await closing.wait_for_their_end()

    run(body())


def test_without_a_question_it_waits_for_nobody() -> None:
    async def body() -> None:
        await workers_that(3600, a=never).wait_for_their_end()

    run(body())


def test_workers_that_were_killed_are_not_kept_for_ever() -> None:
    async def body() -> None:
        closing = workers_that(3600, a=ok)
        for number in range(1000):
            closing.ship(f"id-{number}", f"killed-{number}", ended=False)
        assert len(closing._recorded) <= 103
        closing.ship("id-a", "a", ended=False)
        await closing.ask()
        closing.ship("id-a", "a", ended=True)
        await closing.wait_for_their_end()

    run(body())
