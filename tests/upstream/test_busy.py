"""An upstream whose every connection is in use: who may wait, and who is turned away."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from middleware import ConnectionLimits, Timeouts, UpstreamBusyError, UpstreamClient
from middleware.upstream.forwarder import Forwarder
from middleware.upstream.rate_limited_log import RateLimitedLog
from tests.upstream.wire import (
    Held,
    RawUpstream,
    exchange,
    front,
    get,
    split,
    upstream,
)

pytestmark = pytest.mark.anyio

HOST = [(b"host", b"x")]


async def ask(client: UpstreamClient) -> bytes:
    async with client.exchange("GET", b"/", HOST) as response:
        return b"".join([chunk async for chunk in response])


@asynccontextmanager
async def full(*, pool: float | None = 1.0, max_waiting: int = 1000) -> AsyncIterator[
    tuple[UpstreamClient, Held, RawUpstream, list[asyncio.Task[bytes]]]
]:  # fmt: skip
    """Give a client whose two connections are in use."""
    held = Held()
    async with upstream(held.answer) as raw:
        limits = ConnectionLimits(max_connections=2, max_waiting=max_waiting)
        client = UpstreamClient(raw.url, timeouts=Timeouts(pool=pool), limits=limits)
        first = [asyncio.create_task(ask(client)) for _ in range(2)]
        for _ in first:
            await held.arrived.acquire()
        yield client, held, raw, first
        held.go.set()
        assert await asyncio.gather(*first) == [b"ok"] * 2
        assert not client.saturated
        assert client.active_connections == 0
        await client.aclose()


async def test_one_who_waits_too_long_is_turned_away_and_leaves_no_trace() -> None:
    async with full(pool=0.05) as (client, held, raw, _):
        with pytest.raises(UpstreamBusyError):
            await ask(client)
        assert len(raw.requests) == 2
        held.go.set()
        assert await ask(client) == b"ok"


async def test_more_than_may_wait_are_turned_away_at_once() -> None:
    async with full(pool=None, max_waiting=3) as (client, held, raw, _):
        waiting = [asyncio.create_task(ask(client)) for _ in range(3)]
        while not client.saturated:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)
        for _ in range(5):
            with pytest.raises(UpstreamBusyError):
                await ask(client)
        waiting[0].cancel()  # one who leaves makes room
        await asyncio.wait([waiting[0]])
        assert not client.saturated
        another = asyncio.create_task(ask(client))
        held.go.set()
        assert await asyncio.gather(*waiting[1:], another) == [b"ok"] * 3
        assert len(raw.requests) == 5


async def test_nobody_waits_where_nobody_may() -> None:
    async with full(max_waiting=0) as (client, _, __, ___):
        with pytest.raises(UpstreamBusyError):
            await ask(client)


async def test_the_client_is_told_when_to_come_again() -> None:
    told: list[tuple[str, str]] = []
    async with full(max_waiting=0) as (client, held, _, first):
        forwarder = Forwarder(client, on_error=lambda kind, phase: told.append((kind, phase)))
        async with front(forwarder) as port:
            status, lines, body = split(await exchange(port, get()))
            assert (status, dict(lines)[b"retry-after"]) == (503, b"1")
            assert json.loads(body)["code"] == "upstream_busy"
            assert json.loads(body)["message"] == "every connection to the upstream is in use"
            assert told == [("upstream_busy", "")]
            held.go.set()
            await asyncio.gather(*first)


def test_an_outage_is_one_line_at_a_time(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    log = RateLimitedLog(logging.getLogger("outage"), interval=10.0, clock=lambda: now)
    for step in range(1000):
        now = step / 50  # twenty seconds
        log.warning("down", "it is down")
        if step == 500:
            log.warning("slow", "it is slow")
    assert [record.message for record in caplog.records] == [
        "it is down",
        "it is down; 499 more such lines were left out in the last 10 s",
        "it is slow",
    ]


async def test_a_thousand_failures_are_not_a_thousand_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with upstream() as raw:
        port = raw.port
    async with front(Forwarder(f"http://127.0.0.1:{port}")) as own:
        for _ in range(20):
            assert split(await exchange(own, get()))[0] == 502
    assert sum("upstream_unreachable" in record.message for record in caplog.records) <= 1
