"""A request's head is bounded and closed: no size is taken, and no trailer becomes a header."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from middleware import Reformulator, ReverseProxy, SearchRule
from middleware.serving.protocol import MAX_HEAD
from middleware.serving.server import _Server, bound_socket
from middleware.testing import ScriptedEngine
from tests.upstream.wire import RawUpstream, exchange, get, split, upstream

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def served() -> AsyncIterator[tuple[int, RawUpstream]]:
    """Run the server of ``serve``."""
    started = asyncio.Event()
    async with upstream() as raw:
        with bound_socket("127.0.0.1", 0) as bound:
            app = ReverseProxy(
                raw.url, rules=[SearchRule()], reformulator=Reformulator(ScriptedEngine())
            )
            server = _Server(app, started.set, relays=True, grace=1)
            task = asyncio.create_task(server._serve(sockets=[bound]))
            await started.wait()
            yield bound.getsockname()[1], raw
            server.should_exit = True
            await task


@pytest.mark.parametrize("path", [b"/s", b"/other"])
@pytest.mark.parametrize("apart", [False, True])
async def test_a_trailer_never_becomes_a_header(path: bytes, apart: bool) -> None:
    head = (
        b"POST %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
    ) % path
    body = b"a\r\nq=red+lamp\r\n0\r\n"
    trailers = b"Authorization: Basic eA==\r\nX-User: admin\r\nContent-MD5: abc\r\n\r\n"
    async with served() as (port, raw):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + body + (b"" if apart else trailers))
        if apart:
            await writer.drain()
            await asyncio.sleep(0.05)  # so that it comes in a segment of its own
            writer.write(trailers)
        assert split(await asyncio.wait_for(reader.read(), 20))[0] == 200
        writer.close()
    (request,) = raw.requests
    names = {name for name, _ in request.lines}
    assert names.isdisjoint({b"authorization", b"x-user", b"content-md5"})


@pytest.mark.parametrize(
    "head",
    [
        b"GET /s?q=" + MAX_HEAD * b"a" + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /s HTTP/1.1\r\nHost: a\r\nX-A: " + MAX_HEAD * b"a" + b"\r\n\r\n",
        b"GET /s HTTP/1.1\r\nHost: a\r\n" + MAX_HEAD // 8 * b"X-A: aaaa\r\n" + b"\r\n",
        b"GET /s HTTP/1.1\r\nHost: a\r\nX-A: " + 40 * MAX_HEAD * b"a",  # and no end
    ],
)
async def test_a_large_head_is_refused(head: bytes) -> None:
    async with served() as (port, raw):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        try:
            answer = await asyncio.wait_for(reader.read(), 20)
        except ConnectionError:  # closed while the rest was on its way
            answer = b""
        writer.close()
        assert answer == b"" or split(answer)[0] == 400
        assert raw.requests == []
        assert split(await exchange(port, get()))[0] == 200


async def test_heads_behind_large_bodies_are_none_of_their_size() -> None:
    async with served() as (port, raw):
        body = 3 * MAX_HEAD * b"x"
        one = b"PUT /files HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        last = get(b"/last", b"X-A: " + MAX_HEAD // 2 * b"a")
        answer = await exchange(port, 3 * one + last)
        assert answer.count(b"HTTP/1.1 200") == 4
        assert [request.target for request in raw.requests] == [b"/files"] * 3 + [b"/last"]
