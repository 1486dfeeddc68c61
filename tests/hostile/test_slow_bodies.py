"""Clients that never end their request's body: let go, with nothing held for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import Receive, Scope, Send

from middleware import (
    BodyTimeoutMiddleware,
    ConfigurationError,
    Reformulator,
    RequestLimitMiddleware,
    ReverseProxy,
    SearchRule,
)
from middleware.testing import ScriptedEngine
from tests.upstream.wire import RawUpstream, exchange, front, get, split, upstream
from tests.ways.driving import App, Client, call, http_scope, until

pytestmark = pytest.mark.anyio

LIMIT = 0.3


@asynccontextmanager
async def served(http: str) -> AsyncIterator[tuple[int, RawUpstream, RequestLimitMiddleware]]:
    """A proxy with a place for one request, and little patience for bodies."""
    async with upstream() as raw:
        proxy = ReverseProxy(
            raw.url, rules=[SearchRule()], reformulator=Reformulator(ScriptedEngine())
        )
        limited = RequestLimitMiddleware(BodyTimeoutMiddleware(proxy, LIMIT), 1)
        async with front(limited, http) as port:
            yield port, raw, limited


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
    async with served(http) as (port, raw, limited):
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
        assert limited.active == 0
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
    async with served(http) as (port, _, limited):
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
        assert limited.active == 0


async def test_only_time_that_the_client_takes_is_counted() -> None:
    """Who sends when it is asked to may be asked seldom."""
    now = 0.0
    sent = 0

    async def receive() -> dict[str, object]:
        nonlocal sent
        sent += 1
        return {"type": "http.request", "body": b"a", "more_body": sent < 50}

    async def seldom(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal now
        for _ in range(50):
            assert (await receive())["body"] == b"a"
            now += 10.0

    app = BodyTimeoutMiddleware(seldom, 1.0, clock=lambda: now)
    scope = http_scope("POST", headers=[(b"content-length", b"50")])
    await app(scope, receive, Client().send)
    assert (sent, now) == (50, 500.0)


async def test_more_requests_than_allowed_are_answered_with_503() -> None:
    """Each failure is counted; other scopes are not limited."""
    failed: list[tuple[str, str]] = []
    release = asyncio.Event()

    async def held(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()

    app = RequestLimitMiddleware(held, 2, lambda kind, phase: failed.append((kind, phase)))
    waiting = [asyncio.create_task(call(app, http_scope())) for _ in range(2)]
    await until(lambda: app.active == 2)
    busy = await call(app, http_scope())
    assert (busy.status, busy.header(b"retry-after")) == (503, [b"1"])
    assert json.loads(busy.body)["code"] == "proxy_busy"
    assert failed == [("proxy_busy", "")]
    release.set()
    await asyncio.gather(*waiting)
    assert app.active == 0
    await app({"type": "lifespan"}, Client().receive, Client().send)


@pytest.mark.parametrize("wrong", [0, -1.0, float("nan")])
async def test_the_limit_is_a_time(wrong: float) -> None:
    with pytest.raises(ConfigurationError, match="body_timeout"):
        BodyTimeoutMiddleware(App(), wrong)


def test_the_number_of_requests_is_at_least_one() -> None:
    with pytest.raises(ConfigurationError, match="max_requests"):
        RequestLimitMiddleware(App(), 0)
