"""The decision, seen from outside of the reverse proxy."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from middleware import Truncated
from middleware.testing import ManualClock, ScriptedEngine
from tests.upstream.wire import (
    exchange,
    get,
    split,
)

from .conftest import Build
from .driving import RESULT, until
from .proxying import outcome, proxied

pytestmark = pytest.mark.anyio


async def test_an_engine_slower_than_the_budget(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    """The original leaves at the budget, not later; the next one finds the late rewrite."""
    engine.delay = 0.3
    async with proxied(build(budget=0.1)) as (raw, port):
        task = asyncio.create_task(exchange(port, get(b"/search?q=red+lamp&z=%zz")))
        await until(lambda: engine.calls)
        await clock.advance(0.0999)
        await asyncio.sleep(0)
        assert not raw.requests
        await clock.advance(0.0001)
        response = await task
        assert raw.requests[0].target == b"/search?q=red+lamp&z=%zz"
        assert outcome(response) == "fallback;reason=timeout"
        assert dict(split(response)[1])[RESULT].endswith(b";dur=100.000")
        await clock.advance(0.2)
        response = await exchange(port, get(b"/search?q=red+lamp&z=%zz"))
        assert raw.requests[1].target == b"/search?q=lifted+red+lamp&z=%zz"
        assert outcome(response) == "rewritten;src=memo"
    assert engine.calls == [["red lamp"]]


async def test_fifty_equal_at_once_are_one_engine_call(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    """One of them leaving, the first at that, does not harm the others."""
    engine.delay = 0.05
    reformulator = build(budget=0.1)
    async with proxied(reformulator) as (raw, port):
        _, first = await asyncio.open_connection("127.0.0.1", port)
        first.write(get(b"/search?q=red+lamp"))
        await until(lambda: engine.calls)
        others = [
            asyncio.create_task(exchange(port, get(b"/search?q=red+lamp"))) for _ in range(49)
        ]
        await until(lambda: clock.timers == 50)
        first.transport.abort()
        await clock.advance(0.05)
        responses = await asyncio.gather(*others)
    assert engine.calls == [["red lamp"]]
    assert {outcome(response) for response in responses} == {"rewritten;src=shared"}
    assert {request.target for request in raw.requests} == {b"/search?q=lifted+red+lamp"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (RuntimeError("out of memory"), "engine_error"),
        (MemoryError(), "engine_error"),
        (Truncated(), "rejected_truncated"),
        ("", "rejected_empty"),
        ("red red red red lamp", "rejected_loop"),
        ("lamp", "rejected_drift"),
        ("red lamp " + "very " * 60, "rejected_l"),
        ("rote Lampe für den Garten und das Haus", "rejected_l"),
    ],
)
async def test_an_engine_that_fails_is_never_an_error_to_the_user(
    build: Build, answer: Any, reason: str
) -> None:
    reformulator = build(engine=ScriptedEngine(lambda _: answer))
    async with proxied(reformulator) as (raw, port):
        response = await exchange(port, get(b"/search?q=red+garden+lamp"))
    assert split(response)[0] == 200
    assert raw.requests[0].target == b"/search?q=red+garden+lamp"
    assert outcome(response).startswith("fallback;")
    assert reason in outcome(response) or reason == "rejected_l"
