"""Clients that never end their request's body: let go, with nothing held for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from middleware.errors import ConfigurationError
from middleware.http.body_timeout import patient
from middleware.proxy import ReverseProxy
from middleware.runtime.reformulator import Reformulator
from middleware.testing import ScriptedEngine
from tests.upstream.wire import RawUpstream, exchange, front, get, split, upstream

pytestmark = pytest.mark.anyio

LIMIT = 0.3


@asynccontextmanager
async def served(http: str) -> AsyncIterator[tuple[int, RawUpstream, ReverseProxy]]:
    """A proxy with a place for one request, and little patience for bodies."""
    async with upstream() as raw:
        proxy = ReverseProxy(
            raw.url,
            reformulator=Reformulator(ScriptedEngine()),
            max_requests=1,
            body_timeout=LIMIT,
        )
        async with front(proxy, http) as port:
            yield port, raw, proxy


@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize(
    "head",
    [
        b"POST /s HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n",  # read first
        b"PUT /files/1 HTTP/1.1\r\nContent-Type: text/plain\r\n",  # sent on as it comes
    ],
)
@pytest.mark.parametrize("framing", [b"Content-Length: 900\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_a_body_that_stops_is_answered_with_408(
    http: str, head: bytes, framing: bytes
) -> None:
    async with served(http) as (port, raw, proxy):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        part = b"4\r\nq=re\r\n" if b"chunked" in framing else b"q=re"
        writer.write(head + b"Host: a\r\n" + framing + b"\r\n" + part)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        status, lines, body = split(answer)
        assert (status, b"client_timeout" in body) == (408, True)
        assert (b"connection", b"close") in [(name.lower(), value) for name, value in lines]
        # The place is free again, and no half of a body counts as a request.
        assert split(await exchange(port, get(b"/s?q=red+lamp")))[0] == 200
        assert proxy.under_way == 0
        assert [request.target for request in raw.requests if request.body] == []


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_a_body_that_comes_slowly_but_comes_is_taken(http: str) -> None:
    async with served(http) as (port, raw, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        parts = [bytes([letter]) * 200 for letter in b"abcdef"]  # 2,000 bytes a second
        writer.write(b"PUT /files/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1200\r\n\r\n")
        for part in parts:
            await asyncio.sleep(LIMIT / 3)  # the real time of a real client
            writer.write(part)
        assert (await asyncio.wait_for(reader.readuntil(b"ok"), 20)).startswith(b"HTTP/1.1 200")
        writer.close()
        assert [request.body for request in raw.requests] == [b"".join(parts)]


@pytest.mark.parametrize("http", ["h11", "httptools"])
async def test_a_body_that_drips_holds_no_place_for_ever(http: str) -> None:
    async with served(http) as (port, _, proxy):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PUT /files/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n")

        async def drip() -> None:
            while True:
                writer.write(b"a")
                await asyncio.sleep(LIMIT / 5)

        dripping = asyncio.create_task(drip())
        answer = await asyncio.wait_for(reader.read(), 20)
        dripping.cancel()
        writer.close()
        assert split(answer)[0] == 408
        assert proxy.under_way == 0


async def test_only_time_that_the_client_takes_is_counted() -> None:
    """Who sends when it is asked to may be asked seldom."""
    now = 0.0
    sent = 0

    async def receive() -> dict[str, object]:
        nonlocal sent
        sent += 1
        return {"type": "http.request", "body": b"a", "more_body": sent < 50}

    patiently = patient(receive, 1.0, clock=lambda: now)
    for _ in range(50):
        assert (await patiently())["body"] == b"a"
        now += 10.0


@pytest.mark.parametrize("wrong", [0, -1.0, float("nan")])
async def test_the_limit_is_a_time(wrong: float) -> None:
    with pytest.raises(ConfigurationError, match="body_timeout"):
        ReverseProxy("http://127.0.0.1:1", body_timeout=wrong)
