"""Validators and ranges of searches whose text may be edited: they go neither up nor down."""

from __future__ import annotations

import asyncio

import pytest

from middleware import Answer, Reformulator, ReverseProxy, SearchRule
from middleware.core.outcome import Reason
from middleware.dialects.elasticsearch import ElasticsearchDialect
from middleware.dialects.plain import PlainDialect
from middleware.engines.base import Refusal
from middleware.serving.protocol import BoundedProtocol
from middleware.testing import ScriptedEngine
from tests.upstream.wire import Received, exchange, front, get, split, upstream

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
    "refused": (b"/s?q=odd+lamp", b"", True),
    "later page": (b"/s?q=red+lamp&page=2", b"", True),
    "syntax, which the policy knows": (b"/s?q=tag:old", b"", True),
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


async def test_a_client_that_turns_rewriting_off_keeps_its_conditions() -> None:
    control = b"Query-Reformulation-Control: off"
    request, received = await asked("rewritten", "replace", control, *CONDITIONS)
    assert {found for found, _ in request.lines} >= NAMES
    assert b"etag" in received
