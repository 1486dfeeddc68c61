"""What the client sees: the upstream's answer as it is, when it comes."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from middleware.upstream.forwarder import Forwarder
from tests.upstream.wire import FRONTS, Received, exchange, front, get, reply, split, upstream

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("http", FRONTS)]

ZSTD = bytes.fromhex("28b52ffd2400010000") + bytes(range(256))


def values(lines: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """All values of the header ``name``."""
    return [value for found, value in lines if found == name]


@pytest.mark.parametrize("status", [b"200 OK", b"404 Not Found"])
@pytest.mark.parametrize(
    ("coding", "body"),
    [(b"gzip", gzip.compress(b"x" * 999, mtime=0)), (b"zstd", ZSTD), (b"br", ZSTD)],
)
async def test_compressed_bodies_stay_as_they_are(
    http: str, status: bytes, coding: bytes, body: bytes
) -> None:
    """Body bytes, Content-Encoding and Content-Length are relayed alike for 200 and 404."""
    answer = reply(body, b"Content-Encoding: " + coding, status=status)
    async with upstream(answer) as raw, front(Forwarder(raw.url), http) as port:
        found, lines, relayed = split(await exchange(port, get()))
    assert found == int(status.split()[0])
    assert relayed == body
    assert values(lines, b"content-encoding") == [coding]
    assert values(lines, b"content-length") == [b"%d" % len(body)]


async def test_header_lines_are_relayed(http: str) -> None:
    """Duplicates and non-ASCII bytes come through, connection lines don't."""
    answer = reply(
        b"ok", b"X-A: 1", b"X-A: caf\xe9", b"Connection: close, X-Hop", b"X-Hop: 1",
        b"Keep-Alive: timeout=5", b"Upgrade: h2c",
    )  # fmt: skip
    async with upstream(answer) as raw, front(Forwarder(raw.url), http) as port:
        _, lines, _ = split(await exchange(port, get()))
    assert values(lines, b"x-a") == [b"1", b"caf\xe9"]
    assert not {b"x-hop", b"keep-alive", b"upgrade"} & {name for name, _ in lines}


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Temporary Redirect"])
@pytest.mark.parametrize("location", [b"http://elsewhere.invalid/", b"http://[", b"\xe9"])
async def test_redirects_are_relayed(http: str, status: bytes, location: bytes) -> None:
    """A redirect is the client's business, a malformed one included."""
    answer = reply(b"", b"Location: " + location, status=status)
    async with upstream(answer) as raw, front(Forwarder(raw.url), http) as port:
        found, lines, _ = split(await exchange(port, get()))
    assert found == int(status[:3])
    assert values(lines, b"location") == [location]
    assert len(raw.requests) == 1


async def test_head_keeps_the_length(http: str) -> None:
    """HEAD has the length of the body that GET would have, and no body."""
    answer = reply(b"", b"Content-Length: 12345", length=False)
    async with upstream(answer) as raw, front(Forwarder(raw.url), http) as port:
        _, lines, body = split(await exchange(port, get(method=b"HEAD")))
        await exchange(port, get(method=b"HEAD"))
    assert values(lines, b"content-length") == [b"12345"]
    assert body == b""
    assert raw.connections == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
async def test_answers_without_a_body(http: str, status: bytes) -> None:
    """204 and 304 end at once, also where the upstream names the length of what it left out."""
    lines = [b"ETag: x"] + ([b"Content-Length: 9"] if status.startswith(b"304") else [])
    answer = reply(b"", *lines, status=status, length=False)
    async with upstream(answer) as raw, front(Forwarder(raw.url), http) as port:
        found, _, body = split(await exchange(port, get()))
        await exchange(port, get())
    assert (found, body) == (int(status[:3]), b"")
    assert raw.connections == 1


async def test_interim_answers_are_skipped(http: str) -> None:
    """100 and 103 before the answer are not taken for it."""

    async def answer(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok")

    async with upstream(answer) as raw, front(Forwarder(raw.url), http) as port:
        found, lines, body = split(await exchange(port, get()))
    assert (found, body) == (201, b"ok")
    assert values(lines, b"link") == []


async def test_chunks_arrive_as_they_are_sent(http: str) -> None:
    """The first byte reaches the client while the upstream still holds the rest."""
    go_on = asyncio.Event()

    async def answer(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await writer.drain()
        await go_on.wait()
        writer.write(b"4\r\nlast\r\n0\r\nX-Trailer: dropped\r\n\r\n")

    async with upstream(answer) as raw, front(Forwarder(raw.url), http) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get())
        async with asyncio.timeout(5):
            await reader.readuntil(b"first")
            go_on.set()
            rest = await reader.read()
        writer.close()
    assert b"last" in rest
    assert b"X-Trailer" not in rest


async def test_a_body_that_ends_with_the_connection(http: str) -> None:
    """An HTTP/1.0 answer without a length is relayed until the upstream closes."""

    async def answer(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
        await writer.drain()
        writer.close()

    async with upstream(answer) as raw, front(Forwarder(raw.url), http) as port:
        status, _, body = split(await exchange(port, get()))
    assert status == 200
    assert body == b"5\r\nhello\r\n0\r\n\r\n"


async def test_server_timing_is_appended(http: str) -> None:
    """The upstream's own Server-Timing line stays, ours is a line after it."""
    ticks = iter([10.0, 10.25])
    answer = reply(b"ok", b"Server-Timing: db;dur=1")
    async with upstream(answer) as raw:
        forwarder = Forwarder(raw.url, clock=lambda: next(ticks))
        async with front(forwarder, http) as port:
            _, lines, _ = split(await exchange(port, get()))
    assert values(lines, b"server-timing") == [b"db;dur=1", b"upstream;dur=250.0"]


async def test_server_timing_can_be_left_out(http: str) -> None:
    """Without the option no line is added."""
    async with (
        upstream() as raw,
        front(Forwarder(raw.url, server_timing=False), http) as port,
    ):
        _, lines, _ = split(await exchange(port, get()))
    assert values(lines, b"server-timing") == []


async def test_a_large_body_is_whole(http: str) -> None:
    """Three megabytes come through unharmed, and the connection can be used again."""
    body = bytes(range(256)) * 12_000
    async with upstream(reply(body)) as raw, front(Forwarder(raw.url), http) as port:
        for _ in range(2):
            assert split(await exchange(port, get()))[2] == body
    assert raw.connections == 1


async def test_blanks_around_a_value_are_none_of_it(http: str) -> None:
    """Servers in front refuse to send them (RFC 9110, 5.5)."""
    answer = reply(b"ok", b"X-A: \t padded \t", b"X-B: ")
    async with upstream(answer) as raw, front(Forwarder(raw.url), http) as port:
        status, lines, _ = split(await exchange(port, get(b"/", b"X-C: \t padded\t")))
    assert status == 200
    assert values(lines, b"x-a") == [b"padded"]
    assert values(lines, b"x-b") == [b""]
    assert raw.requests[0].values(b"x-c") == [b"padded"]
