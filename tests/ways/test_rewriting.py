"""Searches through the middleware: what of a request is rewritten, and what around it stays."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from middleware import (
    Clients,
    Dialect,
    PlainDialect,
    QuerySpan,
    Reason,
    ReformulationMiddleware,
    Reformulator,
    SearchRequest,
    SearchRule,
)
from middleware.dialects.registry import load_dialect
from middleware.http.extensions import RETRY_SAFE
from middleware.testing import ManualClock, ScriptedEngine
from tests.conftest import at_most

from .conftest import Build
from .driving import FORM, JSON, App, Client, body_messages, call, http_scope, said, until

pytestmark = pytest.mark.anyio

RULES = [SearchRule("/search", dialect=PlainDialect(["q"], ["/query", "/queries/1/text"]))]


@pytest.mark.parametrize(
    ("query", "arrives"),
    [
        (b"q=red+garden+lamp", b"q=lifted+red+garden+lamp"),
        (b"q=red%20garden%20lamp", b"q=lifted%20red%20garden%20lamp"),
        (b"fq=a&q=red+lamp&fq=b&fq=a", b"fq=a&q=lifted+red+lamp&fq=b&fq=a"),
        (b"u=%26z|w&t=a/b&q=red+lamp&c=c%2B%2B", b"u=%26z|w&t=a/b&q=lifted+red+lamp&c=c%2B%2B"),
        (b"flag&q=red+lamp&=&empty=&&x", b"flag&q=lifted+red+lamp&=&empty=&&x"),
        (b"a=%E9&b=\xe9&c=%zz&q=red+lamp", b"a=%E9&b=\xe9&c=%zz&q=lifted+red+lamp"),
        (b"%71=red+lamp&q", b"%71=lifted+red+lamp&q"),
        (b"q=red+lamp&q=blue+chair", b"q=lifted+red+lamp&q=lifted+blue+chair"),
    ],
)
async def test_only_the_values_bytes_change(
    reformulator: Reformulator, query: bytes, arrives: bytes
) -> None:
    app, scope = App(), http_scope(query=query)
    client = await call(ReformulationMiddleware(app, reformulator, rules=RULES), scope)
    assert app.query == arrives
    assert {**app.scopes[0], "query_string": query} == scope
    assert scope["query_string"] == query, "the server's own scope is not written into"
    assert said(client.result) == "rewritten;src=engine"


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_form_body(reformulator: Reformulator, declared: bool, size: int) -> None:
    """The length fits the new body where one was said; a chunked body gets none."""
    body = b"fq=a&q=red+garden+lamp&fq=%zz"
    framing = (
        (b"content-length", b"%d" % len(body)) if declared else (b"transfer-encoding", b"chunked")
    )
    chunks = [body[i : i + size] for i in range(0, len(body), size)]
    app = App()
    client = await call(
        ReformulationMiddleware(app, reformulator, rules=RULES),
        http_scope("POST", headers=[(b"x-first", b"1"), FORM, framing, (b"x-last", b"2")]),
        body_messages(*chunks),
    )
    assert app.bodies == [b"fq=a&q=lifted+red+garden+lamp&fq=%zz"]
    expected = (b"content-length", b"%d" % len(app.bodies[0])) if declared else framing
    assert app.scopes[0]["headers"][1:] == [(b"x-first", b"1"), FORM, expected, (b"x-last", b"2")]
    assert client.result[0] == "rewritten"


async def test_a_json_pointer(reformulator: Reformulator) -> None:
    """Blanks, order, escapes and numbers around the text stay, also those that JSON can vary."""
    body = b'{ "a":1e400, "query" : "red \\u0067arden lamp" ,"A":"\\/", "a":2.50 }\n'
    kind = (b"content-type", b"application/vnd.acme+json; compatible-with=8")
    app = App()
    await call(
        ReformulationMiddleware(app, reformulator, rules=RULES),
        http_scope("POST", headers=[kind, (b"content-length", b"%d" % len(body))]),
        body_messages(body[:20], body[20:]),
    )
    assert app.bodies == [body.replace(b"red \\u0067arden lamp", b"lifted red garden lamp")]
    headers = dict(app.scopes[0]["headers"])
    assert headers[b"content-length"] == b"%d" % len(app.bodies[0])
    assert headers[b"content-type"] == kind[1]


async def test_a_text_in_the_url_of_a_post_leaves_the_body_as_it_came(
    reformulator: Reformulator,
) -> None:
    body = [b'{"que', b'ry": "color:red"}']
    app = App()
    headers = [JSON, (b"content-length", b"21")]
    await call(
        ReformulationMiddleware(app, reformulator, rules=RULES),
        http_scope("POST", query=b"q=red+lamp", headers=headers),
        body_messages(*body),
    )
    assert app.query == b"q=lifted+red+lamp"
    assert [message["body"] for message in app.messages] == body
    assert app.scopes[0]["headers"][1:] == headers


async def test_texts_in_the_url_and_in_the_body_at_once(reformulator: Reformulator) -> None:
    app = App()
    await call(
        ReformulationMiddleware(app, reformulator, rules=RULES),
        http_scope("POST", query=b"q=red+lamp", headers=[JSON]),
        body_messages(b'{"queries":[{},{"text":"blue chair"}],"query":"green door"}'),
    )
    assert app.query == b"q=lifted+red+lamp"
    assert json.loads(app.bodies[0]) == {
        "queries": [{}, {"text": "lifted blue chair"}],
        "query": "lifted green door",
    }


async def test_a_get_with_a_body_is_read_where_one_is_declared(reformulator: Reformulator) -> None:
    """Some search APIs take their query so; a GET without framing is never waited for."""
    body = b'{"query":"red lamp"}'
    app = App()
    await call(
        ReformulationMiddleware(app, reformulator, rules=RULES),
        http_scope("GET", headers=[JSON, (b"content-length", b"%d" % len(body))]),
        body_messages(body),
    )
    assert app.bodies == [b'{"query":"lifted red lamp"}']

    silent = Client([])
    app = App(reads=False)
    middleware = ReformulationMiddleware(app, reformulator, rules=RULES)
    await middleware(
        http_scope("GET", query=b"q=red+lamp", headers=[JSON]), silent.receive, silent.send
    )
    assert silent.received == 0
    assert silent.result[0] == "rewritten"


async def test_expand_keeps_the_text_and_adds_to_it(build: Build) -> None:
    app = App()
    engine = ScriptedEngine({"garden lamp": "outdoor lamp"})
    middleware = ReformulationMiddleware(app, build(engine=engine, mode="expand"), rules=RULES)
    await call(middleware, http_scope(query=b"q=garden+lamp&z=1"))
    assert app.query == b"q=garden+lamp+outdoor&z=1"


async def test_several_texts_share_one_budget(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    """Texts of one request wait side by side: the request waits for one budget, not for each."""
    engine.delay = 60.0
    app, client = App(), Client()
    middleware = ReformulationMiddleware(app, build(budget=0.1), rules=RULES)
    query = b"q=red+lamp&q=blue+chair&q=green+door&q=old+house"
    task = asyncio.ensure_future(middleware(http_scope(query=query), client.receive, client.send))
    await clock.advance(0.0999)
    assert not task.done()
    await clock.advance(0.0001)
    await until(task.done)
    assert app.query == query
    assert said(client.result) == "fallback;reason=timeout"
    assert client.result[1]["dur"] == pytest.approx(100, abs=0.01)


async def test_some_texts_of_a_request_may_stay(reformulator: Reformulator) -> None:
    """The header tells the strongest outcome."""
    app = App()
    client = await call(
        ReformulationMiddleware(app, reformulator, rules=RULES),
        http_scope(query=b"q=color:red&q=red+lamp&q="),
    )
    assert app.query == b"q=color:red&q=lifted+red+lamp&q="
    assert said(client.result) == "rewritten;src=engine"


async def test_tenants_share_nothing(reformulator: Reformulator, engine: ScriptedEngine) -> None:
    """What one tenant asked for is no memo hit to another, who could tell by the time it takes."""

    def tenant(scope: Any) -> str:
        return str(dict(scope["headers"])[b"host"], "ascii")

    middleware = ReformulationMiddleware(
        App(), reformulator, rules=RULES, clients=Clients(tenant_of=tenant)
    )
    said_to = []
    for host in (b"a.test", b"b.test", b"a.test"):
        scope = http_scope(query=b"q=red+lamp")
        scope["headers"] = [(b"host", host)]
        said_to.append(said((await call(middleware, scope)).result))
    assert said_to == ["rewritten;src=engine", "rewritten;src=engine", "rewritten;src=memo"]
    assert engine.calls == [["red lamp"]] * 2


class Raising(Dialect):
    """A dialect that breaks its promise."""

    name = "raising"

    def __init__(self, at: str) -> None:
        self.at = at

    def wants_body(self, request: SearchRequest) -> bool:
        """Raise, or want it."""
        if self.at == "wants_body":
            raise RuntimeError(self.at)
        return True

    def spans(self, request: SearchRequest) -> list[QuerySpan]:
        """Raise, or give what raises later."""
        if self.at == "slots":
            raise RuntimeError(self.at)
        found = PlainDialect().spans(request)
        return [QuerySpan(s.part, s.start, s.stop, s.text, self.spell) for s in found]

    def spell(self, text: str) -> bytes:
        """Raise."""
        raise RuntimeError(self.at)


@pytest.mark.parametrize("at", ["wants_body", "slots", "spell", "tenant_of"])
async def test_what_the_user_supplied_may_fail_and_the_search_goes_on(
    reformulator: Reformulator, caplog: pytest.LogCaptureFixture, at: str
) -> None:
    def tenant_of(scope: Any) -> str:
        raise RuntimeError("tenant_of")

    app = App()
    rule = SearchRule(dialect=PlainDialect() if at == "tenant_of" else Raising(at))
    middleware = ReformulationMiddleware(
        app,
        reformulator,
        rules=[rule],
        clients=Clients(tenant_of=tenant_of if at == "tenant_of" else None),
    )
    scope = http_scope("POST", query=b"q=red+lamp", headers=[FORM])
    client = await call(middleware, scope, body_messages(b"a=1", b"&b=2"))
    assert app.query == b"q=red+lamp"
    assert app.bodies == [b"a=1&b=2"]
    if at != "wants_body":
        assert said(client.result) == f"fallback;reason={Reason.ENGINE_ERROR}"
    assert any(record.exc_info for record in caplog.records)


async def test_only_searches_with_a_text_are_said_to_be_safe_to_repeat(
    reformulator: Reformulator,
) -> None:
    """An order that a wide rule happens to match must not be placed twice by a retry."""
    app = App()
    middleware = ReformulationMiddleware(app, reformulator, rules=[SearchRule()])
    await call(middleware, http_scope("POST", "/orders", headers=[JSON]), body_messages(b"{}"))
    assert "extensions" not in app.scopes[-1]
    scope = http_scope("POST", headers=[FORM], extensions={"other": {}})
    await call(middleware, scope, body_messages(b"q=red+lamp"))
    assert app.scopes[-1]["extensions"] == {"other": {}}  # every path is looked into
    middleware = ReformulationMiddleware(app, reformulator, rules=[SearchRule(scope["path"])])
    await call(middleware, http_scope("POST", scope["path"], headers=[JSON]), body_messages(b"{}"))
    assert "extensions" not in app.scopes[-1]
    await call(middleware, scope, body_messages(b"q=red+lamp"))
    assert app.scopes[-1]["extensions"] == {"other": {}, RETRY_SAFE: True}


@pytest.mark.parametrize(("name", "safe"), [("groonga", False), ("solr", False), ("plain", None)])
async def test_what_writes_by_get_is_not_sent_twice(
    reformulator: Reformulator, name: str, safe: bool | None
) -> None:
    """``/d/load?values=`` and ``/update?stream.body=`` are GETs like any other to HTTP."""
    app = App()
    rules = [SearchRule("/d/select", dialect=load_dialect(name))]
    middleware = ReformulationMiddleware(app, reformulator, rules=rules)
    await call(middleware, http_scope("GET", "/d/load", query=b"values=[]"))
    assert app.scopes[-1].get("extensions", {}).get(RETRY_SAFE) is safe
    await call(middleware, http_scope("GET", "/d/select", query=b"query=red+lamp"))
    assert app.scopes[-1].get("extensions", {}).get(RETRY_SAFE) is None  # as any GET


# Any character at all: what an engine could come up with, whatever acceptance may let through.
@settings(max_examples=at_most(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(noise=st.text(st.characters(codec=None), min_size=1, max_size=12), plus=st.booleans())
async def test_no_rewrite_reaches_into_its_neighbours(build: Build, noise: str, plus: bool) -> None:
    """Whatever the engine says, the other parameters say what they said, in their order."""
    app = App()
    engine = ScriptedEngine(lambda text: f"{text} {noise}")
    middleware = ReformulationMiddleware(app, build(engine=engine), rules=RULES)
    query = b"a=1&q=red%bgarden%blamp&q2=x&a=%%zz".replace(b"%b", b"+" if plus else b"%20")
    await call(middleware, http_scope(query=query))
    before, after = query.split(b"&"), app.query.split(b"&")
    assert len(before) == len(after)
    assert [pair for pair in after if not pair.startswith(b"q=")] == [
        pair for pair in before if not pair.startswith(b"q=")
    ]
    assert not set(app.query) & set(b'\r\n\x00 #"')
    assert dict(parse_qsl(after[1].decode("ascii")))["q"].startswith("red garden lamp")
