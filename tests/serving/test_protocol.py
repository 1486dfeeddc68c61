"""What the server of ``serve`` takes and gives where uvicorn's own would not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from middleware import Reformulator, ReverseProxy, SearchRule
from middleware.serving.protocol import MAX_HEAD, MAX_PIPELINED, BoundedProtocol
from middleware.testing import ScriptedEngine
from tests.upstream.wire import (
    Answer,
    Held,
    RawUpstream,
    exchange,
    front,
    get,
    in_segments,
    reply,
    split,
    upstream,
)

pytestmark = pytest.mark.anyio

TYPED = "/café/s?q=naïve+café%20%c3%a9&x=\U0001f37d".encode()


@contextlib.asynccontextmanager
async def served(
    answer: Answer | None = None,
    engine: ScriptedEngine | None = None,
    protocol: Any = BoundedProtocol,
) -> AsyncIterator[tuple[int, RawUpstream]]:
    async with upstream(answer) as raw:
        app = ReverseProxy(
            raw.url,
            rules=[SearchRule()],
            reformulator=Reformulator(engine or ScriptedEngine()),
        )
        async with front(app, protocol) as port:
            yield port, raw


@pytest.mark.parametrize(
    "target",
    [TYPED, b"/s?p=\xff\xfe&y=caf\xe9", b"/s?", b"/s??", b"/s?p=%c3%a9", b"/\xc3\xa9?"],
)
async def test_a_target_goes_on_as_it_was_typed(target: bytes) -> None:
    """``curl`` and others send bytes beyond ASCII as they are; the second are not even UTF-8."""
    async with served() as (port, raw):
        assert split(await exchange(port, get(target)))[0] == 200
    assert [request.target for request in raw.requests] == [target]


async def test_a_query_in_typed_bytes_is_rewritten() -> None:
    engine = ScriptedEngine({"café wth terrace": "café with terrace"})
    async with served(engine=engine) as (port, raw):
        target = "/s?x=é&q=café wth terrace&y=ü".replace(" ", "+").encode()
        assert split(await exchange(port, get(target)))[0] == 200
    assert raw.requests[0].target == "/s?x=é&q=caf%C3%A9+with+terrace&y=ü".encode()


@pytest.mark.parametrize("cut", range(1, len(TYPED) + 24, 3))
async def test_a_typed_target_may_come_in_pieces(cut: int) -> None:
    """On one connection: behind an empty line, behind a body, and behind its own like."""
    body = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\xc3\xa9\r\n"
    typed = b"\r\nGET " + TYPED + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    async with served() as (port, raw):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in (typed, body, typed, typed):
            for part in (request[:cut], request[cut:]):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.002)  # so that it comes in a segment of its own
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\nok"), 20)
            assert split(answer)[0] == 200
        writer.close()
    assert [request.target for request in raw.requests] == [TYPED, b"/p", TYPED, TYPED]
    assert raw.requests[1].body == b"\xc3\xa9\r\n"


def whole(chunks: bytes) -> bytes:
    """Return a chunked body without its framing."""
    body = b""
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        body, chunks = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return body


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 4000])
async def test_typed_targets_may_come_in_a_row(size: int) -> None:
    """Behind heads and bodies of every framing, which may look like requests themselves."""
    fake = "GET /é HTTP/1.1\r\n".encode()
    typed = b"GET " + TYPED + b" HTTP/1.1\r\nHost: a\r\nX: \xe9\r\n\r\n"
    length = b"POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(fake) + fake
    chunks = b"%x\r\n%b\r\n0\r\nX: \xe9\r\n\r\n" % (len(fake), fake)
    chunked = b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    row = typed + length + typed + chunked + typed + b"\r\n" + typed + get(TYPED)
    async with served() as (port, raw):
        answer = await in_segments(port, row, size)
    assert answer.count(b"HTTP/1.1 200") == 7
    found = [request.target for request in raw.requests]
    assert found == [TYPED, b"/l", TYPED, b"/c", TYPED, TYPED, TYPED]
    assert raw.requests[1].body == fake
    assert whole(raw.requests[3].body) == fake


@pytest.mark.parametrize("cut", range(1, 140, 7))
async def test_requests_in_a_row_may_be_cut_anywhere(cut: int) -> None:
    """Also between the lines of a head, where empty lines end it."""
    one = b"GET /a HTTP/1.1\r\nHost: a\r\nX-A: \xc3\xa9\r\n\r\n"
    row = one + one + b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\r\n" + get(b"/c")
    async with served() as (port, raw):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for part in (row[:cut], row[cut:]):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.002)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert answer.count(b"HTTP/1.1 200") == 4
    assert [request.target for request in raw.requests] == [b"/a", b"/a", b"/b", b"/c"]


@pytest.mark.parametrize(
    "line",
    [
        b"G\xc3\x89T /s HTTP/1.1",
        b"GET /s\xc3\xa9 HTTP/1.\xc3",
        b"GET /s\x00\xc3\xa9 HTTP/1.1",
        b"GET /s \xc3\xa9 HTTP/1.1",
        b"GET s\xc3\xa9 HTTP/1.1",
        b"\xc3\xa9",
    ],
)
async def test_what_is_no_request_line_is_refused_as_ever(line: bytes) -> None:
    async with served() as (port, raw):
        answer = await exchange(port, line + b"\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert split(answer)[0] == 400
    assert raw.requests == []


async def test_an_absolute_target_stays_on_the_upstream() -> None:
    async with served() as (port, raw):
        answer = await exchange(port, get("http://elsewhere/café?q=é".encode()))
        assert split(answer)[0] == 200
    assert raw.requests[0].target == b"/caf%C3%A9?q=%C3%A9"


async def test_a_fragment_is_cut_off_as_ever() -> None:
    async with served() as (port, raw):
        await exchange(port, get("/é#x?q=1".encode()))
    assert raw.requests[0].target == "/é".encode()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /s HTTP/1.1\r\n\r\n",
        b"GET /s HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET /s HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /s HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /s\r\nHost: a\r\n\r\n",
        b"GET /s?q=a\nX: y HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /s HTTP/2.0\r\nHost: a\r\n\r\n",
    ],
)
async def test_no_host_two_hosts_and_other_versions_are_refused(head: bytes) -> None:
    async with served() as (port, raw):
        assert split(await exchange(port, head))[0] == 400
    assert raw.requests == []


async def test_a_broken_request_is_answered_after_those_before_it() -> None:
    held = Held(b"held")
    async with served(held.answer) as (port, raw):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(2 * b"GET /s HTTP/1.1\r\nHost: a\r\n\r\n" + b"BROKEN\r\n\r\n" + 99 * b"x")
        await asyncio.wait_for(held.arrived.acquire(), 20)
        held.go.set()
        answers = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    found = [answers.find(word) for word in (b"HTTP/1.1 200", b"HTTP/1.1 400")]
    assert answers.count(b"HTTP/1.1 200") == 2
    assert 0 <= found[0] < found[1]
    assert len(raw.requests) == 2


async def test_only_so_many_requests_wait_in_a_row() -> None:
    held = Held(b"held")
    async with served(held.answer) as (port, raw):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(9 * MAX_PIPELINED * b"GET /s HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(held.arrived.acquire(), 20)
        held.go.set()
        answers = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert answers.count(b"HTTP/1.1 200") == len(raw.requests) == MAX_PIPELINED + 1
    assert answers.count(b"HTTP/1.1 400") == 1


async def test_who_has_left_is_gone_for_all_that_it_asked_in_a_row() -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def silent(_: object, reader: asyncio.StreamReader, __: object) -> None:
        arrived.set()
        await reader.read()
        gone.set()

    async with served(silent) as (port, raw):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(2 * b"GET /s HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(arrived.wait(), 20)
        writer.transport.abort()
        await asyncio.wait_for(gone.wait(), 20)  # the exchange was given up
    assert len(raw.requests) == 1


async def test_who_takes_nothing_of_an_answer_is_cut_off() -> None:
    """Else it holds a connection to the upstream for as long as it likes."""
    endless = reply(40_000_000 * b"x")
    async with served(endless, protocol=partial(BoundedProtocol, send_timeout=0.2)) as (port, raw):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /s HTTP/1.1\r\nHost: a\r\n\r\n")
            await asyncio.wait_for(raw.closed.wait(), 20)
        assert raw.open == 0


async def test_who_takes_an_answer_slowly_gets_it_whole() -> None:
    async with served(
        reply(3_000_000 * b"x"), protocol=partial(BoundedProtocol, send_timeout=1.0)
    ) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
        writer.write(get())
        got = 0
        while part := await asyncio.wait_for(reader.read(100_000), 20):
            got += len(part)
            await asyncio.sleep(0.002)
        writer.close()
        assert got > 3_000_000


async def test_nothing_is_kept_of_what_follows_the_last_request() -> None:
    held = Held()
    kept: list[BoundedProtocol] = []

    def made(*given: Any, **named: Any) -> BoundedProtocol:
        kept.append(BoundedProtocol(*given, **named))
        return kept[-1]

    async with served(held.answer, protocol=made) as (port, _):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get() + 4 * MAX_HEAD * b"x")
        await asyncio.wait_for(held.arrived.acquire(), 20)
        await writer.drain()
        await asyncio.sleep(0.05)
        assert all(len(each._line or b"") <= MAX_HEAD for each in kept)
        writer.transport.abort()


OLD = b"GET /s HTTP/1.0\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize("body", [b"", b"ok", 300_000 * b"x"])
async def test_http_1_0_gets_no_chunks(body: bytes) -> None:
    """RFC 9112, 6.1: its clients would take the chunks' sizes for a part of the answer."""

    async def chunked(
        request: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 70_000):
            part = body[start : start + 70_000]
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
        writer.write(b"0\r\n\r\n")

    async with served(chunked) as (port, _):
        status, lines, got = split(await exchange(port, OLD))
    assert (status, got) == (200, body)
    assert (b"connection", b"close") in lines
    assert not {b"transfer-encoding", b"content-length"} & {name for name, _ in lines}


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_http_1_0_is_told_a_length_that_is_known(method: bytes) -> None:
    async with served(reply(b"ok" if method == b"GET" else b"")) as (port, _):
        status, lines, got = split(await exchange(port, OLD.replace(b"GET", method)))
    assert (status, got) == (200, b"ok" if method == b"GET" else b"")
    assert b"content-length" in {name for name, _ in lines}


async def test_http_1_0_gets_an_answer_without_a_body() -> None:
    async with served(reply(b"", status=b"304 Not Modified", length=False)) as (port, _):
        status, lines, got = split(await exchange(port, OLD))
    assert (status, got) == (304, b"")
    assert b"transfer-encoding" not in {name for name, _ in lines}
