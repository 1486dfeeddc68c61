"""Nothing that a client sends grows without bound, and nothing of it is an error."""

from __future__ import annotations

import asyncio
import gzip
import json
from time import perf_counter

import pytest

from middleware import (
    Limits,
    Memo,
    MemoKey,
    Mode,
    PlainDialect,
    Reason,
    Reformulator,
    ReverseProxy,
    SearchRule,
    Verdict,
)
from middleware.dialects.elasticsearch import ElasticsearchDialect
from middleware.testing import ScriptedEngine
from tests.upstream.wire import RawUpstream, exchange, front, get, split, upstream

pytestmark = pytest.mark.anyio

MAX_BODY = 4096
_JSON = b"Content-Type: application/json"


def proxy(raw: RawUpstream, reformulator: Reformulator | None = None) -> ReverseProxy:
    return ReverseProxy(
        raw.url,
        reformulator=reformulator or Reformulator(ScriptedEngine(lambda text: f"lifted {text}")),
        rules=[
            SearchRule("/s", dialect=PlainDialect(["q"], ["/query"])),
            SearchRule("/*/_search", dialect=ElasticsearchDialect()),
        ],
        max_body=MAX_BODY,
    )


async def through(request: bytes) -> tuple[int, bytes, RawUpstream]:
    async with upstream() as raw, front(proxy(raw)) as port:
        status, lines, _ = split(await exchange(port, request))
        return status, dict(lines).get(b"query-reformulation", b""), raw


def post(target: bytes, body: bytes, *lines: bytes) -> bytes:
    return get(target, _JSON, b"Content-Length: %d" % len(body), *lines, method=b"POST") + body


async def test_a_head_of_any_size_is_refused_and_not_held() -> None:
    async with upstream() as raw, front(proxy(raw)) as port:
        try:
            answer = await exchange(port, get(b"/s?q=a", b"X: " + b"x" * 200_000))
            assert split(answer)[0] in (400, 431)
        except ConnectionError:
            pass  # closed before all of it was read
        assert raw.requests == []


async def test_a_body_larger_than_is_looked_at_streams_through_unread() -> None:
    body = json.dumps({"query": "red lamp", "pad": "x" * 10 * MAX_BODY}).encode()
    status, said, raw = await through(post(b"/s", body))
    assert (status, raw.requests[0].body) == (200, body)
    assert said.startswith(b"skipped")


@pytest.mark.parametrize("opening", [b"[", b'{"query":', b'{"query":{"bool":{"must":'])
@pytest.mark.parametrize("target", [b"/s", b"/i/_search"])
async def test_depth_is_no_error(opening: bytes, target: bytes) -> None:
    body = (opening * MAX_BODY)[:MAX_BODY]
    began = perf_counter()
    status, said, raw = await through(post(target, body))
    assert (status, raw.requests[0].body) == (200, body)
    assert said.startswith(b"skipped")
    assert perf_counter() - began < 5


async def test_a_text_longer_than_a_query_is_left_alone() -> None:
    text = b"red+lamp+" * 3000
    status, said, raw = await through(get(b"/s?q=" + text))
    assert (status, raw.requests[0].target) == (200, b"/s?q=" + text)
    assert said.startswith(b"skipped;reason=too_long")


async def test_more_texts_than_are_looked_at() -> None:
    clauses = [{"match": {"title": f"red lamp {n}"}} for n in range(60)]
    body = json.dumps({"query": {"bool": {"should": clauses}}}).encode()
    status, _, raw = await through(post(b"/i/_search", body))
    assert status == 200
    assert raw.requests[0].body.count(b"lifted") <= 16


@pytest.mark.parametrize("coding", [b"gzip", b"zstd", b"br", b"gzip, gzip"])
async def test_what_is_compressed_is_not_inflated(coding: bytes) -> None:
    """A bomb of 10 MB goes on as the 10 kB that came."""
    body = gzip.compress(b'{"query":"red lamp","pad":"' + b"x" * 10_000_000 + b'"}')
    request = post(b"/s", body[: MAX_BODY - 1], b"Content-Encoding: " + coding)
    status, said, raw = await through(request)
    assert (status, raw.requests[0].body) == (200, body[: MAX_BODY - 1])
    assert said.startswith(b"skipped")


async def test_parameters_by_the_thousand() -> None:
    target = b"/s?" + b"&".join(b"q=red+lamp+%d" % n for n in range(3000))
    status, _, raw = await through(get(target))
    assert status == 200
    assert raw.requests[0].target.count(b"lifted") <= 16


def test_distinct_keys_do_not_grow_the_memo() -> None:
    memo = Memo(max_entries=1000, max_bytes=2**20)
    for number in range(20_000):
        key = MemoKey(f"red lamp {number}" * 4, "t5:1", "1/1", Mode.REPLACE, "")
        memo.put(key, Verdict("lamp"), float(number))
    stats = memo.stats()
    assert stats.entries <= 1000
    assert stats.bytes <= 2**20


@pytest.mark.parametrize("long", ["text", "scope", "rewrite"])
def test_an_entry_larger_than_the_memo_is_not_kept(long: str) -> None:
    memo = Memo(max_entries=100, max_bytes=2**17)
    parts = {"text": "a", "scope": "b", "rewrite": "c", long: "x" * 2**18}
    key = MemoKey(parts["text"], "t5:1", "1/1", Mode.REPLACE, parts["scope"])
    memo.put(key, Verdict(parts["rewrite"]), 0.0)
    assert memo.get(key, 0.0) is None
    assert memo.stats().bytes == 0


async def test_a_flood_of_distinct_texts_waits_in_bounded_lanes() -> None:
    limits = Limits(foreground=4, background=2)
    engine = ScriptedEngine(lambda text: f"lifted {text}")
    reformulator = Reformulator(engine, budget=0.05, limits=limits)
    words = "red green blue small large heavy light quiet strong cheap".split()
    texts = [f"{a} {b} lamp {c}" for a in words for b in words for c in ("shop", "dispatcher")]
    answers = await asyncio.gather(*[reformulator.reformulate(text) for text in texts])
    stats = reformulator.stats()
    assert stats.foreground <= 4
    assert stats.background <= 2
    assert stats.flights <= 4 + 2 + limits.batch
    assert {a.reason for a in answers if a.reason} <= {
        Reason.OVERLOADED, Reason.PREDICTED_LATE, Reason.TIMEOUT, Reason.NOT_READY
    }  # fmt: skip
    await asyncio.to_thread(reformulator.close)
