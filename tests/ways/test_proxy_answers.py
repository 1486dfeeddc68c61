"""The reverse proxy's answers: the upstream's as they are, and its own where there is none."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from typing import Any

import pytest

from middleware import (
    Clients,
    Forwarding,
    Metrics,
    Reformulator,
    ReverseProxy,
    Timeouts,
    UpstreamClient,
)
from middleware.testing import ManualClock, ScriptedEngine
from tests.upstream.wire import (
    FRONTS,
    Received,
    exchange,
    front,
    get,
    reply,
    split,
    upstream,
)

from .conftest import Build
from .driving import RESULT
from .proxying import FORM, JSON, RULES, outcome, proxied

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("http", FRONTS)
@pytest.mark.parametrize("status", [b"200 OK", b"404 Not Found"])
async def test_compressed_answers_stay_compressed(
    reformulator: Reformulator, http: str, status: bytes
) -> None:
    packed = gzip.compress(b"found " * 1000)
    lines = (b"Content-Encoding: gzip", b"Vary: Accept-Encoding", b"Server-Timing: db;dur=5")
    async with proxied(reformulator, reply(packed, *lines, status=status), http) as (_, port):
        response = await exchange(port, get(b"/search?q=red+lamp", b"Accept-Encoding: gzip"))
    code, headers, body = split(response)
    assert code == int(status[:3])
    assert body == packed
    assert (b"content-encoding", b"gzip") in headers
    assert (b"content-length", b"%d" % len(packed)) in headers
    timings = [value.partition(b";")[0] for name, value in headers if name == b"server-timing"]
    assert timings == [b"db", b"upstream", b"reformulate"]


@pytest.mark.parametrize("http", FRONTS)
async def test_head_is_not_a_search_unless_a_rule_says_so(
    reformulator: Reformulator, http: str
) -> None:
    async with proxied(reformulator, reply(b"12345"), http) as (raw, port):
        raw.answer = reply(b"", b"Content-Length: 5", length=False)
        response = await exchange(port, get(b"/search?q=red+lamp", method=b"HEAD"))
    status, lines, body = split(response)
    assert (status, body) == (200, b"")
    assert (b"content-length", b"5") in lines
    assert not [name for name, _ in lines if name == RESULT]
    assert raw.requests[0].target == b"/search?q=red+lamp"


async def test_an_upstream_that_is_down(reformulator: Reformulator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gone = taken.getsockname()[1]
    proxy = ReverseProxy(f"http://127.0.0.1:{gone}", reformulator=reformulator, rules=RULES)
    async with front(proxy) as port:
        response = await exchange(port, get(b"/search?q=red+lamp"))
    status, lines, body = split(response)
    assert status == 502
    assert (b"content-type", b"application/json") in lines
    assert json.loads(body)["code"] == "upstream_unreachable"
    assert outcome(response) == "rewritten;src=engine"


async def test_an_upstream_that_is_slow(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    """Its time is its own: the budget is over long before, and the limit is the upstream's."""

    async def hang(*_: Any) -> None:
        await asyncio.Event().wait()

    async with upstream(hang) as raw:
        client = UpstreamClient(raw.url, timeouts=Timeouts(read=0.05))
        proxy = ReverseProxy(client, reformulator=build(budget=0.01), rules=RULES)
        async with front(proxy) as port:
            response = await exchange(port, get(b"/search?q=red+lamp"))
        assert client.active_connections == 0
    assert split(response)[0] == 504
    assert json.loads(split(response)[2])["code"] == "upstream_timeout"
    assert outcome(response) == "rewritten;src=engine"


@pytest.mark.parametrize("http", FRONTS)
async def test_an_upstream_that_dies_half_way_cuts_the_answer(
    reformulator: Reformulator, http: str
) -> None:
    async def half(_: Received, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        writer.close()

    async with proxied(reformulator, half, http) as (raw, port):
        response = await exchange(port, get(b"/search?q=red+lamp"))
    assert response.count(b"HTTP/1.1") <= 1
    assert not response.endswith(b"0\r\n\r\n")
    assert len(raw.requests) == 1


@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_a_client_that_leaves_cancels_the_upstream_call(
    reformulator: Reformulator, method: bytes
) -> None:
    arrived, left = asyncio.Event(), asyncio.Event()

    async def listen(_: Received, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        arrived.set()
        assert await reader.read() == b""
        left.set()

    body = b"" if method == b"GET" else b"q=red+lamp"
    lines = [] if method == b"GET" else [FORM, b"Content-Length: 10"]
    async with proxied(reformulator, listen) as (_, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get(b"/search?q=red+lamp", *lines, method=method) + body)
        async with asyncio.timeout(5):
            await arrived.wait()
            assert not left.is_set()
            writer.transport.abort()
            await left.wait()


async def test_a_client_that_leaves_before_the_rewrite_reaches_no_upstream(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    """It leaves in mid-body: there was never a request."""
    async with proxied(build()) as (raw, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get(b"/search", JSON, b"Content-Length: 99", method=b"POST") + b'{"query":"r')
        await writer.drain()
        writer.transport.abort()
        assert split(await exchange(port, get(b"/search?q=color:red")))[0] == 200
    assert [request.target for request in raw.requests] == [b"/search?q=color:red"]
    assert not engine.calls


async def test_a_websocket_upgrade_is_refused(reformulator: Reformulator) -> None:
    """Before it is accepted, so that a client sees 403 and no half-open socket."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    proxy = ReverseProxy("http://127.0.0.1:9", rules=[], reformulator=reformulator)
    scope: Any = {"type": "websocket", "path": "/search", "query_string": b"q=red+lamp"}
    await proxy(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_options_reach_the_middleware_and_the_forwarder(
    build: Build, engine: ScriptedEngine
) -> None:
    metrics = Metrics()
    async with proxied(
        build(observers=[metrics]),
        expose_query=True,
        server_timing=False,
        prefix="/ops",
        clients=Clients(tenant_of=lambda scope: str(dict(scope["headers"])[b"x-tenant"], "ascii")),
        metrics=metrics,
        forwarding=Forwarding(preserve_host=True, forwarded=True, via="edge"),
    ) as (raw, port):
        for tenant, told in ((b"a", "engine"), (b"b", "engine"), (b"a", "memo")):
            response = await exchange(port, get(b"/search?q=red+lamp", b"X-Tenant: " + tenant))
            assert outcome(response) == f"rewritten;src={told};q=lifted red lamp"
        page = await exchange(port, get(b"/ops/metrics"))
    assert not [name for name, _ in split(response)[1] if name == b"server-timing"]
    assert b'querylift_reformulations_total{mode="replace",outcome="rewritten"' in page
    for request in raw.requests:
        assert request.values(b"host") == [b"front.test"]
        assert request.values(b"via") == [b"1.1 edge"]
        assert request.values(b"x-forwarded-for") == [b"127.0.0.1"]
    assert len(raw.requests) == 3


def test_unknown_options_are_refused_also_where_nothing_is_rewritten() -> None:
    with pytest.raises(TypeError, match="unknown options: prefx"):
        ReverseProxy("http://127.0.0.1:9", rules=[], prefx="/x")  # type: ignore[call-arg]


async def test_without_a_reformulator_it_only_forwards() -> None:
    async with proxied(None, prefix="/ops") as (raw, port):
        response = await exchange(port, get(b"/search?q=red+lamp"))
        ready = await exchange(port, get(b"/ops/readyz"))
    assert not [name for name, _ in split(response)[1] if name == RESULT]
    assert raw.requests[0].target == b"/search?q=red+lamp"
    assert split(ready)[2] == b"ok"
    assert len(raw.requests) == 2


async def test_readiness_is_the_proxys_own(reformulator: Reformulator) -> None:
    async with proxied(reformulator, prefix="/ops") as (raw, port):
        response = await exchange(port, get(b"/ops/readyz"))
    assert json.loads(split(response)[2])["status"] == "ready"
    assert not raw.requests
