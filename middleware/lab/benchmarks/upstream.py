"""The upstream of the benchmarks, and helpers that run servers in processes."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ...errors import ConfigurationError
from .machine import run_on_fastest_loop

STREAM_PATH = "/stream"
"""The path where the upstream streams ``STREAM_SIZE`` bytes, with a pause after the first."""
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
    """Answers each request at once, so that only the server in front of it is measured."""

    def __init__(self) -> None:
        self._received = b""
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
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
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
        run_on_fastest_loop(serve())


@contextmanager
def running(target: Callable[..., None], *arguments: Any) -> Iterator[int]:
    """Run ``target(*arguments, pipe)`` in a process; yields the port that it sends to the pipe.

    Errors: ``ConfigurationError`` if it sends nothing in time.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    # Not a daemon, as it may have child processes.
    process = context.Process(target=target, args=(*arguments, there))
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
    """Run the upstream in a process of its own; yields the port."""
    with running(_serve_upstream) as port:
        yield port


def serve_app(app: Any, pipe: Any, **options: Any) -> None:
    """Serve an ASGI app with uvicorn on a free port, after sending the port to the pipe."""
    import uvicorn

    from ...serving.server import bound_socket

    listener = bound_socket("127.0.0.1", 0)
    listener.listen(1024)  # from now on, connections wait until the app has started
    pipe.send(listener.getsockname()[1])
    config = uvicorn.Config(app, access_log=False, **options)
    uvicorn.Server(config).run(sockets=[listener])
