"""CONNECT on any ASGI server: the proxy's own code opens no tunnel, and asks no upstream."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.types import Message

from middleware import Reformulator, ReverseProxy, SearchRule
from middleware.testing import ScriptedEngine
from tests.upstream.wire import upstream

pytestmark = pytest.mark.anyio

# What servers make of a request for a tunnel: path, raw path, query string.
TARGETS: dict[str, tuple[str, bytes | None, bytes]] = {
    "an authority": ("a:443", b"a:443", b""),
    "an authority without a port": ("a", b"a", b""),
    "an address": ("[::1]:443", b"[::1]:443", b""),
    "a path": ("/x", b"/x", b""),
    "a search": ("/s", b"/s", b"q=red+lamp"),
    "the root": ("/", b"/", b""),
    "nothing": ("", b"", b""),
    "no raw path": ("/x", None, b""),
    "an asterisk": ("*", b"*", b""),
    "a URL": ("http://a/x", b"http://a/x", b""),
}
BODIES: dict[str, tuple[list[tuple[bytes, bytes]], bytes]] = {
    "no body": ([], b""),
    "a body": ([(b"content-length", b"2")], b"ab"),
    "chunks": ([(b"transfer-encoding", b"chunked")], b"ab"),
    "an offer": ([(b"connection", b"upgrade"), (b"upgrade", b"h2c")], b""),
}


@pytest.mark.parametrize("rewrites", [True, False])
@pytest.mark.parametrize("version", ["1.0", "1.1", "2", "3"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("target", TARGETS)
async def test_no_tunnel_is_opened(target: str, body: str, version: str, rewrites: bool) -> None:
    path, raw_path, query = TARGETS[target]
    lines, content = BODIES[body]
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": version,
        "method": "CONNECT",
        "scheme": "http",
        "path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"a"), *lines],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    if raw_path is not None:
        scope["raw_path"] = raw_path
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    engine = Reformulator(ScriptedEngine()) if rewrites else None
    async with upstream() as raw:
        proxy = ReverseProxy(raw.url, rules=[SearchRule("/s")], reformulator=engine)
        try:
            await proxy(scope, receive, send)
        finally:
            await proxy.aclose()
            if engine is not None:
                engine.close()
    assert sent[0]["status"] in (400, 501)
    assert raw.connections == 0
