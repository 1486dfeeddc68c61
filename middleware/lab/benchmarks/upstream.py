"""The upstream that benchmarks of the proxy have, and processes that run beside a benchmark."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ...errors import ConfigurationError
from .machine import run_quickly

__all__ = ["STREAM_PATH", "STREAM_SIZE", "running", "running_upstream"]

STREAM_PATH = "/stream"
"""Where the upstream answers with ``STREAM_SIZE`` bytes, the first of them before the rest."""
STREAM_SIZE = 50 * 1000 * 1000
_CHUNK = 64 * 1024
_PAUSE = 0.25  # seconds between the first chunk of a stream and the next one
_START_LIMIT = 90.0

_HITS = [{"id": n, "title": f"Document {n}", "text": "x" * 63} for n in range(18)]
_BODY = json.dumps({"hits": _HITS}).encode()
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
) + _BODY


class _Upstream(asyncio.Protocol):
    """Answers each request at once: what is measured is what stands before it."""

    def __init__(self) -> None:
        self._held = b""
        self._writable = asyncio.Event()
        self._writable.set()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._held += data
        while b"\r\n\r\n" in self._held:
            head, _, self._held = self._held.partition(b"\r\n\r\n")
            if head.startswith(b"GET %b" % STREAM_PATH.encode()):
                self._task = asyncio.create_task(self._stream())
            else:
                self._transport.write(_ANSWER)

    async def _stream(self) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
        self._transport.write(head + b"Content-Length: %d\r\n\r\n" % STREAM_SIZE)
        chunk, left = bytes(_CHUNK), STREAM_SIZE
        while left:
            await self._writable.wait()
            self._transport.write(chunk[:left])
            if left == STREAM_SIZE:
                await asyncio.sleep(_PAUSE)
            left -= min(left, _CHUNK)


def _serve_upstream(pipe: Any) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(
            _Upstream, "127.0.0.1", 0, backlog=1024
        )
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    with suppress(KeyboardInterrupt):
        run_quickly(serve())


@contextmanager
def running(target: Callable[..., None], *arguments: Any) -> Iterator[int]:
    """Run ``target(*arguments, pipe)`` in a process; gives what it sends first, such as a port."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=target, args=(*arguments, there))  # may have children
    process.start()
    try:
        if not here.poll(_START_LIMIT):
            raise ConfigurationError("a server of the benchmark did not start")
        yield here.recv()
    finally:
        process.terminate()
        process.join(5)


@contextmanager
def running_upstream() -> Iterator[int]:
    """Run the upstream in a process of its own; gives the port."""
    with running(_serve_upstream) as port:
        yield port
