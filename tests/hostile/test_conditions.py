"""Validators and ranges of searches whose text may be edited: they go neither up nor down."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from middleware import Answer, ReformulationMiddleware, Reformulator, ReverseProxy, SearchRule
from middleware.core.outcome import Reason
from middleware.dialects.elasticsearch import ElasticsearchDialect
from middleware.dialects.plain import PlainDialect
from middleware.engines.base import Refusal
from middleware.serving.protocol import BoundedProtocol
from middleware.testing import ScriptedEngine
from middleware.upstream.forwarder import Forwarder
from tests.upstream.wire import RawUpstream, Received, exchange, front, get, split, upstream
from tests.ways.driving import call, http_scope

pytestmark = pytest.mark.anyio

CONDITIONS = [
    b'If-None-Match: "1"', b'If-None-Match: W/"1", "2"', b"If-None-Match: *", b'if-match: "1"',
    b"If-Modified-Since: Mon, 30 Nov 2026 00:00:00 GMT",
    b"If-Unmodified-Since: Mon, 30 Nov 2026 00:00:00 GMT", b'If-Range: "1"', b"Range: bytes=0-9",
    b"RANGE: bytes=-5", b"Range: items=1-2",
]  # fmt: skip
VALIDATORS = [b'ETag: "1"', b'etag: W/"1"', b"Last-Modified: Mon, 30 Nov 2026 00:00:00 GMT"]
NAMES = {line.partition(b":")[0].lower() for line in CONDITIONS}
BODY = b'{"query":{"match":{"title":"red lamp"}}}'
# name: target, body, whether the text may be edited
SEARCHES: dict[str, tuple[bytes, bytes, bool]] = {
    "rewritten": (b"/s?q=red+lamp", b"", True),
    "unchanged": (b"/s?q=blue+lamp", b"", True),
    "unlike its text": (b"/s?q=drifting+lamp", b"", True),
    "one text of two": (b"/s?q=tag:old&q=red+lamp", b"", True),
    "later page": (b"/s?q=red+lamp&page=2", b"", True),
    "count": (b"/s?q=red+lamp&size=0", b"", True),
    "syntax, which the policy knows": (b"/s?q=tag:old", b"", False),
    "syntax, which the dialect knows": (b"/i/_search?q=tag:old", b"", False),
    "quoted": (b"/s?q=%22red+lamp%22", b"", False),
    "no text for the engine": (b"/s?q=odd+lamp", b"", False),
    "an empty text": (b"/s?q=", b"", False),
    "form": (b"/s", b"q=red+lamp", True),
    "search by body": (b"/i/_search", BODY, True),
    "search by URL": (b"/i/_search?q=red+lamp", b"", True),
    "signed": (b"/s?q=red+lamp&X-Amz-Signature=abc&X-Amz-Credential=a", b"", False),
    "no text": (b"/s?other=1", b"", False),
    "no search": (b"/doc/1?q=red+lamp", b"", False),
    "a document": (b"/i/_doc/1", b'{"title":"red lamp"}', False),
}


def answer(text: str) -> Answer:
    if text == "odd lamp":
        return Refusal(Reason.UNENCODABLE)
    if text == "drifting lamp":
        return "a song about the sea"
    return "red table lamp" if text == "red lamp" else text


async def asked(name: str, mode: str, *lines: bytes) -> tuple[Received, dict[bytes, bytes]]:
    """Return what arrived at the upstream, and the lines that came back."""
    target, body, _ = SEARCHES[name]
    reformulator = Reformulator(ScriptedEngine(answer), budget=10, mode=mode)
    rules = [
        SearchRule("/s", ("GET", "POST"), PlainDialect()),
        SearchRule("/*/_search", ("GET", "POST"), ElasticsearchDialect()),
    ]

    async def reply(
        request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = [b"HTTP/1.1 200 OK", b"Content-Length: 2", b"Accept-Ranges: bytes", *VALIDATORS]
        writer.write(b"\r\n".join(head) + b"\r\n\r\nok")

    async with upstream(reply) as raw:
        proxy = ReverseProxy(raw.url, rules=rules, reformulator=reformulator, trust_control=True)
        await asyncio.to_thread(reformulator.wait_ready)
        async with front(proxy, BoundedProtocol) as port:
            kind = b"application/json" if body[:1] == b"{" else b"application/x-www-form-urlencoded"
            more = [b"Content-Length: %d" % len(body), b"Content-Type: " + kind] if body else []
            method = b"POST" if body else b"GET"
            request = get(target, *lines, *more, method=method) + body
            status, received, _ = split(await exchange(port, request))
    await asyncio.to_thread(reformulator.close)
    assert status == 200
    return raw.requests[0], dict(received)


@pytest.mark.parametrize("line", CONDITIONS)
@pytest.mark.parametrize("name", SEARCHES)
async def test_a_condition_goes_on_only_if_the_text_stays(name: str, line: bytes) -> None:
    request, received = await asked(name, "replace", line)
    condition = line.partition(b":")[0].lower()
    editable = SEARCHES[name][2]
    assert bool(request.values(condition)) is not editable
    assert {b"etag", b"last-modified", b"accept-ranges"}.isdisjoint(received) is editable


@pytest.mark.parametrize("mode", ["off", "shadow"])
@pytest.mark.parametrize("name", SEARCHES)
async def test_where_nothing_is_edited_all_conditions_go_on(name: str, mode: str) -> None:
    request, received = await asked(name, mode, *CONDITIONS)
    assert {found for found, _ in request.lines} >= NAMES
    assert {b"etag", b"last-modified", b"accept-ranges"} <= set(received)


WRITES: dict[bytes, tuple[bytes, bytes, bytes]] = {  # by the condition: method, target, body
    b'If-Match: "1"': (b"POST", b"/things?q=red+lamp", b""),
    b"if-match: *": (b"POST", b"/things", b"q=red+lamp"),
    b"If-Unmodified-Since: Mon, 30 Nov 2026 00:00:00 GMT": (b"POST", b"/things", b"q=red+lamp"),
    b"If-None-Match:  * ": (b"PUT", b"/things?q=red+lamp", b"q=red+lamp"),
}


@pytest.mark.parametrize("line", WRITES)
async def test_a_write_under_a_rule_for_every_path_keeps_its_guard(line: bytes) -> None:
    """Without its condition, it would overwrite what somebody else wrote."""
    method, target, body = WRITES[line]
    rules = [SearchRule(methods=("GET", "POST", "PUT"))]
    async with searched(rules) as (raw, port):
        more = [b"Content-Type: application/x-www-form-urlencoded", line]
        length = b"Content-Length: %d" % len(body)
        await exchange(port, get(target, *more, length, method=method) + body)
        # The same without a condition is a search, as far as anybody can tell.
        await exchange(port, get(target, *more[:1], length, method=method) + body)
    guarded, plain = raw.requests
    assert (guarded.target, guarded.body) == (target, body)
    assert guarded.values(line.partition(b":")[0].lower())
    assert (plain.target, plain.body) != (target, body)


async def test_a_read_under_a_rule_for_every_path_is_a_search() -> None:
    async with searched([SearchRule()]) as (raw, port):
        await exchange(port, get(b"/things?q=red+lamp", *CONDITIONS))
    (request,) = raw.requests
    assert request.target == b"/things?q=red+table+lamp"
    assert NAMES.isdisjoint(name for name, _ in request.lines)


async def test_a_client_that_turns_rewriting_off_keeps_its_conditions() -> None:
    control = b"Query-Reformulation-Control: off"
    request, received = await asked("rewritten", "replace", control, *CONDITIONS)
    assert {found for found, _ in request.lines} >= NAMES
    assert b"etag" in received


async def engine_of_search(
    request: Received, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer as a search engine whose ETag is that of its index, and which knows conditions."""
    body = b"hits for " + request.target
    lines = [*VALIDATORS, b"Accept-Ranges: bytes", b"Cache-Control: max-age=9"]
    if b'"1"' in b",".join(request.values(b"if-none-match")):
        status, body = b"304 Not Modified", b""
    elif request.values(b"if-match") not in ([], [b'"1"']):
        status, body = b"412 Precondition Failed", b""
    elif request.values(b"range"):
        status, body = b"206 Partial Content", body[:4]
        lines.append(b"Content-Range: bytes 0-3/99")
    else:
        status = b"200 OK"
    head = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *lines]
    writer.write(b"\r\n".join(head) + b"\r\n\r\n" + body)


@contextlib.asynccontextmanager
async def searched(
    rules: list[SearchRule], *, inside: bool = False, failures: int = 0
) -> AsyncIterator[tuple[RawUpstream, int]]:
    """Run the proxy in front of such an engine; ``inside``: the middleware in an app before it.

    The model fails on the first ``failures`` texts.
    """
    answers: Iterator[Any] = itertools.chain([OSError()] * failures, itertools.repeat(None))
    engine = ScriptedEngine(lambda text: next(answers) or answer(text))
    reformulator = Reformulator(engine, budget=10)
    async with upstream(engine_of_search) as raw:
        app: Any = ReverseProxy(raw.url, rules=rules, reformulator=reformulator)
        if inside:
            relay = Forwarder(raw.url)
            app = Starlette(
                routes=[Mount("/", ReformulationMiddleware(relay, reformulator, rules=rules))]
            )
        await asyncio.to_thread(reformulator.wait_ready)
        async with front(app) as port:
            yield raw, port
    await asyncio.to_thread(reformulator.close)


@pytest.mark.parametrize("inside", [False, True], ids=["proxy", "middleware"])
@pytest.mark.parametrize("line", [*CONDITIONS, b'If-Match: "2"'])
async def test_a_search_that_fell_back_is_answered_anew_once_it_is_rewritten(
    line: bytes, inside: bool
) -> None:
    """The first answer holds nothing to compare with, the second is the rewrite's and complete."""
    async with searched([SearchRule("/s")], inside=inside, failures=1) as (_, port):
        first = split(await exchange(port, get(b"/s?q=red+lamp")))
        again = split(await exchange(port, get(b"/s?q=red+lamp", line)))
    assert first[0] == again[0] == 200
    assert first[2] == b"hits for /s?q=red+lamp"
    assert again[2] == b"hits for /s?q=red+table+lamp"
    for _, lines, _ in (first, again):
        names = {name for name, _ in lines}
        assert names.isdisjoint({b"etag", b"last-modified", b"accept-ranges", b"content-range"})
        assert b"cache-control" in names  # which says nothing about another query


@pytest.mark.parametrize("inside", [False, True], ids=["proxy", "middleware"])
async def test_what_is_no_search_is_compared_as_ever(inside: bool) -> None:
    async with searched([SearchRule("/s")], inside=inside) as (_, port):
        target = b"/doc/1?q=red+lamp"
        answers = [
            split(await exchange(port, get(target, *lines)))
            for lines in ([], CONDITIONS[:1], [b'If-Match: "2"'], [b"Range: bytes=0-3"])
        ]
    assert [status for status, _, _ in answers] == [200, 304, 412, 206]
    for _, lines, _ in answers:
        assert [value for name, value in lines if name == b"etag"] == [b'"1"', b'W/"1"']
    assert (b"content-range", b"bytes 0-3/99") in answers[3][1]


async def test_trailers_of_an_app_tell_no_validator_either() -> None:
    """RFC 9110, 8.8.3, lets an ETag stand after the body, which HTTP/2 servers send on."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"ok"})
        lines = [(b"ETag", b'"1"'), (b"checksum", b"9")]
        await send({"type": "http.response.trailers", "headers": lines})

    reformulator = Reformulator(ScriptedEngine(answer), budget=10)
    around = ReformulationMiddleware(app, reformulator, rules=[SearchRule("/search")])
    kept = [
        (await call(around, http_scope(path=path, query=b"q=red+lamp"))).sent[-1]["headers"]
        for path in ("/search", "/other")
    ]
    await asyncio.to_thread(reformulator.close)
    assert kept == [[(b"checksum", b"9")], [(b"ETag", b'"1"'), (b"checksum", b"9")]]
