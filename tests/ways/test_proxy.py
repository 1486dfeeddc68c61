"""The reverse proxy over real sockets: requests as the upstream receives them."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import unquote_plus

import pytest

from middleware import Acceptance, Policy, Reformulator, ReverseProxy
from middleware.testing import ScriptedEngine
from tests.upstream.wire import (
    FRONTS,
    Received,
    exchange,
    get,
    reply,
    split,
)

from .conftest import Build
from .driving import call, http_scope, said
from .proxying import FORM, JSON, RULES, outcome, post, proxied

pytestmark = pytest.mark.anyio


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
    looked = "q in the URL, not in the body (it is too long)"
    assert outcome(response) == f"skipped;reason=no_text;looked={looked}"
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
    acceptance: Any = NoAcceptance() if lenient else Acceptance()
    reformulator = build(engine=engine, policy=Policy(acceptance=acceptance))
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
