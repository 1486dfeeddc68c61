"""The forwarder as an ASGI application: other scopes, lifespan, and being used in two loops."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from middleware import UpstreamClient
from middleware.http.extensions import RETRY_SAFE
from middleware.upstream.forwarder import Forwarder
from tests.upstream.wire import exchange, front, get, split, upstream

pytestmark = pytest.mark.anyio


async def call(app: Forwarder, scope: dict[str, Any], *messages: dict[str, Any]) -> list[Any]:
    """Drive ``app`` with the given messages (then a disconnect); what it sent."""
    waiting = iter(messages)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return next(waiting)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


async def test_a_websocket_is_refused_before_it_is_accepted() -> None:
    """An upgrade is never half done: closed before accept, which servers answer with 403."""
    app = Forwarder("http://127.0.0.1:1")
    sent = await call(app, {"type": "websocket"}, {"type": "websocket.connect"})
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_a_websocket_upgrade_over_a_socket() -> None:
    """A browser's upgrade request gets an answer and the upstream never hears of it."""
    pytest.importorskip("websockets")
    handshake = get(
        b"/", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ).replace(b"Connection: close", b"Connection: Upgrade")  # fmt: skip
    async with upstream() as raw, front(Forwarder(raw.url), ws="websockets-sansio") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(handshake)
        async with asyncio.timeout(5):
            status, _, _ = split(await reader.readuntil(b"\r\n\r\n"))
        writer.close()
    assert status == 403
    assert raw.requests == []


async def test_lifespan_closes_the_client() -> None:
    """Startup opens nothing, shutdown closes the upstream's connections."""
    async with upstream() as raw:
        app = Forwarder(raw.url)
        async with front(app) as port:
            await exchange(port, get())
            assert raw.open == 1
        async with asyncio.timeout(2):
            await raw.closed.wait()
        assert raw.open == 0
    started = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
    sent = await call(Forwarder("http://h"), {"type": "lifespan"}, *started)
    assert [m["type"] for m in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_unknown_scopes_are_ignored() -> None:
    """A scope type of a later specification raises nothing."""
    assert await call(Forwarder("http://h"), {"type": "webtransport"}) == []


async def test_a_client_gone_at_once_reaches_nobody() -> None:
    """A disconnect before the request is read makes no upstream call."""
    async with upstream() as raw:
        scope = {"type": "http", "method": "GET", "raw_path": b"/", "headers": []}
        sent = await call(Forwarder(raw.url), scope, {"type": "http.disconnect"})
        assert sent[0]["status"] == 499  # for middleware outside
        assert raw.connections == 0


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ({"query_string": b"a\r\nX: y"}, 400),
        ({"raw_path": b"/a\x00"}, 400),
        ({"raw_path": b"/a b"}, 400),
        ({"headers": [(b"content-length", b"1"), (b"content-length", b"1")]}, 400),
        ({"headers": [(b"content-length", b"7")]}, 400),
        ({"headers": [(b"transfer-encoding", b"gzip")]}, 501),
    ],
)
async def test_unsafe_requests_are_refused(scope: dict[str, Any], status: int) -> None:
    """What could split or smuggle a request is answered here, and nothing is forwarded."""
    async with upstream() as raw:
        full = {
            "type": "http", "method": "GET", "raw_path": b"/", "query_string": b"", "headers": [],
            **scope,
        }  # fmt: skip
        sent = await call(Forwarder(raw.url), full, {"type": "http.request", "body": b"x"})
        assert raw.connections == 0
    assert sent[0]["status"] == status
    assert json.loads(sent[1]["body"])["code"] == "request_refused"


@pytest.mark.parametrize("sizes", [[3, 3], [3, 1]], ids=["too long", "too short"])
async def test_a_body_of_another_length_is_refused(sizes: list[int]) -> None:
    """A streamed body that isn't as long as declared is never completed upstream."""
    messages = [
        {"type": "http.request", "body": b"x" * size, "more_body": i + 1 < len(sizes)}
        for i, size in enumerate(sizes)
    ]
    async with upstream(read_body=False) as raw:

        async def answer(*_: Any) -> None:
            await asyncio.Event().wait()

        raw.answer = answer
        scope = {
            "type": "http", "method": "POST", "raw_path": b"/", "query_string": b"",
            "headers": [(b"content-length", b"5")],
        }  # fmt: skip
        app = Forwarder(raw.url)
        sent = await call(app, scope, *messages)
        assert app.client.active_connections == 0
    assert sent[0]["status"] == 400


async def test_an_undeclared_body_is_framed() -> None:
    """HTTP/2 bodies come without a length; upstream they get one, or are chunked."""
    scope = {
        "type": "http", "http_version": "2", "method": "POST", "raw_path": b"/",
        "query_string": b"", "headers": [],
    }  # fmt: skip
    async with upstream() as raw:
        app = Forwarder(raw.url)
        gone = {"type": "http.disconnect"}

        async def drive(*messages: dict[str, Any]) -> None:
            waiting = list(messages)

            async def receive() -> dict[str, Any]:
                if not waiting:
                    await asyncio.Event().wait()
                return waiting.pop(0) if waiting else gone

            async def send(_: Any) -> None:
                pass

            await app(scope, receive, send)

        await drive({"type": "http.request", "body": b"abc"})
        await drive(
            {"type": "http.request", "body": b"abc", "more_body": True},
            {"type": "http.request", "body": b"de"},
        )
        await app.aclose()
    assert raw.requests[0].values(b"content-length") == [b"3"]
    assert raw.requests[1].values(b"transfer-encoding") == [b"chunked"]
    assert raw.requests[1].body == b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


async def test_a_wrapper_can_say_that_a_post_is_safe() -> None:
    """A search by POST is retried when the application around says so."""
    seen: list[Any] = []

    class Recording(UpstreamClient):
        def exchange(self, *args: Any, **options: Any) -> Any:
            seen.append(options["retry_safe"])
            return super().exchange(*args, **options)

    async with upstream() as raw:
        app = Forwarder(Recording(raw.url))

        async def wrapper(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope = {**scope, "extensions": {RETRY_SAFE: True}}
            await app(scope, receive, send)

        async with front(wrapper) as port:
            await exchange(port, get(method=b"POST"))
    assert seen == [True]


def test_two_event_loops() -> None:
    """A client serves one event loop after the other, and opens again after it was closed."""
    listener = socket.create_server(("127.0.0.1", 0))
    client = UpstreamClient(f"http://127.0.0.1:{listener.getsockname()[1]}")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def statuses() -> list[int]:
        found = []
        server = await asyncio.start_server(answer, sock=listener.dup())
        for _ in range(2):
            async with client.exchange("GET", b"/", [(b"host", b"x")]) as response:
                found.append(response.status)
            await client.aclose()
        server.close()
        await asyncio.sleep(0.02)
        return found

    with listener:
        assert [asyncio.run(statuses()) for _ in range(2)] == [[200, 200], [200, 200]]
