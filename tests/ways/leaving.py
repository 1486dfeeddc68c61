"""Applications with middleware of others outside, and clients that leave them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from middleware import PlainDialect, ReformulationMiddleware, Reformulator, ReverseProxy, SearchRule
from middleware.testing import ScriptedEngine
from tests.upstream.wire import RawUpstream, Received, exchange, front, get, split, upstream

RULES = [SearchRule("/search", dialect=PlainDialect(["q"], ["/query"]))]
FORM = b"Content-Type: application/x-www-form-urlencoded"
CHUNKED = b"Transfer-Encoding: chunked"


@dataclass
class Tracker:
    """An error tracker: a middleware that is told of what is raised, and a log handler."""

    raised: list[BaseException] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    open: int = 0

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return an application that reports what another one raises."""

        async def tracked(scope: Scope, receive: Receive, send: Send) -> None:
            async def note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    self.statuses.append(message["status"])
                await send(message)

            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            self.open += 1
            try:
                await app(scope, receive, note)
            except BaseException as error:
                self.raised.append(error)
                raise
            finally:
                self.open -= 1

        return tracked


class Passing(BaseHTTPMiddleware):
    """Does nothing, as most of its kind do."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Pass a request on."""
        return await call_next(request)


class Scoped:
    """Runs the application in a task of its own, within a time limit."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(self.app, scope, receive, send)  # type: ignore[arg-type]


class Limited:
    """Runs the application within two time limits."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        async with asyncio.timeout(60):
            with anyio.fail_after(60):
                await self.app(scope, receive, send)


OUTSIDE: dict[str, list[Middleware]] = {
    "nothing": [],
    "BaseHTTPMiddleware": [Middleware(Passing)],
    "two of them": [Middleware(Passing), Middleware(Passing)],
    "a task group": [Middleware(Scoped)],
    "gzip around": [Middleware(GZipMiddleware, minimum_size=1), Middleware(Passing)],
    "time limits": [Middleware(Limited)],
    "all": [
        Middleware(Limited),
        Middleware(Passing),
        Middleware(Scoped),
        Middleware(GZipMiddleware, minimum_size=1),
    ],
}


class Upstream:
    """Answers ``/search`` when it is told to, ``/endless`` without an end, and else at once."""

    def __init__(self) -> None:
        self.arrived = 0
        self.texts: list[bytes] = []

    async def answer(
        self, request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one request on the wire."""
        self.arrived += 1
        if b"hang" in request.target:
            await reader.read()
            raise ConnectionError
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while b"endless" in request.target:
            writer.write(b"5\r\nhello\r\n")
            await writer.drain()
            await asyncio.sleep(0.005)
        if b"broken" in request.target:
            writer.write(b"5\r\nhello\r\n")
            await writer.drain()
            writer.close()
            raise ConnectionError
        writer.write(b"2\r\nok\r\n0\r\n\r\n")

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the same as an application, which waits until its client has left."""
        while (message := await receive())["type"] == "http.request" and message.get("more_body"):
            pass
        if message["type"] == "http.disconnect":
            await PlainTextResponse("gone", 400)(scope, receive, send)
            return
        self.arrived += 1
        path, query = scope["path"], scope["query_string"]
        if b"raise" in query:
            raise LookupError(path)
        if b"hang" in query:
            while (await receive())["type"] != "http.disconnect":
                pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if b"endless" in query:
            with contextlib.suppress(OSError):
                for _ in range(40):
                    await send({"type": "http.response.body", "body": b"hello", "more_body": True})
                    await asyncio.sleep(0.005)
        await send({"type": "http.response.body", "body": b"ok"})


@dataclass
class Served:
    """A server with an application around ours, and what was told about it."""

    port: int
    tracker: Tracker
    behind: Upstream
    raw: RawUpstream
    told: list[logging.LogRecord]
    lost: list[dict[str, Any]]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - there is no event for any condition
                await asyncio.sleep(0.005)

    async def quiet(self) -> None:
        """Wait until no request is served any more; fail if anybody was told of an error."""
        await self.until(lambda: not self.tracker.open)
        await asyncio.sleep(0)
        assert self.tracker.raised == []
        assert [record.getMessage() for record in self.told] == []
        assert self.lost == []
        status, _, body = split(await exchange(self.port, get(b"/in/search?q=blue+lamp")))
        assert status == 200
        assert b"ok" in body


@contextlib.asynccontextmanager
async def served(
    kind: str,
    outside: str,
    caplog: pytest.LogCaptureFixture,
    http: str = "h11",
    engine: ScriptedEngine | None = None,
) -> AsyncIterator[Served]:
    """Run ours inside of an application with middleware of others.

    ``kind``: the middleware is ``mounted``, is ``added`` innermost, or is a mounted ``proxy``.
    """
    behind, tracker, lost = Upstream(), Tracker(), list[dict[str, Any]]()
    reformulator = Reformulator(engine or ScriptedEngine(), budget=30)
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: lost.append(context))
    caplog.set_level(logging.WARNING)
    async with upstream(behind.answer) as raw:
        stack = list(OUTSIDE[outside])
        ours: Any = ReverseProxy(raw.url, rules=RULES, reformulator=reformulator)
        if kind == "mounted":
            ours = ReformulationMiddleware(behind.app, reformulator, rules=RULES)
        if kind == "added":
            ours = behind.app
            stack.append(
                Middleware(
                    ReformulationMiddleware,
                    reformulator,
                    rules=[SearchRule("/in/search", dialect=PlainDialect())],
                )
            )
        app = Starlette(routes=[Mount("/in", ours)], middleware=stack)
        await asyncio.to_thread(reformulator.wait_ready)
        async with front(tracker.around(app), http) as port:
            yield Served(port, tracker, behind, raw, caplog.records, lost)
        if kind == "proxy":
            await ours.aclose()
    loop.set_exception_handler(before)
    await asyncio.to_thread(reformulator.close)


def post(target: bytes, *lines: bytes) -> bytes:
    """Return the head of a POST."""
    return get(target, FORM, *lines, method=b"POST")


HALVES: dict[str, bytes] = {
    "half a body": post(b"/in/search", b"Content-Length: 20") + b"q=red",
    "none of a body": post(b"/in/search", b"Content-Length: 20"),
    "all but a byte": post(b"/in/search", b"Content-Length: 10") + b"q=red+lam",
    "half a chunk": post(b"/in/search", CHUNKED) + b"10\r\nq=red",
    "a chunk and no end": post(b"/in/search", CHUNKED) + b"5\r\nq=red\r\n",
    "half of the end": post(b"/in/search", CHUNKED) + b"5\r\nq=red\r\n0\r\n",
    "no search, half a body": post(b"/in/other", b"Content-Length: 20") + b"q=red",
    "no search, half a chunk": post(b"/in/other", CHUNKED) + b"10\r\nq=red",
    "a long body that is not read ahead": (
        post(b"/in/search", b"Content-Length: 900000") + b"q=" + b"x" * 400_000
    ),
    "a search by GET with half a body": (
        get(b"/in/search?q=red", b"Content-Length: 9", FORM) + b"q=r"
    ),
}


async def leave(writer: asyncio.StreamWriter, how: str) -> None:
    """Leave a connection: close it, reset it, or close its sending side only."""
    if how == "eof":
        writer.write_eof()
        return
    if how == "reset":
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return
    writer.close()
