"""Closed-loop load: each connection sends its next request as soon as it has an answer.

One process drives all connections. Its share of a core is reported, as a load generator at its
limit measures itself.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_WARM_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Sample:
    """The result of one round of load; all times are in seconds.

    ``client_seconds`` is the processor time of the load generator. ``wrong`` counts answers
    that are not as expected, and closed connections.
    """

    count: int
    seconds: float
    latencies: list[float]
    client_seconds: float
    wrong: int


class HttpConnection(asyncio.Protocol):
    """A kept-alive connection with one request at a time; a subclass says what it does."""

    transport: asyncio.Transport
    received = b""  # of an answer that is not complete
    _length = _body_from = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        received = self.received = self.received + data if self.received else data
        if not self._length:
            self._body_from = received.find(b"\r\n\r\n") + 4
            if self._body_from < 4:
                return
            length = _CONTENT_LENGTH.search(received, 0, self._body_from)
            # Without a length the answer is chunked. The length is -1 until the last chunk.
            self._length = self._body_from + int(length[1]) if length else -1
        complete = (
            len(received) >= self._length if self._length > 0 else received.endswith(_LAST_CHUNK)
        )
        if complete:
            self.received, self._length = b"", 0
            self.answered(received, self._body_from)

    def answered(self, answer: bytes, body_from: int) -> None:
        """Handle a whole answer, whose body begins at ``body_from``."""
        raise NotImplementedError


class _Repeating(HttpConnection):
    """Sends a request again and again; an answer without ``expected`` in it counts as wrong."""

    def __init__(self, request: bytes, expected: bytes) -> None:
        self.latencies: list[float] = []
        self.wrong = 0
        self.closed = False
        self._request = request
        self._expected = expected
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self.transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True

    def answered(self, answer: bytes, body_from: int) -> None:
        self.latencies.append(time.perf_counter() - self._sent_at)
        if self._expected not in answer or not answer.startswith(b"HTTP/1.1 200"):
            self.wrong += 1
        self._send()


async def closed_loop(
    port: int, target: str, connections: int, seconds: float, *, expected: bytes = b""
) -> Sample:
    """Keep ``connections`` busy for ``seconds`` after a warm-up, and measure."""
    loop = asyncio.get_running_loop()
    request = get_request(target)
    opened = [
        (await loop.create_connection(lambda: _Repeating(request, expected), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    try:
        await asyncio.sleep(_WARM_SECONDS)
        for each in opened:
            each.latencies.clear()
            each.wrong = 0
        began, worked = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        elapsed, worked = time.perf_counter() - began, time.process_time() - worked
        latencies = [latency for each in opened for latency in each.latencies]
        wrong = sum(each.wrong + each.closed for each in opened)
        return Sample(len(latencies), elapsed, latencies, worked, wrong)
    finally:
        for each in opened:
            each.transport.abort()
        await asyncio.sleep(0)


async def first_answer(port: int, target: str) -> bytes:
    """Return the head of one answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(get_request(target, "Connection: close"))
        return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


async def streamed(
    port: int, target: str, size: int, *, stall: float = 0.0, watch: Callable[[], int] = lambda: 0
) -> tuple[float, float, int]:
    """Read an answer of ``size`` bytes; wait for ``stall`` seconds after its first byte.

    Returns the seconds to the first byte of the body, the seconds to its last byte, and the
    largest value of ``watch`` meanwhile. Errors: ``EOFError`` for a shorter answer.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**18)
    most, done = watch(), asyncio.Event()

    async def look() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, watch())
            await asyncio.sleep(0.005)

    watcher = asyncio.create_task(look())
    try:
        began = time.perf_counter()
        writer.write(get_request(target, "Connection: close"))
        await reader.readuntil(b"\r\n\r\n")
        left = size - len(await reader.readexactly(1))
        first = time.perf_counter() - began
        if stall:
            await asyncio.sleep(stall)
        while left > 0:
            chunk = await reader.read(2**18)
            if not chunk:
                raise EOFError(f"{left} of {size} bytes are missing")
            left -= len(chunk)
        return first, time.perf_counter() - began, most
    finally:
        done.set()
        await watcher
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def quantile(values: list[float], share: float) -> float:
    """Return the quantile ``share`` of some values, or 0 for none."""
    ordered = sorted(values) or [0.0]
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def get_request(target: str, *lines: str) -> bytes:
    """Return the bytes of a GET request with further header lines."""
    head = "".join(f"{line}\r\n" for line in ("Host: localhost", "Accept: */*", *lines))
    return f"GET {target} HTTP/1.1\r\n{head}\r\n".encode()
