"""The upstream over an httpx transport: an app in this process, and a Unix socket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from middleware import Reformulator, ReverseProxy, SearchRule, UpstreamClient
from middleware.testing import ScriptedEngine
from tests.upstream.wire import RawUpstream, exchange, front, get, split

pytestmark = pytest.mark.anyio


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the request target."""
    body = scope["raw_path"] + b"?" + scope["query_string"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def test_a_proxy_in_front_of_an_app_in_this_process() -> None:
    """A test of a user needs no socket, neither in front nor behind."""
    engine = ScriptedEngine({"wireles headphones": "wireless headphones"})
    async with Reformulator(engine, budget=5.0) as reformulator:
        proxy = ReverseProxy(
            "http://search.test",
            rules=[SearchRule("/search")],
            reformulator=reformulator,
            transport=httpx.ASGITransport(app=echo),
        )
        transport = httpx.ASGITransport(app=proxy)
        async with httpx.AsyncClient(transport=transport, base_url="http://front.test") as client:
            answer = await client.get("/search?x=%2f&q=wireles+headphones")
    assert answer.text == "/search?x=%2f&q=wireless+headphones"
    assert answer.headers["query-reformulation"].startswith("rewritten;src=engine")


@pytest.mark.parametrize(
    ("target", "arrives"),
    [(b"/a%2Fb?q=1", b"/a%2Fb?q=1"), (b"/s?q=caf\xe9", b"/s?q=caf%E9"), (b"*", b"/?")],
)
async def test_targets_of_an_app_in_this_process(target: bytes, arrives: bytes) -> None:
    """A URL of httpx holds no bytes beyond ASCII, so they are percent-encoded."""
    client = UpstreamClient("http://inner", transport=httpx.ASGITransport(app=echo))
    async with client.exchange("GET", target, [(b"host", b"inner")]) as response:
        assert b"".join([chunk async for chunk in response]) == arrives
    await client.aclose()


@pytest.mark.skipif(not hasattr(asyncio, "start_unix_server"), reason="no Unix sockets")
async def test_a_unix_socket(tmp_path: Path) -> None:
    """Requests arrive byte for byte, and their connection is reused."""
    raw, path = RawUpstream(), tmp_path / "search.sock"
    async with await asyncio.start_unix_server(raw._serve, path):
        proxy = ReverseProxy(
            "http://search.test",
            rules=[],
            transport=httpx.AsyncHTTPTransport(uds=str(path), trust_env=False),
        )
        async with front(proxy) as port:
            for _ in range(2):
                assert split(await exchange(port, get(b"/a/../b?q=%zz")))[::2] == (200, b"ok")
        await proxy.aclose()
        raw.drop_connections()
    assert [request.target for request in raw.requests] == [b"/a/../b?q=%zz"] * 2
    assert raw.requests[0].values(b"host") == [b"search.test"]
    assert raw.connections == 1
