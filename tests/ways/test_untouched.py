"""What is no search, or a search that is not rewritten, reaches the app as it came."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message, Scope

from middleware import Mode, PlainDialect, ReformulationMiddleware, Reformulator, SearchRule
from middleware.testing import ScriptedEngine
from tests.conftest import at_most

from .conftest import Build
from .driving import (
    FORM,
    JSON,
    RESULT,
    App,
    Client,
    body_messages,
    call,
    http_scope,
    said,
)

pytestmark = pytest.mark.anyio

RULES = [SearchRule("/search", dialect=PlainDialect(["q"], ["/query"]))]
# What the middleware may add for whom it forwards to.
_ADDED = ("extensions",)


def same(before: Scope, after: Scope) -> bool:
    """Tell whether a scope has every key and value that it had."""
    return {k: v for k, v in after.items() if k not in _ADDED} == {
        k: v for k, v in before.items() if k not in _ADDED
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/searching"),
        ("GET", "/search/deep"),
        ("HEAD", "/search"),
        ("DELETE", "/search"),
        ("PUT", "/search"),
        ("OPTIONS", "/search"),
        ("POST", "/index/_delete_by_query"),
    ],
)
async def test_what_no_rule_names_is_the_very_same_request(
    reformulator: Reformulator, method: str, path: str
) -> None:
    app, scope = App(reads=False), http_scope(method, path, b"q=red+garden+lamp", [FORM])
    before, client = copy.deepcopy(scope), Client()
    receive, send = client.receive, client.send
    await ReformulationMiddleware(app, reformulator, rules=RULES)(scope, receive, send)
    assert app.scopes[0] is scope
    assert scope == before
    assert app.channels == [(receive, send)]
    assert app.channels[0][0] is receive
    assert app.channels[0][1] is send
    assert client.received == 0
    assert not client.header(RESULT)
    assert not client.header(b"server-timing")


@pytest.mark.parametrize("kind", ["websocket", "lifespan", "telepathy"])
async def test_other_scopes_are_the_very_same(reformulator: Reformulator, kind: str) -> None:
    app = App()
    scope: Scope = {"type": kind, "path": "/search", "query_string": b"q=red+garden+lamp"}
    before, client = dict(scope), Client()
    receive, send = client.receive, client.send
    await ReformulationMiddleware(app, reformulator, rules=RULES)(scope, receive, send)
    assert app.scopes[0] is scope
    assert scope == before
    assert app.channels[0][0] is receive
    assert client.sent[0]["headers"] == [*app.headers]
    if kind != "lifespan":  # which is watched for an answer
        assert app.channels[0][1] is send


QUERIES = [
    b"",
    b"q",
    b"q=",
    b"q=x",
    b"q=%22red+garden+lamp%22",
    b"fq=a&q=color:red&fq=b&fq=a",
    b"q=c%2B%2B+primer&u=%26z|w&t=a/b",
    b"q=54-QR323014",
    b"q=caf\xe9+tables+and+chairs",
    b"q=caf%E9+tables+and+chairs",
    b"q=red+garden+lamp+%zz",
    b"p=red+garden+lamp&Q=red+garden+lamp&flag&&=&=x",
    b"q=https://example.org/a?b",
    b"q=" + b"a+" * 1000,
]


@pytest.mark.parametrize("query", QUERIES)
async def test_a_search_that_is_not_rewritten_is_the_same_request(
    reformulator: Reformulator, engine: ScriptedEngine, query: bytes
) -> None:
    """The scope is not even copied where nothing is in its way."""
    app, scope = App(), http_scope(query=query, headers=[(b"x-a", b"caf\xe9"), (b"x-a", b"2")])
    before, client = copy.deepcopy(scope), Client()
    receive = client.receive
    await ReformulationMiddleware(app, reformulator, rules=RULES)(scope, receive, client.send)
    assert app.scopes[0] is scope
    assert scope == before
    assert app.channels[0][0] is receive
    assert client.body == b"ok"
    assert client.result[0] in ("skipped", "unchanged")
    assert not engine.calls


BODIES = [
    (FORM, [b"q=%22red+garden+lamp%22&a=1&a=2"]),
    (FORM, [b"q=caf\xe9+tables", b"+and+chairs", b""]),
    (FORM, [b""]),
    (FORM, [b"nothing=here", b"&else"]),
    (JSON, [b'{ "query" : "color:red" ,\n "size":10}']),
    (JSON, [b'{"query": ', b'["red garden lamp"]}']),
    (JSON, [b'{"query": "red garden lamp"']),
    (JSON, [b"\xff\xfe{"]),
    ((b"content-type", b"text/plain"), [b"q=red+garden+lamp"]),
    ((b"content-type", b"multipart/form-data; boundary=x"), [b"--x\r\nq=red garden\r\n--x--"]),
    ((b"content-type", b"application/octet-stream"), [bytes(range(256)), b"", b"\x00"]),
]


@pytest.mark.parametrize(("kind", "chunks"), BODIES)
async def test_a_body_that_is_not_rewritten_arrives_chunk_by_chunk(
    reformulator: Reformulator,
    engine: ScriptedEngine,
    kind: tuple[bytes, bytes],
    chunks: list[bytes],
) -> None:
    app, messages = App(), body_messages(*chunks)
    length = (b"content-length", b"%d" % len(b"".join(chunks)))
    scope = http_scope("POST", headers=[kind, length])
    before = copy.deepcopy(scope)
    expected = copy.deepcopy(messages)
    await call(ReformulationMiddleware(app, reformulator, rules=RULES), scope, messages)
    assert app.messages == expected
    assert same(before, app.scopes[0])
    assert scope == before
    assert not engine.calls


@pytest.mark.parametrize("encoding", [b"gzip", b"zstd", b"br", b"gzip, identity"])
@pytest.mark.parametrize(("kind", "body"), [(FORM, b"q=red+lamp"), (JSON, b'{"query":"red lamp"}')])
async def test_encoded_bodies_are_not_looked_at(
    reformulator: Reformulator, kind: tuple[bytes, bytes], body: bytes, encoding: bytes
) -> None:
    """What claims to be compressed streams through, whatever it is."""
    app, client = App(), Client(body_messages(body))
    scope = http_scope("POST", headers=[kind, (b"content-encoding", encoding)])
    receive = client.receive
    await ReformulationMiddleware(app, reformulator, rules=RULES)(scope, receive, client.send)
    assert app.channels[0][0] is receive
    assert app.bodies == [body]
    looked = "q in the URL, not in the body (it is compressed)"
    assert said(client.result) == f"skipped;reason=no_text;looked={looked}"


@pytest.mark.parametrize("mode", [Mode.OFF, Mode.SHADOW])
async def test_modes_that_send_the_original(
    build: Build, engine: ScriptedEngine, mode: Mode
) -> None:
    app, reformulator = App(), build(mode=mode)
    scope = http_scope(query=b"q=red+garden+lamp&z=%zz")
    client = await call(ReformulationMiddleware(app, reformulator, rules=RULES), scope)
    assert app.scopes[0] is scope
    assert client.result[0] == "skipped"


async def test_an_engine_that_fails_leaves_the_request_as_it_is(build: Build) -> None:
    app = App()
    broken = ScriptedEngine(lambda _: RuntimeError("no"))
    body = b"q=red+garden+lamp&b=1"
    scope = http_scope("POST", query=b"q=blue%20lamp%20shade", headers=[FORM])
    before = copy.deepcopy(scope)
    client = await call(
        ReformulationMiddleware(app, build(engine=broken), rules=RULES),
        scope,
        body_messages(body),
    )
    assert said(client.result) == "fallback;reason=engine_error"
    assert same(before, app.scopes[0])
    assert app.bodies == [body]


@settings(max_examples=at_most(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    query=st.lists(
        st.one_of(
            st.binary(max_size=6),
            st.sampled_from([b"&", b"=", b"q=", b"+", b"%", b"%2", b"%26", b"q", b"fq=a"]),
        ),
        max_size=8,
    ).map(b"".join),
    body=st.lists(st.binary(max_size=8), min_size=1, max_size=4),
    kind=st.sampled_from([FORM, JSON]),
)
async def test_whatever_comes_is_kept_where_the_engine_changes_nothing(
    build: Build, query: bytes, body: list[bytes], kind: tuple[bytes, bytes]
) -> None:
    """With an engine that repeats its text no byte moves, whatever the request holds."""
    app, messages = App(), body_messages(*body)
    expected = copy.deepcopy(messages)
    scope = http_scope("POST", query=query, headers=[kind])
    before = copy.deepcopy(scope)
    middleware = ReformulationMiddleware(app, build(engine=ScriptedEngine()), rules=RULES)
    client = await call(middleware, scope, messages)
    assert same(before, app.scopes[0])
    assert app.messages == expected
    assert client.status == 200


@pytest.mark.parametrize(
    "lines", [[], [(b"x-sum", b"1")], [(b"Query-Reformulation", b"rewritten")]]
)
async def test_lines_may_be_any_iterable(
    reformulator: Reformulator, lines: list[tuple[bytes, bytes]]
) -> None:
    """An app may give a generator, which can be read once."""
    client = Client()

    async def app(scope: Scope, receive: Any, send: Any) -> None:
        start = {"type": "http.response.start", "status": 200, "trailers": True}
        await send({**start, "headers": iter(lines)})
        await send({"type": "http.response.body", "body": b"ok"})
        await send({"type": "http.response.trailers", "headers": iter(lines)})

    middleware = ReformulationMiddleware(app, reformulator, rules=RULES)
    await middleware(http_scope(query=b"q=red+garden+lamp"), client.receive, client.send)
    own = [line for line in lines if line[0] == b"x-sum"]
    assert list(client.sent[0]["headers"])[: len(own)] == own
    assert client.result[0] == "rewritten"
    assert list(client.sent[-1]["headers"]) == own


async def test_streaming_responses_pass_message_by_message(reformulator: Reformulator) -> None:
    """Nothing is collected: the client has each chunk before the app makes the next one."""
    client = Client()
    seen: list[int] = []

    async def stream(scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "trailers": True})
        for number in range(3):
            seen.append(len(client.sent))
            chunk = {"type": "http.response.body", "body": b"%d" % number, "more_body": True}
            await send(chunk)
            assert client.sent[-1] is chunk
        end: Message = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]}
        await send(end)
        assert client.sent[-1] is end

    middleware = ReformulationMiddleware(stream, reformulator, rules=RULES)
    await middleware(http_scope(query=b"q=red+garden+lamp"), client.receive, client.send)
    assert seen == [1, 2, 3]
    assert client.sent[0]["trailers"] is True
    assert client.result[0] == "rewritten"
