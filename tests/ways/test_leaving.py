"""Clients that leave while middleware of others stands outside: nobody is told of an error."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from middleware import ReformulationMiddleware, Reformulator
from middleware.testing import ScriptedEngine
from tests.upstream.wire import exchange, get, split

from .leaving import (
    HALVES,
    OUTSIDE,
    RULES,
    leave,
    served,
)

pytestmark = pytest.mark.anyio

INSIDE = pytest.mark.parametrize("kind", ["mounted", "added", "proxy"])
BELOW = pytest.mark.parametrize("outside", OUTSIDE)


@BELOW
@INSIDE
async def test_leaving_before_the_request_is_complete(
    kind: str, outside: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(kind, outside, caplog) as server:
        for sent in HALVES.values():
            for how in ("close", "reset", "eof"):
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(sent)
                await writer.drain()
                await server.until(lambda: server.tracker.open)
                await leave(writer, how)
                await server.quiet()
                writer.close()


@BELOW
@INSIDE
async def test_leaving_before_the_answer(
    kind: str, outside: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(kind, outside, caplog) as server:
        for target in (b"/in/search?q=red+hang", b"/in/other?hang"):
            for how in ("close", "reset", "eof"):
                before = server.behind.arrived
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(get(target))
                await server.until(lambda before=before: server.behind.arrived > before)  # type: ignore[misc]
                await leave(writer, how)
                await server.quiet()
                writer.close()


@pytest.mark.parametrize("http", ["h11", "httptools"])
@BELOW
@INSIDE
async def test_leaving_during_the_answer(
    kind: str, outside: str, http: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(kind, outside, caplog, http) as server:
        for target in (b"/in/search?q=red+endless", b"/in/other?endless"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(get(target))
            await reader.readuntil(b"hello")
            await leave(writer, "reset")
            await server.quiet()


@BELOW
@INSIDE
async def test_leaving_while_the_text_is_decided_about(
    kind: str, outside: str, caplog: pytest.LogCaptureFixture
) -> None:
    go = threading.Event()
    engine = ScriptedEngine(lambda text: (go.wait(30) and text) or text)
    async with served(kind, outside, caplog, engine=engine) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(get(b"/in/search?q=red+lamp"))
        await server.until(lambda: engine.calls)
        await leave(writer, "close")
        go.set()
        await server.quiet()


@BELOW
@pytest.mark.parametrize("kind", ["mounted", "added"])
async def test_what_an_application_raises_is_still_told(
    kind: str, outside: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(kind, outside, caplog) as server:
        response = await exchange(server.port, get(b"/in/search?q=red&raise"))
        assert split(response)[0] == 500
        (error,) = server.tracker.raised
        while isinstance(error, ExceptionGroup):  # a task group's
            (error,) = error.exceptions
        assert isinstance(error, LookupError)


@BELOW
async def test_an_answer_that_breaks_off_is_still_told(
    outside: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with served("proxy", outside, caplog) as server:
        response = await exchange(server.port, get(b"/in/search?q=red+broken"))
        assert b"200 OK" in response
        # With ``BaseHTTPMiddleware`` outside, the answer itself looks complete.
        assert response.endswith(b"0\r\n\r\n") is (
            outside not in ("nothing", "a task group", "time limits")
        )
        assert server.tracker.raised


async def test_a_client_that_left_counts_as_such(caplog: pytest.LogCaptureFixture) -> None:
    """Who counts statuses outside sees that of nginx for a request that its client closed."""
    async with served("mounted", "BaseHTTPMiddleware", caplog) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HALVES["half a body"])
        await server.until(lambda: server.tracker.open)
        await leave(writer, "close")
        await server.quiet()
        assert server.tracker.statuses[0] == 499
        assert server.behind.arrived == 1  # by ``quiet``


async def test_a_server_that_refuses_to_send(caplog: pytest.LogCaptureFixture) -> None:
    """By the specification since 2.4, ``send`` raises ``OSError`` once the client has left."""
    caplog.set_level(logging.WARNING)
    messages = [
        {"type": "http.request", "body": b"q=r", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        raise OSError("gone")

    scope = {
        "type": "http", "method": "POST", "path": "/search", "raw_path": b"/search",
        "query_string": b"", "headers": [(b"content-length", b"9"), (
            b"content-type", b"application/x-www-form-urlencoded")],
    }  # fmt: skip
    with Reformulator(ScriptedEngine()) as reformulator:
        app = PlainTextResponse("never")
        await ReformulationMiddleware(app, reformulator, rules=RULES)(scope, receive, send)
    assert caplog.records == []
