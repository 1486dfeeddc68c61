"""Connections that were kept: which are used again, and what is asked twice over them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from middleware import ConnectionLimits, UpstreamClient, UpstreamError, UpstreamUnreachableError
from tests.upstream.wire import Received, reply, upstream

pytestmark = pytest.mark.anyio

HOST = [(b"host", b"x")]


async def test_an_unread_answer_frees_its_connection() -> None:
    """A caller that doesn't read the body leaves no connection in use."""
    async with (
        upstream(reply(bytes(2**20))) as raw,
        UpstreamClient(raw.url, limits=ConnectionLimits(max_connections=1)) as client,
    ):
        for _ in range(2):
            async with client.exchange("GET", b"/", HOST) as response:
                assert response.status == 200
                assert client.active_connections == 1
            assert client.active_connections == 0


async def _stale(method: str, *, retry_safe: bool | None = None, content: Any = b"") -> list[bytes]:
    """Bodies (or error details) of two requests; before the second the upstream hangs up."""
    dropping = False

    async def answer(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        nonlocal dropping
        if dropping:
            dropping = False
            writer.close()
            return
        body, length = (b"", False) if method == "HEAD" else (b"ok", True)
        await reply(body, *([] if length else [b"Content-Length: 2"]), length=length)(
            request, reader, writer
        )

    seen = []
    async with upstream(answer) as raw, UpstreamClient(raw.url) as client:
        for _ in range(2):
            lines = [*HOST]
            if not isinstance(content, bytes):
                lines.append((b"transfer-encoding", b"chunked"))
            try:
                async with client.exchange(
                    method,
                    b"/",
                    lines,
                    content if isinstance(content, bytes) else content(),
                    retry_safe=retry_safe,
                ) as response:
                    seen.append(b"".join([chunk async for chunk in response]) or b"empty")
            except UpstreamUnreachableError as error:
                seen.append(error.detail.encode())
            dropping = True
        assert client.active_connections == 0
    return seen


HUNG_UP = b"the upstream closed the connection before answering"


async def _body() -> Any:
    yield b"abc"


@pytest.mark.parametrize(
    ("method", "options", "second"),
    [
        ("GET", {}, b"ok"),
        ("HEAD", {}, b"empty"),
        ("POST", {}, HUNG_UP),
        ("POST", {"retry_safe": True}, b"ok"),
        ("GET", {"retry_safe": False}, HUNG_UP),
        ("POST", {"retry_safe": True, "content": _body}, HUNG_UP),
    ],
)
async def test_a_stale_connection(method: str, options: dict[str, Any], second: bytes) -> None:
    """A safe request on a connection that was just closed is sent again once, others fail."""
    first = b"empty" if method == "HEAD" else b"ok"
    assert await _stale(method, **options) == [first, second]


async def test_a_connection_seen_to_be_closed_is_not_used() -> None:
    """After the upstream closed an idle connection even a POST goes out on a new one."""
    async with upstream() as raw, UpstreamClient(raw.url) as client:
        assert await _drain(client) == b"ok"
        raw.closed.clear()
        raw.drop_connections()
        await raw.closed.wait()
        await asyncio.sleep(0.02)
        async with client.exchange("POST", b"/", HOST) as response:
            assert [chunk async for chunk in response] == [b"ok"]
        assert raw.connections == 2


async def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    """Half a response head on a kept-alive connection is an error, not a reason to retry."""
    halves = iter([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\nX:"])

    async def answer(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        half = next(halves)
        writer.write(half)
        if half.endswith(b":"):
            writer.close()

    async with upstream(answer) as raw, UpstreamClient(raw.url) as client:
        await _drain(client)
        with pytest.raises(UpstreamError):
            await _drain(client)
    assert len(raw.requests) == 2


async def _drain(client: UpstreamClient) -> bytes:
    async with client.exchange("GET", b"/", HOST) as response:
        return b"".join([chunk async for chunk in response])
