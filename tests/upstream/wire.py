"""Real sockets for the upstream tests: a raw upstream that records bytes, and uvicorn in front."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

FRONTS = ["h11", *(["httptools"] if importlib.util.find_spec("httptools") else [])]


@dataclass
class Received:
    """One request as it stood on the wire."""

    head: bytes
    body: bytes = b""

    @property
    def target(self) -> bytes:
        return self.head.split(b"\r\n", 1)[0].split(b" ", 1)[1].rsplit(b" ", 1)[0]

    @property
    def lines(self) -> list[tuple[bytes, bytes]]:
        pairs = (line.split(b": ", 1) for line in self.head.split(b"\r\n")[1:] if line)
        return [(name.lower(), value) for name, value in pairs]

    def values(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.lines if found == name]


Answer = Callable[["Received", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def reply(
    body: bytes = b"ok", *lines: bytes, status: bytes = b"200 OK", length: bool = True
) -> Answer:
    """An answer with ``Content-Length`` (unless told otherwise) and the given header lines."""
    head = [b"HTTP/1.1 " + status, *lines]
    if length:
        head.append(b"Content-Length: %d" % len(body))
    message = b"\r\n".join(head) + b"\r\n\r\n" + body

    async def answer(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(message)

    return answer


class Held:
    """An upstream that answers when it is told to."""

    def __init__(self, body: bytes = b"ok") -> None:
        self.body = body
        self.go = asyncio.Event()
        self.arrived = asyncio.Semaphore(0)

    async def answer(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.arrived.release()
        await self.go.wait()
        await reply(self.body)(request, reader, writer)


@contextmanager
def silent_address() -> Iterator[str]:
    """Give the URL of a listener whose queue is full: it takes no connection, and refuses none."""
    with ExitStack() as opened:
        full = opened.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            each = opened.enter_context(socket.socket())
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


@dataclass
class RawUpstream:
    """An upstream on a real socket; ``answer`` writes bytes, and may close the writer."""

    answer: Answer = field(default_factory=reply)
    read_body: bool = True
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def drop_connections(self) -> None:
        """Close every connection, kept-alive ones included."""
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n"))[:-4]
                request = Received(head)
                self.requests.append(request)
                if self.read_body:
                    request.body = await _body(request, reader)
                await self.answer(request, reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            self.closed.set()
            self._writers.discard(writer)
            writer.close()


async def _body(request: Received, reader: asyncio.StreamReader) -> bytes:
    if lengths := request.values(b"content-length"):
        return await reader.readexactly(int(lengths[0]))
    if request.values(b"transfer-encoding"):
        parts, size = [], 1
        while size:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            parts += [line, await reader.readexactly(size + 2)]
        return b"".join(parts)
    return b""


@contextlib.asynccontextmanager
async def upstream(answer: Answer | None = None, **options: Any) -> AsyncIterator[RawUpstream]:
    """Run a ``RawUpstream`` on a free port of 127.0.0.1."""
    raw = RawUpstream(answer or reply(), **options)
    server = await asyncio.start_server(raw._serve, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()
        raw.drop_connections()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def front(
    app: Any, http: Any = "h11", *, send_buffer: int | None = None, **options: Any
) -> AsyncIterator[int]:
    """Serve ``app`` with uvicorn on a free port of 127.0.0.1; gives the port.

    A small ``send_buffer`` keeps the system from taking megabytes for a client that reads nothing.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    if send_buffer is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    settings: dict[str, Any] = {
        "http": http,
        "ws": "none",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        **options,
    }
    config = uvicorn.Config(app, **settings)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    # serve() would take over the test process's signal handlers, and poll ten times a second.
    await server.startup(sockets=[listener])
    try:
        yield int(listener.getsockname()[1])
    finally:
        for listening in server.servers:
            listening.close()
        state = server.server_state
        for connection in list(state.connections):
            connection.shutdown()
        if state.tasks:
            _, unfinished = await asyncio.wait(state.tasks, timeout=1)
            for task in unfinished:
                task.cancel()
        await server.lifespan.shutdown()


async def exchange(port: int, request: bytes, *, deadline: float = 10.0) -> bytes:
    """Send ``request`` and read until the server closes; ask it to in ``request``."""
    async with asyncio.timeout(deadline):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def in_segments(port: int, data: bytes, size: int, *, deadline: float = 20.0) -> bytes:
    """Send ``data`` in segments of ``size`` bytes, and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for at in range(0, len(data), size):
        writer.write(data[at : at + size])
        await asyncio.sleep(0)
    answer = await asyncio.wait_for(reader.read(), deadline)
    writer.close()
    return answer


def get(target: bytes = b"/", *lines: bytes, method: bytes = b"GET") -> bytes:
    """A request head that asks the server to close afterwards."""
    head = [b"%b %b HTTP/1.1" % (method, target), b"Host: front.test", b"Connection: close"]
    return b"\r\n".join([*head, *lines]) + b"\r\n\r\n"


def split(response: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, header lines (names in lower case) and the raw body."""
    head, _, body = response.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    pairs = (line.split(b": ", 1) for line in lines)
    return int(status.split(b" ")[1]), [(name.lower(), value) for name, value in pairs], body
