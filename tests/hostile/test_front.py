"""Connections that say nothing, and steering of a proxy that only forwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

import pytest

from middleware import ReverseProxy
from middleware.serving.server import _Server, bound_socket
from tests.upstream.wire import RawUpstream, exchange, front, get, split, upstream

pytestmark = pytest.mark.anyio

LIMIT = 0.6


@asynccontextmanager
async def served(keepalive: float = 3600) -> AsyncIterator[tuple[int, RawUpstream]]:
    """Run the server of ``serve``, which waits a short time for a head."""
    started = asyncio.Event()
    async with upstream() as raw:
        with bound_socket("127.0.0.1", 0) as bound:
            server = _Server(
                ReverseProxy(raw.url, rules=[]),
                started.set,
                relays=True,
                grace=1,
                head_timeout=LIMIT,
                keepalive_timeout=keepalive,
            )
            port = bound.getsockname()[1]
            task = asyncio.create_task(server._serve(sockets=[bound]))
            await started.wait()
            yield port, raw
            server.should_exit = True
            await task


@pytest.mark.parametrize("said", [b"", b"GET /s?q=a HT", b"GET /s?q=a HTTP/1.1\r\nHost: a\r\nX: "])
async def test_a_client_that_does_not_finish_its_head_is_let_go(said: bytes) -> None:
    async with served() as (port, raw):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        began = perf_counter()
        assert await asyncio.wait_for(reader.read(), 20) == b""
        assert perf_counter() - began > LIMIT / 2
        writer.close()
        assert raw.requests == []


async def test_a_client_that_drips_its_head_is_let_go_too() -> None:
    async with served() as (port, raw):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /s?q=a HTTP/1.1\r\nHost: a\r\nX: ")
        ended = asyncio.create_task(reader.read())
        async with asyncio.timeout(20):
            while not ended.done():
                writer.write(b"x")
                await asyncio.wait([ended], timeout=0.05)
        assert ended.exception() is not None or ended.result() == b""
        writer.close()
        assert raw.requests == []


ONE = b"GET /s?q=a HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_an_idle_connection_stays_open_for_the_keepalive_timeout() -> None:
    """That of a head does not count between two requests."""
    async with served() as (port, raw):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(ONE)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(3 * LIMIT)
        assert not reader.at_eof()
        writer.close()
        assert len(raw.requests) == 2


@pytest.mark.parametrize("said", [b"", b"GET /s?q=a HT", b"GET / HTTP/1.1\r\nHost: a\r\nX: "])
async def test_after_a_response_an_idle_connection_is_closed(said: bytes) -> None:
    """By one of the two time limits, depending on whether a head has begun."""
    async with served(keepalive=LIMIT if not said else 3600) as (port, raw):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(ONE)
        await reader.readuntil(b"ok")
        writer.write(said)
        began = perf_counter()
        assert await asyncio.wait_for(reader.read(), 20) == b""
        assert perf_counter() - began > LIMIT / 2
        writer.close()
        assert len(raw.requests) == 1


async def test_one_who_keeps_asking_stays_however_long_that_takes() -> None:
    async with served() as (port, raw):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        until = perf_counter() + 4 * LIMIT
        count = 0
        while perf_counter() < until:
            writer.write(b"GET /s?q=a HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
            count += 1
            await asyncio.sleep(LIMIT / 4)
        writer.close()
        assert len(raw.requests) == count > 4


async def test_a_slow_answer_is_waited_for() -> None:
    async with served() as (port, raw):
        usual = raw.answer

        async def slow(*arguments: object) -> None:
            await asyncio.sleep(3 * LIMIT)
            await usual(*arguments)  # type: ignore[arg-type]

        raw.answer = slow
        assert split(await exchange(port, get()))[::2] == (200, b"ok")


async def test_a_proxy_that_only_forwards_passes_no_steering_on() -> None:
    async with upstream() as raw, front(ReverseProxy(raw.url, rules=[])) as port:
        await exchange(port, get(b"/s?q=a", b"Query-Reformulation-Control: off", b"X-A: 1"))
    (request,) = raw.requests
    assert request.values(b"query-reformulation-control") == []
    assert request.values(b"x-a") == [b"1"]
