"""Landings that go over to an event loop together, and how late it is to take them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from middleware.runtime.flights import FlightResult
from middleware.runtime.loop_notifier import LoopNotifier, ResultFuture
from middleware.testing import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_what_lands_together_is_told_with_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, clock = asyncio.get_running_loop(), ManualClock()
    calls: list[Callable[..., Any]] = []
    monkeypatch.setattr(loop, "call_soon_threadsafe", calls.append)
    notifier = LoopNotifier(clock)
    futures: list[ResultFuture] = [loop.create_future() for _ in range(5)]
    landings = [FlightResult(queue=float(number)) for number in range(5)]
    futures[3].set_result(None)  # its deadline came first
    for future, result in zip(futures, landings, strict=True):
        notifier.mailbox(loop).post(future, result)
    assert len(calls) == 1
    assert not futures[0].done()
    calls[0]()
    assert [future.result() for future in futures] == [*landings[:3], None, landings[4]]

    another: ResultFuture = loop.create_future()
    notifier.mailbox(loop).post(another, landings[0])
    assert len(calls) == 2
    calls[1]()
    assert another.result() == landings[0]


async def test_how_long_a_loop_takes_is_how_late_it_is_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, clock = asyncio.get_running_loop(), ManualClock()
    calls: list[Callable[..., Any]] = []
    monkeypatch.setattr(loop, "call_soon_threadsafe", calls.append)
    notifier = LoopNotifier(clock)
    assert notifier.delay(clock.now()) == 0.0
    for _ in range(8):
        notifier.mailbox(loop).post(loop.create_future(), FlightResult())
        await clock.advance(0.02)
        calls.pop()()
    assert notifier.delay(clock.now()) == pytest.approx(0.02, rel=0.01)
    await clock.advance(1.0)
    assert notifier.delay(clock.now()) == 0.0


async def test_a_closed_loop_is_no_error() -> None:
    loop = asyncio.new_event_loop()
    future: ResultFuture = loop.create_future()
    loop.close()
    LoopNotifier(ManualClock()).mailbox(loop).post(future, FlightResult())
    assert not future.done()
