"""The load of ``querylift bench proxy``: connections that ask again as soon as they were answered.

One process drives them all. How much of a core it took is told with the figures, as a load
generator that is out of breath measures itself.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

__all__ = ["Sample", "closed_loop", "first_answer", "quantile", "streamed"]

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_WARM_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Sample:
    """What a span of load came to: answers, seconds, each answer's seconds, the client's own."""

    count: int
    seconds: float
    latencies: list[float]
    client_seconds: float
    odd: int


class _Connection(asyncio.Protocol):
    """One kept-alive connection; ``wanted`` has to be in each answer, else it counts as odd."""

    def __init__(self, request: bytes, wanted: bytes) -> None:
        self.latencies: list[float] = []
        self.odd = 0
        self.closed = False
        self._request = request
        self._wanted = wanted
        self._held = b""
        self._need = 0
        self._sent = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True

    def data_received(self, data: bytes) -> None:
        held = self._held = self._held + data if self._held else data
        if not self._need:
            end = held.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(held, 0, end)
            # Without a length it is chunked, and ends with its last chunk.
            self._need = end + 4 + int(length[1]) if length else -1
        whole = len(held) >= self._need if self._need > 0 else held.endswith(_LAST_CHUNK)
        if whole:
            self.latencies.append(time.perf_counter() - self._sent)
            if self._wanted not in held or not held.startswith(b"HTTP/1.1 200"):
                self.odd += 1
            self._held, self._need = b"", 0
            self._ask()

    def close(self) -> None:
        self._transport.abort()


async def closed_loop(
    port: int, target: str, connections: int, seconds: float, *, wanted: bytes = b""
) -> Sample:
    """Keep ``connections`` busy for ``seconds``, after a warm-up, and count."""
    loop = asyncio.get_running_loop()
    request = _request(target)
    made = [
        (await loop.create_connection(lambda: _Connection(request, wanted), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    try:
        await asyncio.sleep(_WARM_SECONDS)
        for each in made:
            each.latencies.clear()
            each.odd = 0
        began, worked = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        elapsed, worked = time.perf_counter() - began, time.process_time() - worked
        latencies = [latency for each in made for latency in each.latencies]
        odd = sum(each.odd + each.closed for each in made)
        return Sample(len(latencies), elapsed, latencies, worked, odd)
    finally:
        for each in made:
            each.close()
        await asyncio.sleep(0)


async def first_answer(port: int, target: str) -> bytes:
    """Return the head of one answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(_request(target, "Connection: close"))
        return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


async def streamed(
    port: int,
    target: str,
    size: int,
    *,
    stall: float = 0.0,
    watch: Callable[[], int] = lambda: 0,
) -> tuple[float, float, int]:
    """Read an answer of ``size`` bytes as it comes; after the first, wait for ``stall`` seconds.

    Returns the seconds to the body's first byte and to its last one, and the most that
    ``watch`` told meanwhile. Errors: ``EOFError`` where it is shorter.
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
        writer.write(_request(target, "Connection: close"))
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
    """Return the value below which a share of all lies; 0 for none."""
    ordered = sorted(values) or [0.0]
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _request(target: str, *lines: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in ("Host: localhost", "Accept: */*", *lines))
    return f"GET {target} HTTP/1.1\r\n{head}\r\n".encode()
