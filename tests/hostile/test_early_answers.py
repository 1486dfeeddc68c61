"""An upstream that answers before it has read the body: its answer reaches the client."""

from __future__ import annotations

import asyncio

import pytest

from middleware import ReverseProxy
from middleware.serving.protocol import BoundedProtocol
from tests.upstream.wire import Answer, Received, front, split, upstream

pytestmark = pytest.mark.anyio

SIZES = [300_000, 20_000_000]
FRONTS = [BoundedProtocol, "h11", "httptools"]


def _head(status: bytes, *lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines]) + b"\r\n\r\n"


WHOLE = b"too large"
LENGTH = b"Content-Length: 9"
_CLOSING = _head(b"413 Payload Too Large", LENGTH, b"Connection: close") + WHOLE
_REFUSED = _head(b"413 Payload Too Large", LENGTH) + WHOLE


def _answering(message: bytes, *, reads: int = 0, then: str = "close") -> Answer:
    """Return an upstream that answers after ``reads`` bytes of the body, and what it does then."""

    async def answer(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if reads:
            await reader.readexactly(reads)
        writer.write(message)
        await writer.drain()
        if then == "close":  # with unread data, so that the client's side is reset
            writer.close()
        elif then == "half":
            writer.write_eof()
            await reader.read()
        elif then == "drain":
            while await reader.read(65536):
                pass
        elif then == "wait":
            await asyncio.sleep(3600)

    return answer


ANSWERS: dict[str, Answer] = {
    "413, then reset": _answering(_REFUSED),
    "401, then reset": _answering(_head(b"401 Unauthorized", LENGTH, b"A: x") + WHOLE),
    "307, then reset": _answering(_head(b"307 Moved", LENGTH, b"Location: /a") + WHOLE),
    "503 with close, then reset": _answering(
        _head(b"503 Service Unavailable", LENGTH, b"Connection: close") + WHOLE
    ),
    "200, then reset": _answering(_head(b"200 OK", LENGTH) + WHOLE),
    "chunked, then reset": _answering(
        _head(b"413 Payload Too Large", b"Transfer-Encoding: chunked")
        + b"9\r\ntoo large\r\n0\r\n\r\n"
    ),
    "100 first": _answering(_head(b"100 Continue") + _REFUSED, reads=70_000),
    "after a part": _answering(_REFUSED, reads=100_000),
    "until the end": _answering(_head(b"413 Payload Too Large") + WHOLE, then="half"),
    "no body at all": _answering(_head(b"413 Payload Too Large", b"Content-Length: 0")),
    "reads no more, stays open": _answering(_CLOSING, then="wait"),
    "reads the rest": _answering(_CLOSING, then="drain"),
}


def _requests(size: int, framing: str) -> tuple[bytes, bytes]:
    head = b"POST /up HTTP/1.1\r\nHost: a\r\n"
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n" % size, b"x" * size
    pieces = b"".join(b"10000\r\n" + b"x" * 65536 + b"\r\n" for _ in range(size // 65536))
    return head + b"Transfer-Encoding: chunked\r\n\r\n", pieces + b"0\r\n\r\n"


async def _upload(
    port: int, head: bytes, body: bytes, *, reads_late: bool = False
) -> tuple[int, bytes]:
    """Send a request and return the status and body it gets, read meanwhile or ``reads_late``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        writer.write(head)
        for at in range(0, len(body), 65536):
            writer.write(body[at : at + 65536])
            await writer.drain()

    sending = asyncio.ensure_future(send())
    try:
        async with asyncio.timeout(30):
            if reads_late:
                await sending
            status, lines, _ = split(await reader.readuntil(b"\r\n\r\n"))
            found = dict(lines)
            if b"content-length" in found:
                content = await reader.readexactly(int(found[b"content-length"]))
            elif b"transfer-encoding" in found:
                content = b""
                while size := int(await reader.readuntil(b"\r\n"), 16):
                    content += (await reader.readexactly(size + 2))[:-2]
            else:
                content = await reader.read()
            return status, content
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()


@pytest.mark.parametrize("answered", FRONTS, ids=["serve", "h11", "httptools"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ANSWERS)
async def test_the_answer_is_relayed(answered: object, name: str, size: int, framing: str) -> None:
    head, body = _requests(size, framing)
    async with upstream(ANSWERS[name], read_body=False) as raw:
        proxy = ReverseProxy(raw.url, rules=[])
        async with front(proxy, answered) as port:
            for _ in range(3):
                status, content = await _upload(port, head, body)
                assert status in (413, 401, 307, 503, 200)
                assert content == (b"" if name == "no body at all" else WHOLE)
            assert raw.connections == 3  # none was used again
            assert proxy.client.active_connections == 0


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("name", ["413, then reset", "until the end", "after a part"])
async def test_a_client_that_reads_late_gets_the_answer(name: str, framing: str) -> None:
    """Many clients read nothing before their request is sent."""
    head, body = _requests(20_000_000, framing)
    async with upstream(ANSWERS[name], read_body=False) as raw:
        proxy = ReverseProxy(raw.url, rules=[])
        async with front(proxy, BoundedProtocol) as port:
            for _ in range(3):
                assert await _upload(port, head, body, reads_late=True) == (413, WHOLE)
