"""Connections that wait: each one is closed in time, whatever it was doing when it fell silent."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from middleware.serving.server import _Server, bound_socket

pytestmark = pytest.mark.anyio

SHORT, LONG = 0.6, 3600.0
POST = b"POST /s HTTP/1.1\r\nHost: a\r\n"
SIZED = POST + b"Content-Length: 10\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once, and read nothing of the request's body."""
    await PlainTextResponse("no", 503)(scope, receive, send)


@asynccontextmanager
async def served(*, head: float, keepalive: float) -> AsyncIterator[tuple[int, _Server]]:
    started = asyncio.Event()
    with bound_socket("127.0.0.1", 0) as bound:
        server = _Server(
            hasty,
            started.set,
            relays=True,
            grace=1,
            head_timeout=head,
            send_timeout=SHORT,
            keepalive_timeout=keepalive,
        )
        task = asyncio.create_task(server._serve(sockets=[bound]))
        await started.wait()
        try:
            yield bound.getsockname()[1], server
        finally:
            server.should_exit = True
            await task


async def answered(port: int, head: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send a head, and read the answer that comes before the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    found = await asyncio.wait_for(reader.readuntil(b"\r\n\r\nno"), 20)
    assert found.startswith(b"HTTP/1.1 503")
    return reader, writer


UNFINISHED: dict[str, tuple[bytes, bytes]] = {
    "one byte": (SIZED, b"x"),
    "all but a byte": (SIZED, b"x" * 9),
    "a chunk's size": (CHUNKED, b"5"),
    "a chunk's first line": (CHUNKED, b"5;a=b\r\n"),
    "a part of a chunk": (CHUNKED, b"5\r\nab"),
    "a chunk without its end": (CHUNKED, b"2\r\nab"),
    "a chunk": (CHUNKED, b"2\r\nab\r\n"),
    "the last chunk's line": (CHUNKED, b"0\r\n"),
    "a trailer": (CHUNKED, b"0\r\nA: b\r\n"),
    "the next method": (SIZED, b"x" * 10 + b"GE"),
    "the next head": (CHUNKED, b"0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nX"),
    "a held name": (SIZED, b"x" * 10 + b"GET / HTTP/1.1\r\nUpgr"),
}
FINISHED: dict[str, tuple[bytes, bytes]] = {
    "a body": (SIZED, b"x" * 10),
    "chunks": (CHUNKED, b"2\r\nab\r\n0\r\n\r\n"),
    "no chunk": (CHUNKED, b"0\r\n\r\n"),
    "a trailer": (CHUNKED, b"0\r\nA: b\r\n\r\n"),
    "a body and blank lines": (SIZED, b"x" * 10 + b"\r\n\r\n"),
    "many chunks": (CHUNKED, b"1\r\na\r\n" * 500 + b"0\r\n\r\n"),
    "nothing": (POST + b"Content-Length: 0\r\n\r\n", b""),
}


@pytest.mark.parametrize("name", UNFINISHED)
async def test_a_request_that_stops_after_its_answer_is_let_go(name: str) -> None:
    """Its bytes have ended the wait for another request, and nothing else may wait forever."""
    head, rest = UNFINISHED[name]
    async with served(head=SHORT, keepalive=LONG) as (port, server):
        reader, writer = await answered(port, head)
        writer.write(rest)
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
        assert not server.server_state.connections


@pytest.mark.parametrize("name", FINISHED)
async def test_a_body_after_the_answer_begins_the_wait_for_another_request(name: str) -> None:
    head, rest = FINISHED[name]
    async with served(head=LONG, keepalive=SHORT) as (port, server):
        reader, writer = await answered(port, head)
        writer.write(rest)
        assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()
        assert not server.server_state.connections


@pytest.mark.parametrize("name", FINISHED)
async def test_the_wait_for_a_head_does_not_count_after_such_a_body(name: str) -> None:
    """A balancer may keep the connection for as long as after any other request."""
    head, rest = FINISHED[name]
    async with served(head=SHORT, keepalive=LONG) as (port, _):
        reader, writer = await answered(port, head)
        writer.write(rest)
        await asyncio.sleep(4 * SHORT)  # the server looks every half second
        writer.write(POST + b"Content-Length: 0\r\n\r\n")
        assert (await asyncio.wait_for(reader.readuntil(b"no"), 20)).startswith(b"HTTP/1.1 503")
        writer.close()


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("name", FINISHED)
async def test_a_connection_that_is_gone_is_forgotten(name: str, reset: bool) -> None:
    """No timer keeps its last request in memory, however the client ended it."""
    head, rest = FINISHED[name]
    async with served(head=LONG, keepalive=LONG) as (port, server):
        _, writer = await answered(port, head)
        writer.write(rest)
        [connection] = server.server_state.connections
        if reset:
            number = writer.get_extra_info("socket")
            number.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()
        async with asyncio.timeout(20):
            while server.server_state.connections:  # noqa: ASYNC110  # uvicorn tells no event
                await asyncio.sleep(0.01)
        timer = connection.timeout_keep_alive_task  # type: ignore[union-attr]
        assert timer is None or timer.cancelled()
