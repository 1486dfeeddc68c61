"""Reading bodies: bounded, whole or not at all, and without hiding the client from the app."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from middleware import (
    ConfigurationError,
    PlainDialect,
    ReformulationMiddleware,
    Reformulator,
    SearchRule,
)
from middleware.testing import ManualClock, ScriptedEngine

from .conftest import Build
from .driving import FORM, JSON, App, Client, body_messages, call, http_scope, said, until

pytestmark = pytest.mark.anyio

RULES = [SearchRule("/search", dialect=PlainDialect(["q"], ["/query"]))]
DISCONNECT: Message = {"type": "http.disconnect"}


async def test_a_large_upload_streams_through(reformulator: Reformulator) -> None:
    """Past the bound no chunk is taken from the client before the app asks for it."""
    chunk = b"q=" + b"x" * 1022
    client = Client(body_messages(*[chunk] * 64))
    taken: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            taken.append(client.received)
            assert message["body"] == chunk
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})

    middleware = ReformulationMiddleware(app, reformulator, rules=RULES, max_body=4096)
    await middleware(http_scope("POST", headers=[FORM]), client.receive, client.send)
    assert taken == [*[5] * 5, *range(6, 65)]
    assert said(client.result).startswith("skipped;reason=no_text;looked=q in the URL")


@pytest.mark.parametrize("chunks", [1, 2, 5])
@pytest.mark.parametrize("over", [0, 1])
async def test_the_bound_is_exact(
    reformulator: Reformulator, engine: ScriptedEngine, chunks: int, over: int
) -> None:
    """A body of ``max_body`` bytes is looked into, one byte more is not, in one piece or many."""
    body = b"a=1&q=red+lamp"
    size = -(-len(body) // chunks)
    app = App()
    middleware = ReformulationMiddleware(app, reformulator, rules=RULES, max_body=len(body) - over)
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    await call(middleware, http_scope("POST", headers=[FORM]), body_messages(*parts))
    assert app.bodies == [body if over else b"a=1&q=lifted+red+lamp"]
    assert bool(engine.calls) is not bool(over)


async def test_a_bound_of_none_still_finds_texts_in_the_url(reformulator: Reformulator) -> None:
    app = App()
    middleware = ReformulationMiddleware(app, reformulator, rules=RULES, max_body=0)
    scope = http_scope("POST", query=b"q=red+lamp", headers=[FORM])
    await call(middleware, scope, body_messages(b"q=blue+chair"))
    assert app.query == b"q=lifted+red+lamp"
    assert app.bodies == [b"q=blue+chair"]
    with pytest.raises(ConfigurationError, match="max_body"):
        ReformulationMiddleware(app, reformulator, rules=[], max_body=-1)


@pytest.mark.parametrize("rewritten", [True, False])
async def test_the_body_comes_once_and_then_receive_waits_for_the_real_disconnect(
    reformulator: Reformulator, rewritten: bool
) -> None:
    """An app that listens for its client leaving neither hangs nor is told too early."""
    events: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        events.append(body.decode())
        assert (await receive())["type"] == "http.disconnect"
        events.append("gone")

    client = Client(body_messages(b"q=red", b"+la", b"mp" if rewritten else b"mp*"))
    middleware = ReformulationMiddleware(app, reformulator, rules=RULES)
    task = asyncio.ensure_future(
        middleware(http_scope("POST", headers=[FORM]), client.receive, client.send)
    )
    await until(lambda: events)
    for _ in range(50):
        await asyncio.sleep(0)
    assert events == ["q=lifted+red+lamp" if rewritten else "q=red+lamp*"]
    client.gone.set()
    await asyncio.wait_for(task, 5)
    assert events[1:] == ["gone"]


@pytest.mark.parametrize(
    "messages",
    [
        [DISCONNECT],
        [{"type": "http.request", "body": b'{"query": "red', "more_body": True}, DISCONNECT],
        [{"type": "http.request", "body": b'{"query": "red lamp"}', "more_body": True}, DISCONNECT],
    ],
)
async def test_a_client_that_leaves_in_mid_body_is_no_request(
    reformulator: Reformulator,
    engine: ScriptedEngine,
    caplog: pytest.LogCaptureFixture,
    messages: list[Message],
) -> None:
    """Nothing is forwarded, asked of the engine or logged; the answer is for middleware outside."""
    app = App()
    middleware = ReformulationMiddleware(app, reformulator, rules=RULES)
    client = await call(middleware, http_scope("POST", headers=[JSON]), messages)
    assert not app.scopes
    assert not engine.calls
    assert client.status == 499
    assert client.body == b""
    assert not caplog.records
    assert reformulator.stats().memo.entries == 0


async def test_an_upload_past_the_bound_that_breaks_off_is_the_apps_to_see(
    reformulator: Reformulator,
) -> None:
    app = App()
    middleware = ReformulationMiddleware(app, reformulator, rules=RULES, max_body=10)
    first: Message = {"type": "http.request", "body": b"q=" + b"x" * 20, "more_body": True}
    await call(middleware, http_scope("POST", headers=[FORM]), [first, DISCONNECT])
    assert app.messages == [first, DISCONNECT]


async def test_messages_may_leave_out_what_has_a_default(reformulator: Reformulator) -> None:
    """``body`` and ``more_body`` need not be there (ASGI HTTP, request)."""
    app = App()
    middleware = ReformulationMiddleware(app, reformulator, rules=RULES)
    await call(
        middleware,
        http_scope("POST", headers=[FORM]),
        [
            {"type": "http.request", "more_body": True},
            {"type": "http.request", "body": b"q=red+lamp", "more_body": True},
            {"type": "http.request"},
        ],
    )
    assert app.bodies == [b"q=lifted+red+lamp"]
    await call(middleware, http_scope("POST", headers=[FORM]), [{"type": "http.request"}])
    assert app.bodies[1] == b""


async def test_a_scope_needs_no_more_than_the_specification_asks_for(
    reformulator: Reformulator,
) -> None:
    """``raw_path``, ``root_path``, ``client``, ``server``, ``state``, ``extensions`` may lack."""
    app = App()
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "path": "/search",
        "query_string": b"q=red+lamp",
        "headers": [],
        "extensions": None,
    }
    await call(ReformulationMiddleware(app, reformulator, rules=RULES), scope)
    assert app.query == b"q=lifted+red+lamp"


async def test_a_client_that_leaves_reaches_an_app_that_waits(
    reformulator: Reformulator,
) -> None:
    """Upstream slow, client gone: the app hears of it although its request was rewritten."""
    heard = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        heard.set()

    client = Client()
    middleware = ReformulationMiddleware(app, reformulator, rules=RULES)
    task = asyncio.ensure_future(
        middleware(http_scope(query=b"q=red+lamp"), client.receive, client.send)
    )
    await until(lambda: client.received == 2)
    client.gone.set()
    async with asyncio.timeout(5):
        await heard.wait()
        await task


async def test_a_cancelled_request_leaves_nobody_waiting(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.05
    reformulator = build()
    app, client = App(), Client()
    middleware = ReformulationMiddleware(app, reformulator, rules=RULES)
    query = b"q=red+lamp&q=blue+chair"
    task = asyncio.ensure_future(middleware(http_scope(query=query), client.receive, client.send))
    await until(lambda: engine.calls)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not app.scopes
    await clock.advance(1.0)
    assert (reformulator.stats().flights, reformulator.stats().foreground) == (0, 0)
    assert clock.timers == 0


_told: contextvars.ContextVar[str] = contextvars.ContextVar("told", default="nothing")


async def test_context_and_work_after_the_last_byte_survive(reformulator: Reformulator) -> None:
    """Background work of the app runs to its end, in the request's own context and task."""
    client, finish = Client(), asyncio.Event()
    done: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        _told.set(f"{_told.get()} and the app")
        done.append(asyncio.current_task())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok", "more_body": False})
        await finish.wait()
        done.append(_told.get())

    async def server() -> None:
        _told.set("the server")
        query = b"q=red+lamp&q=blue+chair"
        await ReformulationMiddleware(app, reformulator, rules=RULES)(
            http_scope(query=query), client.receive, client.send
        )
        done.append(_told.get())

    task = asyncio.create_task(server())
    await until(lambda: client.body == b"ok")
    assert not task.done()
    finish.set()
    await asyncio.wait_for(task, 5)
    assert done == [task, "the server and the app", "the server and the app"]


async def test_an_app_that_raises_is_heard_by_the_server(reformulator: Reformulator) -> None:
    """Before the response and in its middle: no answer of our own, no second start."""

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"].endswith(b"late"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
        raise LookupError("the app's own")

    middleware = ReformulationMiddleware(broken, reformulator, rules=RULES)
    for query, sent in ((b"q=red+lamp", 0), (b"q=red+lamp&late", 2)):
        client = Client()
        with pytest.raises(LookupError, match="own"):
            await middleware(http_scope(query=query), client.receive, client.send)
        assert len(client.sent) == sent
