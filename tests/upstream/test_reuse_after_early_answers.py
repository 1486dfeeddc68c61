"""After an answer to a request that was perhaps not read, its connection carries no other one."""

from __future__ import annotations

import asyncio

import pytest

from middleware import ReverseProxy, Timeouts, UpstreamClient
from middleware.serving.protocol import BoundedProtocol
from tests.upstream.wire import Answer, Received, exchange, front, get, split, upstream

pytestmark = pytest.mark.anyio

FRONTS = [BoundedProtocol, "h11", "httptools"]
FRAMINGS = ["length", "chunked"]
LARGE = [300_000, 1_000_000, 5_000_000]
ERRORS = [b"413 Too Large", b"401 Unauthorized", b"307 Moved", b"503 Busy", b"400 Bad", b"500 No"]


def _answering(status: bytes, *, reads: int = 0, whole: bool = False, pause: float = 0) -> Answer:
    """Return an upstream that answers after a part of the body, and then neither reads nor closes.

    If it is to read the ``whole`` body, it goes on with the next request.
    """

    async def answer(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        length = int((request.values(b"content-length") or [b"0"])[0])
        chunked = bool(request.values(b"transfer-encoding"))
        if whole and chunked:
            last = b""
            while not last.endswith(b"\r\n0\r\n\r\n"):
                last = last[-7:] + await reader.read(65536)
        else:
            await reader.readexactly(length if whole else min(reads, length))
        await asyncio.sleep(pause)
        posted = length or chunked
        writer.write(
            b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\nok" % (status if posted else b"200 OK")
        )
        await writer.drain()
        if posted and not whole:
            await asyncio.sleep(3600)

    return answer


def _request(size: int, framing: str) -> bytes:
    head = b"POST /up HTTP/1.1\r\nHost: a\r\n"
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n" % size + b"x" * size
    chunks = b"".join(b"2710\r\n" + b"x" * 10_000 + b"\r\n" for _ in range(size // 10_000))
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


async def _post(port: int, size: int, framing: str) -> int:
    """Send a body, and return the answer's status as soon as it is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(30):
            writer.write(_request(size, framing))
            status = split(await reader.readuntil(b"\r\n\r\n"))[0]
            assert await reader.readexactly(2) == b"ok"
            return status
    finally:
        writer.transport.abort()


async def _then_others(
    answer: Answer, size: int, framing: str, status: int, answered: object = BoundedProtocol
) -> int:
    """Post and get in turn, and return how many connections the upstream saw."""
    async with upstream(answer, read_body=False) as raw:
        client = UpstreamClient(raw.url, timeouts=Timeouts(read=5))
        async with front(ReverseProxy(client, rules=[]), answered) as port:
            for _ in range(2):
                assert await _post(port, size, framing) == status
                assert split(await exchange(port, get(b"/other")))[::2] == (200, b"ok")
        return raw.connections


@pytest.mark.parametrize("answered", FRONTS, ids=["serve", "h11", "httptools"])
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", LARGE)
@pytest.mark.parametrize("status", [*ERRORS, b"200 OK", b"201 Created"])
async def test_the_next_request_is_served(
    status: bytes, size: int, framing: str, answered: object
) -> None:
    await _then_others(_answering(status), size, framing, int(status[:3]), answered)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("size", [20_000, 60_000, 100_000])
@pytest.mark.parametrize("status", ERRORS)
async def test_the_next_request_is_served_after_a_refused_small_body(
    status: bytes, size: int, framing: str
) -> None:
    """The upstream's system holds all of it, so that only the status tells that nobody read it."""
    await _then_others(_answering(status), size, framing, int(status[:3]))


@pytest.mark.parametrize("reads", [1, 10_000, 65_536, 250_000])
@pytest.mark.parametrize("pause", [0, 0.2])
async def test_the_next_request_is_served_after_a_part_was_read(reads: int, pause: float) -> None:
    answer = _answering(b"200 OK", reads=reads, pause=pause)
    await _then_others(answer, 1_000_000, "length", 200)


@pytest.mark.parametrize(
    ("size", "framing"),
    [(10, "length"), *((size, each) for size in (20_000, 60_000, 120_000) for each in FRAMINGS)],
)
@pytest.mark.parametrize("pause", [0, 0.1])
async def test_a_connection_is_kept_if_the_body_was_read(
    size: int, framing: str, pause: float
) -> None:
    """Uploads are no reason to connect anew for each."""
    answer = _answering(b"200 OK", whole=True, pause=pause)
    assert await _then_others(answer, size, framing, 200) == 1


async def test_a_connection_is_kept_after_a_refused_search() -> None:
    """Small bodies, as those of searches, are read by whoever refuses them."""
    assert await _then_others(_answering(b"429 Slow", whole=True), 5_000, "length", 429) == 1
