"""Clients that do not read their answers: others are served, and memory is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import ConnectionLimits, ReverseProxy, Timeouts, UpstreamClient
from middleware.serving.protocol import BoundedProtocol
from middleware.upstream.lease import BufferBudget
from middleware.upstream.response_parser import STEP, ResponseParser
from tests.upstream.wire import Received, exchange, front, get, split, upstream

pytestmark = pytest.mark.anyio

FRONTS = [BoundedProtocol, "h11", "httptools"]
CONNECTIONS = 8
SMALL = 8192  # bytes of a socket's buffer
MIB = 2**20

Part = Callable[[asyncio.StreamWriter], Awaitable[None]]


@cache
def _body(size: int) -> bytes:
    """Return bytes that tell where each of them stands."""
    return b"".join(b"%07d," % at for at in range(size // 8))


def _with_length(size: int, status: bytes = b"200 OK", *lines: bytes) -> Part:
    async def write(writer: asyncio.StreamWriter) -> None:
        head = [b"HTTP/1.1 " + status, b"Content-Length: %d" % size, *lines]
        writer.write(b"\r\n".join(head) + b"\r\n\r\n" + _body(size))
        await writer.drain()

    return write


def _chunked(size: int, each: int) -> Part:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        body = _body(size)
        for at in range(0, size, each):
            part = body[at : at + each]
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    return write


async def _until_close(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + _body(6 * MIB))
    await writer.drain()
    writer.close()


async def _endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    while True:
        writer.write(b"data: " + b"x" * 50_000 + b"\n\n")
        await writer.drain()


async def _stops_in_the_middle(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (6 * MIB) + _body(4 * MIB))
    await writer.drain()
    await asyncio.sleep(3600)


ANSWERS: dict[str, Part] = {
    "fits into the step": _with_length(200 * 1024),
    "a little more": _with_length(600 * 1024),
    "fits into the buffer": _with_length(2 * MIB),
    "fits into no buffer": _with_length(6 * MIB),
    "chunks, fit": _chunked(MIB, 65536),
    "chunks, do not fit": _chunked(6 * MIB, 100_000),
    "small chunks": _chunked(MIB, 64),
    "until the end": _until_close,
    "without an end": _endless,
    "stops in the middle": _stops_in_the_middle,
    "not found": _with_length(3 * MIB, b"404 Not Found"),
    "closes": _with_length(3 * MIB, b"200 OK", b"Connection: close"),
}

CLOSING = b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
REQUESTS: dict[str, bytes] = {
    "one": b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
    "pipelined": b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n" * 20,
    "posted": b"POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"PUT /big HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\n\r\n",
    "version 1.0": b"GET /big HTTP/1.0\r\nHost: a\r\n\r\n",
}


class _Slow:
    """A proxy with few connections, an upstream with large answers, and clients that are slow."""

    def __init__(self, port: int, client: UpstreamClient) -> None:
        self.port = port
        self.client = client
        self._opened: list[socket.socket] = []

    async def ask(self, request: bytes) -> socket.socket:
        """Send a request, and read nothing."""
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        opened.setblocking(False)
        self._opened.append(opened)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(opened, ("127.0.0.1", self.port))
        await loop.sock_sendall(opened, request)
        return opened

    async def until_held(self, count: int) -> None:
        """Wait until clients hold so many connections."""
        async with asyncio.timeout(20):
            while self.client.active_connections < count:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.01)

    async def others(self, count: int = 5) -> list[int]:
        """Return the statuses that so many other clients get, one after the other."""
        return [split(await exchange(self.port, get(b"/other")))[0] for _ in range(count)]

    def close(self) -> None:
        for each in self._opened:
            each.close()


@contextlib.asynccontextmanager
async def _slow(
    big: Part, answered: object = BoundedProtocol, **limits: int
) -> AsyncIterator[_Slow]:
    async def answer(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if request.target == b"/big":
            await big(writer)
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with upstream(answer) as raw:
        bounds = ConnectionLimits(**{"max_connections": CONNECTIONS, **limits})
        client = UpstreamClient(raw.url, limits=bounds, timeouts=Timeouts(pool=10.0))
        proxy = ReverseProxy(client, rules=[], server_timing=False)
        async with front(proxy, answered, send_buffer=SMALL) as port:
            slow = _Slow(port, client)
            try:
                yield slow
            finally:
                slow.close()


async def _read_all(opened: socket.socket) -> bytes:
    loop, parts = asyncio.get_running_loop(), []
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionError):
            while data := await loop.sock_recv(opened, 65536):
                parts.append(data)
    return b"".join(parts)


def _content(answer: bytes) -> bytes:
    """Return an answer's body without its framing. Errors: ``ValueError`` if it was cut off."""
    _, lines, body = split(answer)
    if (b"transfer-encoding", b"chunked") not in lines:
        return body
    parts: list[bytes] = []
    while True:
        line, _, body = body.partition(b"\r\n")
        if not (size := int(line, 16)):
            return b"".join(parts)
        parts.append(body[:size])
        body = body[size + 2 :]


@pytest.mark.parametrize("answered", FRONTS, ids=["serve", "h11", "httptools"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_others_are_served(name: str, answered: object) -> None:
    """Three times as many clients as connections read nothing."""
    async with _slow(ANSWERS[name], answered) as slow:
        for _ in range(3 * CONNECTIONS):
            await slow.ask(REQUESTS["one"])
        assert await slow.others() == [200] * 5


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=list(REQUESTS))
@pytest.mark.parametrize("name", ["fits into the buffer", "chunks, do not fit"])
async def test_others_are_served_whatever_was_asked(name: str, request_: bytes) -> None:
    async with _slow(ANSWERS[name]) as slow:
        for _ in range(2 * CONNECTIONS):
            await slow.ask(request_)
        assert await slow.others() == [200] * 5


@pytest.mark.parametrize("limits", [{"max_waiting": 0}, {"max_buffered": 0}, {"max_waiting": 1}])
@pytest.mark.parametrize("name", ["fits into the step", "fits into the buffer", "without an end"])
async def test_others_are_served_within_narrow_bounds(name: str, limits: dict[str, int]) -> None:
    """Where nobody may wait, some are turned away until a client was seen to take nothing."""
    async with _slow(ANSWERS[name], **limits) as slow:
        for _ in range(CONNECTIONS):
            await slow.ask(REQUESTS["one"])
        async with asyncio.timeout(20):
            while await slow.others(1) != [200]:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.05)


async def test_256_clients() -> None:
    """As many as the default allows, at its limits."""
    async with _slow(ANSWERS["fits into no buffer"], max_connections=256) as slow:
        for _ in range(256):
            await slow.ask(REQUESTS["one"])
        await slow.until_held(256)
        assert await slow.others(20) == [200] * 20


@pytest.mark.parametrize("answered", FRONTS, ids=["serve", "h11", "httptools"])
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("fits into the step", 200 * 1024),
        ("a little more", 600 * 1024),
        ("fits into the buffer", 2 * MIB),
        ("chunks, fit", MIB),
        ("small chunks", MIB),
    ],
)
async def test_a_buffered_answer_is_whole(name: str, size: int, answered: object) -> None:
    """Whoever reads late gets all of it, though the connection went to others."""
    async with _slow(ANSWERS[name], answered, max_connections=1) as slow:
        late = await slow.ask(CLOSING)
        assert await slow.others() == [200] * 5
        assert _content(await _read_all(late)) == _body(size)


@pytest.mark.parametrize(
    ("name", "size"),
    [("fits into no buffer", 6 * MIB), ("chunks, do not fit", 6 * MIB), ("not found", 3 * MIB)],
)
async def test_nothing_is_cut_while_a_connection_is_free(name: str, size: int) -> None:
    async with _slow(ANSWERS[name]) as slow:
        late = [await slow.ask(CLOSING) for _ in range(CONNECTIONS - 1)]
        await slow.until_held(CONNECTIONS - 1)
        await asyncio.sleep(1)  # longer than the patience
        assert await slow.others() == [200] * 5
        for answer in await asyncio.gather(*map(_read_all, late)):
            assert _content(answer) == _body(size)


@pytest.mark.parametrize("name", ["fits into no buffer", "chunks, do not fit", "until the end"])
async def test_who_reads_is_not_cut(name: str) -> None:
    """One reads in small parts and others nothing: those lose their answers."""
    async with _slow(ANSWERS[name], max_connections=4) as slow:
        reader, writer = await asyncio.open_connection("127.0.0.1", slow.port, limit=SMALL)
        writer.write(CLOSING)
        parts = [await reader.read(SMALL)]
        waiting: asyncio.Future[list[int]] | None = None
        async with asyncio.timeout(60):
            while part := await reader.read(SMALL):
                parts.append(part)
                await asyncio.sleep(0.005)
                if len(parts) == 50:  # it was seen to read
                    for _ in range(8):
                        await slow.ask(REQUESTS["one"])
                    waiting = asyncio.ensure_future(slow.others())
            assert waiting is not None
            assert await waiting == [200] * 5
        writer.close()
    assert _content(b"".join(parts)) == _body(6 * MIB)


async def test_a_stream_still_streams_while_others_wait() -> None:
    """Its client reads all there is; that the upstream is silent is no fault of the client."""
    parts: asyncio.Queue[bytes] = asyncio.Queue()

    async def streaming(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while part := await parts.get():
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async with _slow(streaming, max_connections=1) as slow:
        reader, writer = await asyncio.open_connection("127.0.0.1", slow.port)
        writer.write(REQUESTS["one"])
        await slow.until_held(1)
        waiting = asyncio.ensure_future(slow.others(1))
        async with asyncio.timeout(20):
            for number in range(12):
                await asyncio.sleep(0.15)  # in all longer than the patience
                parts.put_nowait(b"part %d" % number)
                await reader.readuntil(b"part %d" % number)
            assert not waiting.done()
            parts.put_nowait(b"")
            await reader.readuntil(b"\r\n0\r\n\r\n")
            assert await waiting == [200]
        writer.close()


async def test_a_handed_on_connection_is_used_again() -> None:
    """It carries other requests while the rest of the first answer waits for its client."""
    async with _slow(ANSWERS["fits into the step"], max_connections=1) as slow:
        for _ in range(10):
            await slow.ask(REQUESTS["one"])
        assert await slow.others() == [200] * 5
        async with asyncio.timeout(10):
            while slow.client.active_connections:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.01)


async def test_callers_of_the_client_may_take_their_time() -> None:
    """Only a relayed answer is given up: whoever reads one in Python may be busy with it."""
    async with _slow(ANSWERS["fits into no buffer"], max_connections=1) as slow:
        async with slow.client.exchange("GET", b"/big", [(b"host", b"a")]) as response:
            waiting = asyncio.ensure_future(slow.others(1))
            await asyncio.sleep(1)
            body = b"".join([part async for part in response])
        assert body == _body(6 * MIB)
        assert await waiting == [200]


@given(
    st.integers(0, 8 * MIB),
    st.lists(
        st.tuples(st.sampled_from(["extend", "take", "settle"]), st.integers(0, 5)), max_size=60
    ),
    st.integers(0, 3 * MIB),
)  # fmt: skip
def test_a_budget_is_never_exceeded_and_comes_back(
    most: int, steps: list[tuple[str, int]], size: int
) -> None:
    budget, answers = BufferBudget(most), [ResponseParser() for _ in range(6)]
    for what, index in steps:
        answer = answers[index]
        if what == "extend":
            budget.extend(answer)
        elif what == "take":
            budget.take(answer, size)
        else:
            budget.settle(answer)
        assert budget.free >= 0
        assert budget.free + sum(each.charged for each in answers) == most
        assert STEP <= answer.allowed <= 2 * MIB
    for answer in answers:
        budget.settle(answer)
    assert budget.free == most


@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=80))
def test_a_buffer_is_taken_in_parts_without_loss(sizes: list[int]) -> None:
    parser = ResponseParser()
    parser.expect(bodyless=False)
    body = _body(8 + sum(sizes))[: sum(sizes)]
    parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
    at = 0
    for size in sizes:
        parser.feed(body[at : at + size])
        at += size
    parts = []
    while part := parser.take():
        assert len(part) <= 65536
        parts.append(part)
    assert b"".join(parts) == body
    assert parser.buffered == 0
    assert parser.complete
