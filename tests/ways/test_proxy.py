"""The reverse proxy over real sockets: bytes in, bytes out, and the decision in between."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote_plus

import pytest

from middleware.asgi import DEFAULT_PREFIX
from middleware.dialects.plain import PlainDialect
from middleware.instrumentation.metrics import Metrics
from middleware.proxy import ReverseProxy
from middleware.rules import SearchRule
from middleware.runtime.reformulator import Reformulator
from middleware.testing import ManualClock, ScriptedEngine
from middleware.upstream.client import UpstreamClient
from tests.upstream.wire import (
    FRONTS,
    Answer,
    RawUpstream,
    Received,
    exchange,
    front,
    get,
    reply,
    split,
    upstream,
)

from .conftest import Build
from .driving import RESULT, call, http_scope, parsed, said, until

pytestmark = pytest.mark.anyio

RULES = [SearchRule("/search", dialect=PlainDialect(["q"], ["/query"]))]
HEAD = [b"Host: front.test", b"Connection: close"]


@contextlib.asynccontextmanager
async def proxied(
    reformulator: Reformulator | None,
    answer: Answer | None = None,
    http: str = "h11",
    **options: Any,
) -> AsyncIterator[tuple[RawUpstream, int]]:
    """Run the proxy behind uvicorn and an upstream behind the proxy; gives both."""
    options.setdefault("rules", RULES)
    async with upstream(answer) as raw:
        proxy = ReverseProxy(raw.url, reformulator=reformulator, **options)
        async with front(proxy, http) as port:
            yield raw, port


def outcome(response: bytes) -> str:
    """Return what the response's one result header says, without the duration."""
    _, lines, _ = split(response)
    (value,) = [value for name, value in lines if name == RESULT]
    return said(parsed(value))


def post(target: bytes, body: bytes, *lines: bytes) -> bytes:
    return get(target, *lines, b"Content-Length: %d" % len(body), method=b"POST") + body


# --- Requests as the upstream receives them ---


@pytest.mark.parametrize("http", FRONTS)
@pytest.mark.parametrize(
    ("target", "arrives"),
    [
        (b"/search?fq=a&q=red+lamp&fq=b&fq=a", b"/search?fq=a&q=lifted+red+lamp&fq=b&fq=a"),
        (b"/search?u=%26z|w&q=red%20lamp&t=a/b", b"/search?u=%26z|w&q=lifted%20red%20lamp&t=a/b"),
        (b"/search?a=%E9&z=%zz&q=red+lamp&%&", b"/search?a=%E9&z=%zz&q=lifted+red+lamp&%&"),
        (b"/./search?q=red+lamp", b"/./search?q=lifted+red+lamp"),
        (b"//search?q=red+lamp", b"//search?q=lifted+red+lamp"),
        (b"/%73earch?q=red+lamp", b"/%73earch?q=lifted+red+lamp"),
        (b"http://169.254.1.1/search?q=red+lamp", b"/search?q=lifted+red+lamp"),
    ],
)
async def test_of_a_rewritten_request_only_the_value_changes(
    reformulator: Reformulator, http: str, target: bytes, arrives: bytes
) -> None:
    async with proxied(reformulator, None, http) as (raw, port):
        response = await exchange(port, get(target, b"X-A: 1", b"Cookie: a=1; b"))
        (request,) = raw.requests
        assert request.target == arrives
        host = (b"host", b"127.0.0.1:%d" % raw.port)
        assert request.lines == [host, (b"x-a", b"1"), (b"cookie", b"a=1; b")]
        assert request.body == b""
    assert outcome(response) == "rewritten;src=engine"


@pytest.mark.parametrize("http", FRONTS)
@pytest.mark.parametrize(
    "target",
    [
        b"/search?fq=a&q=x&fq=b&fq=a",
        b"/search?q=c%2B%2B+primer&u=%26z|w&t=a/b",
        b"/search?q=red+%zz+lamp",
        b"/search?q=caf%E9+tables",
        b"/search?q=%22red+lamp%22&flag&&=&x",
        b"/search?q=title:red&q=",
        b"/elsewhere?q=red+lamp&fq=b&fq=a",
        b"/search%2Fdeep?q=red+lamp",
        b"/search/..%2fadmin/_search?q=red+lamp",
        b"/search/%252e%252e/admin?q=red+lamp",
        b"/a/../b/./c?q=red+lamp",
        b"//10.0.0.9/x?q=red+lamp",
        b"/http://e/x?q=red+lamp",
    ],
)
async def test_what_is_not_rewritten_arrives_byte_for_byte(
    reformulator: Reformulator, http: str, target: bytes
) -> None:
    async with proxied(reformulator, None, http) as (raw, port):
        response = await exchange(port, get(target, b"X-A: 1", b"X-A: caf\xe9", b"X-B:  two "))
        host = b"127.0.0.1:%d" % raw.port
        (request,) = raw.requests
        assert request.target == target
        assert request.lines == [
            (b"host", host),
            (b"x-a", b"1"),
            (b"x-a", b"caf\xe9"),
            (b"x-b", b"two"),
        ]
    assert split(response)[0] == 200


async def test_a_raw_byte_that_is_no_ascii_is_never_an_error_of_ours(
    reformulator: Reformulator,
) -> None:
    """uvicorn's parsers refuse it; a server that lets it in has it forwarded as it came."""
    target = b"/search?a=\xe9&q=caf\xe9+tables"
    async with proxied(reformulator) as (raw, port):
        response = await exchange(port, get(target))
        assert split(response)[0] in (200, 400)
        raw.requests.clear()
        proxy = ReverseProxy(raw.url, reformulator=reformulator, rules=RULES)
        client = await call(proxy, http_scope(query=target.partition(b"?")[2]))
        assert said(client.result) == "skipped;reason=unencodable"
        client = await call(proxy, http_scope(query=b"a=\xe9&q=red+lamp"))
        assert said(client.result) == "rewritten;src=engine"
        assert [request.target for request in raw.requests] == [
            target,
            b"/search?a=\xe9&q=lifted+red+lamp",
        ]
        await proxy.aclose()


FORM = b"Content-Type: application/x-www-form-urlencoded"
JSON = b"Content-Type: application/json; charset=utf-8"


@pytest.mark.parametrize("http", FRONTS)
@pytest.mark.parametrize(
    ("kind", "body", "arrives"),
    [
        (FORM, b"fq=a&q=red+lamp&fq=%zz", b"fq=a&q=lifted+red+lamp&fq=%zz"),
        (JSON, b'{ "query": "red lamp" }\n', b'{ "query": "lifted red lamp" }\n'),
        (FORM, b"q=%22red+lamp%22&fq=a", b"q=%22red+lamp%22&fq=a"),
        (JSON, b'{"query": "red lamp"', b'{"query": "red lamp"'),
        (JSON, b"", b""),
        (b"Content-Type: text/plain", b"q=red+lamp", b"q=red+lamp"),
    ],
)
async def test_a_body_and_its_length_arrive_together(
    reformulator: Reformulator, http: str, kind: bytes, body: bytes, arrives: bytes
) -> None:
    async with proxied(reformulator, None, http) as (raw, port):
        response = await exchange(port, post(b"/search", body, kind))
    (request,) = raw.requests
    assert request.body == arrives
    assert request.values(b"content-length") == [b"%d" % len(arrives)]
    assert not request.values(b"transfer-encoding")
    assert request.values(b"content-type") == [kind.partition(b": ")[2]]
    assert outcome(response).startswith("rewritten" if body != arrives else "skipped")


@pytest.mark.parametrize("http", FRONTS)
async def test_a_chunked_body_stays_chunked(reformulator: Reformulator, http: str) -> None:
    head = get(b"/search", JSON, b"Transfer-Encoding: chunked", method=b"POST")
    chunks = b'8\r\n{"query"\r\nd\r\n: "red lamp"}\r\n0\r\n\r\n'
    async with proxied(reformulator, None, http) as (raw, port):
        response = await exchange(port, head + chunks)
    (request,) = raw.requests
    new = b'{"query": "lifted red lamp"}'
    assert request.body == b"%x\r\n%b\r\n0\r\n\r\n" % (len(new), new)
    assert request.values(b"transfer-encoding") == [b"chunked"]
    assert not request.values(b"content-length")
    assert outcome(response) == "rewritten;src=engine"


async def test_a_large_upload_reaches_the_upstream_while_it_is_still_coming(
    reformulator: Reformulator,
) -> None:
    size = 300_000
    seen: asyncio.Queue[int] = asyncio.Queue()

    async def answer(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        taken = 0
        while taken < 2 * size:
            taken += len(await reader.read(65536))
            seen.put_nowait(taken)
        await reply()(request, reader, writer)

    async with proxied(reformulator, answer, max_body=1000) as (raw, port):
        raw.read_body = False
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(get(b"/search", FORM, b"Content-Length: %d" % (2 * size), method=b"POST"))
        writer.write(b"x" * size)
        async with asyncio.timeout(10):
            while await seen.get() < size:
                pass
            writer.write(b"x" * size)
            response = await reader.read()
        writer.close()
    assert outcome(response) == "skipped;reason=empty"
    assert response.endswith(b"\r\n\r\nok")


async def test_the_control_header_goes_no_further(reformulator: Reformulator) -> None:
    lines = (b"Query-Reformulation-Control: off", b"QUERY-REFORMULATION-CONTROL: ", b"X-A: 1")
    for trusted, told in ((False, "rewritten;src=engine"), (True, "skipped;reason=disabled")):
        async with proxied(reformulator, trust_control=trusted) as (raw, port):
            response = await exchange(port, get(b"/search?q=red+lamp", *lines))
            await exchange(port, get(b"/elsewhere", *lines))
        assert outcome(response) == told
        for request in raw.requests:
            assert [name for name, _ in request.lines] == [b"host", b"x-a"]


class Evil:
    """Text that would end a line, a value or a header if it were not written with care."""

    texts = (
        "red lamp\r\nX-Evil: 1\r\n\r\nGET /evil HTTP/1.1",
        "red lamp\nX-Evil: 1",
        "red lamp HTTP/1.1\r\n",
        "red lamp\x00",
        'red lamp" OR "1"="1',
        "red lamp&fq=evil#x=1;y",
        "red lamp\u2028\x85 \ud800",
        "red lamp/../../evil?x",
        "lifted red lamp\u560a\u560dX-Evil: 1",
        "red lamp é 日本 \U0001f600",
    )


class NoAcceptance:
    """Lets any rewrite through: the edits must be safe by themselves."""

    revision = "none"

    def judge(self, original: str, rewrite: str, mode: Any = None) -> tuple[str | None, None]:
        """Accept."""
        return (None if rewrite == original else rewrite), None


@pytest.mark.parametrize("text", Evil.texts)
@pytest.mark.parametrize("lenient", [True, False])
async def test_no_rewrite_splits_a_request_or_a_response(
    build: Build, text: str, lenient: bool
) -> None:
    """Whatever the engine says arrives as the value of ``q``, in one request, or not at all."""
    engine = ScriptedEngine({"red garden lamp": text})
    acceptance: Any = NoAcceptance() if lenient else None
    reformulator = build(engine=engine, acceptance=acceptance)
    body = b'{"query":"red garden lamp","n":1}'
    async with proxied(reformulator, expose_query=True) as (raw, port):
        responses = [
            await exchange(port, get(b"/search?a=1&q=red+garden+lamp&b=2")),
            await exchange(port, post(b"/search?b=2", b"a=1&q=red+garden+lamp", FORM)),
            await exchange(port, post(b"/search", body, JSON)),
        ]
    assert len(raw.requests) == 3
    by_url, by_form, by_json = raw.requests
    path, _, query = by_url.target.partition(b"?")
    assert path == b"/search"
    for pairs, edges in ((query.split(b"&"), (b"a=1", b"b=2")), (by_form.body.split(b"&"), None)):
        assert len(pairs) == (3 if edges else 2)
        assert pairs[0] == b"a=1"
        value = unquote_plus(pairs[1].removeprefix(b"q=").decode("ascii"))
        if lenient:
            expected = " ".join(text.split()).replace("\ud800", "?")
            assert value == expected
    document = json.loads(by_json.body)
    assert document["n"] == 1
    assert set(document) == {"query", "n"}
    for request in raw.requests:
        assert {name for name, _ in request.lines} <= {b"host", b"content-type", b"content-length"}
    for response in responses:
        status, lines, _ = split(response)
        assert status == 200
        assert not [name for name, _ in lines if b"evil" in name]
        assert outcome(response).split(";")[0] in ("rewritten", "fallback")


# --- The decision, seen from outside ---


async def test_an_engine_slower_than_the_budget(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    """The original leaves at the budget, not later; the next one finds the late rewrite."""
    engine.delay = 0.3
    async with proxied(build(budget=0.1)) as (raw, port):
        task = asyncio.create_task(exchange(port, get(b"/search?q=red+lamp&z=%zz")))
        await until(lambda: engine.calls)
        await clock.advance(0.0999)
        await asyncio.sleep(0)
        assert not raw.requests
        await clock.advance(0.0001)
        response = await task
        assert raw.requests[0].target == b"/search?q=red+lamp&z=%zz"
        assert outcome(response) == "fallback;reason=timeout"
        assert dict(split(response)[1])[RESULT].endswith(b";dur=100.000")
        await clock.advance(0.2)
        response = await exchange(port, get(b"/search?q=red+lamp&z=%zz"))
        assert raw.requests[1].target == b"/search?q=lifted+red+lamp&z=%zz"
        assert outcome(response) == "rewritten;src=memo"
    assert engine.calls == [["red lamp"]]


async def test_fifty_equal_at_once_are_one_engine_call(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    """One of them leaving, the first at that, does not harm the others."""
    engine.delay = 0.05
    reformulator = build(budget=0.1)
    async with proxied(reformulator) as (raw, port):
        _, first = await asyncio.open_connection("127.0.0.1", port)
        first.write(get(b"/search?q=red+lamp"))
        await until(lambda: engine.calls)
        others = [
            asyncio.create_task(exchange(port, get(b"/search?q=red+lamp"))) for _ in range(49)
        ]
        await until(lambda: len(waiting(reformulator)) == 50)
        first.transport.abort()
        await clock.advance(0.05)
        responses = await asyncio.gather(*others)
    assert engine.calls == [["red lamp"]]
    assert {outcome(response) for response in responses} == {"rewritten;src=shared"}
    assert {request.target for request in raw.requests} == {b"/search?q=lifted+red+lamp"}


def waiting(reformulator: Reformulator) -> dict[Any, Any]:
    """Return the callers on the one flight there is."""
    (flight,) = reformulator._lanes.running
    return flight.waiters


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (RuntimeError("out of memory"), "engine_error"),
        (MemoryError(), "engine_error"),
        (None, "rejected_truncated"),
        ("", "rejected_empty"),
        ("red red red red lamp", "rejected_loop"),
        ("lamp", "rejected_drift"),
        ("red lamp " + "very " * 60, "rejected_l"),
        ("rote Lampe für den Garten und das Haus", "rejected_l"),
    ],
)
async def test_an_engine_that_fails_is_never_an_error_to_the_user(
    build: Build, answer: Any, reason: str
) -> None:
    reformulator = build(engine=ScriptedEngine(lambda _: answer))
    async with proxied(reformulator) as (raw, port):
        response = await exchange(port, get(b"/search?q=red+garden+lamp"))
    assert split(response)[0] == 200
    assert raw.requests[0].target == b"/search?q=red+garden+lamp"
    assert outcome(response).startswith("fallback;")
    assert reason in outcome(response) or reason == "rejected_l"


# --- Answers ---


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
        client = UpstreamClient(raw.url, read_timeout=0.05)
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

    proxy = ReverseProxy("http://127.0.0.1:9", reformulator=reformulator)
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
        scope_of=lambda scope: str(dict(scope["headers"])[b"x-tenant"], "ascii"),
        metrics=metrics,
        preserve_host=True,
        forwarded=True,
        via="edge",
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


async def test_without_a_reformulator_it_only_forwards() -> None:
    async with proxied(None) as (raw, port):
        response = await exchange(port, get(b"/search?q=red+lamp"))
        ready = await exchange(port, get(DEFAULT_PREFIX.encode() + b"/readyz"))
    assert not [name for name, _ in split(response)[1] if name == RESULT]
    assert raw.requests[0].target == b"/search?q=red+lamp"
    assert split(ready)[2] == b"ok"
    assert len(raw.requests) == 2


async def test_readiness_is_the_proxys_own(reformulator: Reformulator) -> None:
    async with proxied(reformulator) as (raw, port):
        response = await exchange(port, get(DEFAULT_PREFIX.encode() + b"/readyz"))
    assert json.loads(split(response)[2])["status"] == "ready"
    assert not raw.requests
