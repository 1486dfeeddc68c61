"""The headers on a response: which responses have them, and that every parser can read them."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import (
    Mode,
    Outcome,
    Reason,
    Reformulation,
    ReformulationMiddleware,
    Reformulator,
    SearchRule,
    Source,
    Timings,
    Verdict,
)
from middleware.core.reformulation import conclude
from middleware.instrumentation.headers import MAX_QUERY, RESULT_HEADER, result_headers, summary
from middleware.testing import ScriptedEngine

from .conftest import Build
from .driving import App, call, http_scope, parsed, said

pytestmark = pytest.mark.anyio

_SECONDS = st.floats(0, 1e8, allow_nan=False)
_TEXTS = st.text(st.characters(codec=None), max_size=60)
_REFORMULATIONS = st.one_of(
    st.builds(
        Reformulation.untouched,
        _TEXTS,
        st.sampled_from(list(Reason)),
        timings=st.builds(Timings, _SECONDS),
    ),
    st.builds(
        conclude,
        _TEXTS,
        st.one_of(
            st.just(Verdict()),
            _TEXTS.map(Verdict),
            st.sampled_from([r for r in Reason if r.outcome is Outcome.FALLBACK]).map(
                lambda reason: Verdict(reason=reason)
            ),
        ),
        st.sampled_from([Mode.REPLACE, Mode.EXPAND]),
        st.sampled_from(list(Source)),
        st.builds(Timings, _SECONDS),
    ),
)


@given(_REFORMULATIONS)
def test_the_item_says_what_was_done(result: Reformulation) -> None:
    """A parser of structured fields reads back the outcome, and each parameter in its own type."""
    lines = dict(result_headers(result, expose_query=True))
    outcome, parameters = parsed(lines[RESULT_HEADER.encode()])
    assert outcome == result.outcome
    assert parameters.get("src") == result.source
    assert parameters.get("reason") == result.reason
    assert float(parameters["dur"]) == pytest.approx(1000 * result.timings.total, abs=0.00051)
    shown = parameters.get("q")
    if shown is not None:
        assert unquote(shown, errors="surrogatepass") == result.query
    assert lines[b"server-timing"] == b"reformulate;dur=%.3f" % (1000 * result.timings.total)


@given(_TEXTS)
def test_the_query_is_plain_ascii_in_the_header(text: str) -> None:
    """No text can end the string, the header line or the head."""
    result = Reformulation.untouched(text, Reason.TIMEOUT)
    _, value = result_headers(result, expose_query=True)[0]
    head, _, quoted = value.partition(b';q="')
    assert head == b"fallback;reason=timeout;dur=0.000"
    inside, end = quoted[:-1], quoted[-1:]
    assert end == b'"'
    assert not set(inside) - set(
        b" %-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    )


@pytest.mark.parametrize(
    ("text", "there"),
    [("x" * MAX_QUERY, True), ("x" * (MAX_QUERY + 1), False), ("й" * 200, False)],
)
def test_a_long_query_is_left_out(text: str, there: bool) -> None:
    """A header that a proxy in the way refuses would cost the user the answer."""
    _, value = result_headers(Reformulation.untouched(text, Reason.TOO_LONG), expose_query=True)[0]
    assert ("q" in parsed(value)[1]) is there
    assert len(value) < MAX_QUERY + 60


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ([Reason.EMPTY, Reason.TIMEOUT, None], "rewritten;src=memo"),
        ([Reason.EMPTY, Reason.TIMEOUT, Reason.OVERLOADED], "fallback;reason=timeout"),
        ([Reason.QUOTED, Reason.EMPTY], "skipped;reason=quoted"),
    ],
)
def test_one_item_stands_for_all_texts(outcomes: list[Reason | None], told: str) -> None:
    results = [
        conclude("a", Verdict("b"), Mode.REPLACE, Source.MEMO)
        if reason is None
        else Reformulation.untouched("a", reason)
        for reason in outcomes
    ]
    assert said(parsed(result_headers(summary(results))[0][1])) == told


RULES = [SearchRule("/search")]


@pytest.mark.parametrize("status", [200, 304, 404, 500])
async def test_every_response_to_a_search_has_it_and_no_other(
    reformulator: Reformulator, status: int
) -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body"})  # type: ignore[operator]

    middleware = ReformulationMiddleware(app, reformulator, rules=RULES)
    for query in (b"q=red+lamp", b"q=red+lamp", b"q=", b"", b"q=caf%E9+au+lait"):
        client = await call(middleware, http_scope(query=query))
        assert client.result[0] in set(Outcome)
        assert client.status == status
    other = await call(middleware, http_scope(path="/", query=b"q=red+lamp"))
    assert not other.header(b"query-reformulation")
    assert not other.header(b"server-timing")


async def test_hit_and_miss(reformulator: Reformulator) -> None:
    middleware = ReformulationMiddleware(App(), reformulator, rules=RULES, expose_query=True)
    for source in ("engine", "memo"):
        client = await call(middleware, http_scope(query=b"q=red+caf%C3%A9+lamp"))
        outcome, parameters = client.result
        assert (outcome, parameters["src"]) == ("rewritten", source)
        assert parameters["q"] == "lifted red caf%C3%A9 lamp"


async def test_the_query_is_not_told_unasked(reformulator: Reformulator) -> None:
    middleware = ReformulationMiddleware(App(), reformulator, rules=RULES)
    client = await call(middleware, http_scope(query=b"q=red+lamp"))
    assert set(client.result[1]) == {"src", "dur"}


async def test_lines_are_appended_and_only_our_own_name_is_replaced(
    reformulator: Reformulator,
) -> None:
    """Order, case and duplicates of the app's lines stay; what it says in our name does not."""
    lines = [
        (b"Set-Cookie", b"a=1"),
        (b"server-timing", b"db;dur=53"),
        (b"Query-Reformulation", b"rewritten;src=engine;dur=1"),
        (b"set-cookie", b"b=2"),
        (b"Server-Timing", b"upstream;dur=7"),
        (b"content-length", b"2"),
    ]
    middleware = ReformulationMiddleware(App(headers=tuple(lines)), reformulator, rules=RULES)
    client = await call(middleware, http_scope(query=b"q=%22a+b%22"))
    ours = lines.pop(2)
    sent = client.sent[0]["headers"]
    assert sent[:5] == lines
    assert [name for name, _ in sent[5:]] == [b"query-reformulation", b"server-timing"]
    assert said(client.result) == "skipped;reason=quoted"
    assert client.header(b"server-timing")[2].startswith(b"reformulate;dur=")

    other = await call(middleware, http_scope(path="/", query=b"q=red+lamp"))
    assert ours in other.sent[0]["headers"], "no search, no word of ours"


async def test_server_timing_can_be_left_out(reformulator: Reformulator) -> None:
    middleware = ReformulationMiddleware(App(), reformulator, rules=RULES, server_timing=False)
    client = await call(middleware, http_scope(query=b"q=red+lamp"))
    assert not client.header(b"server-timing")
    assert client.result[0] == "rewritten"


@pytest.mark.parametrize("text", ["a\r\nX-Evil: 1", 'a";q="b', "a\x00b", "\ud800 lamp", "ü\\"])
async def test_no_rewrite_splits_the_head(build: Build, text: str) -> None:
    engine = ScriptedEngine(lambda asked: f"{asked} {text}")
    middleware = ReformulationMiddleware(
        App(), build(engine=engine), rules=RULES, expose_query=True
    )
    client = await call(middleware, http_scope(query=b"q=red+garden+lamp"))
    for name, value in client.sent[0]["headers"]:
        assert not set(name + value) & set(b"\r\n\x00")
    assert set(client.result[1]) <= {"src", "reason", "dur", "q"}
