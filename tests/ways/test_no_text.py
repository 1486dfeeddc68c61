"""A request in which nothing was found tells where that was looked for; over real sockets."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import (
    Dialect,
    PlainDialect,
    Reason,
    Reformulation,
    Reformulator,
    ReverseProxy,
    SearchRequest,
    SearchRule,
    reformulated,
)
from middleware.core.reformulation import no_text
from middleware.dialects.registry import load_dialect
from middleware.instrumentation.headers import MAX_QUERY, result_headers
from middleware.testing import ScriptedEngine
from tests.dialects.standing import StandIn, Standing, standing

from .driving import parsed

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
ROUTED = {"routed": PlainDialect(["q", "text"], ["/query", "/a/b"])}
NAMES = ("algolia", "elasticsearch", "groonga", "meilisearch", "solr", "typesense")

PROSE = "; only what is searched in fields of prose"

# dialect, target, body, its type: where a text was looked for
NOTHING: list[tuple[str, str, bytes, str, str]] = [
    ("routed", "/search", b"", JSON, "q or text in the URL"),
    ("routed", "/search?query=red+lamp", b"", JSON, "q or text in the URL"),
    ("routed", "/search", b"query=red", FORM, "q or text in the URL, q or text in the body"),
    ("routed", "/search", b'{"q":"red"}', JSON, "q or text in the URL, /a/b or /query in the body"),
    ("routed", "/search", b"{broken", JSON, "q or text in the URL, /a/b or /query in the body"),
    ("routed", "/search", b"red", "text/plain",
     "q or text in the URL, not in the body (type text/plain)"),
    ("routed", "/search", b"red", "a/b\"%; x=y",
     "q or text in the URL, not in the body (type a/b%22%25)"),
    ("routed", "/search", b'{"query":"%s"}' % (b"red " * 90_000), JSON,
     "q or text in the URL, not in the body (it is too long)"),
    ("routed", "/i/_bulk", b"{}", JSON, "nothing, as the path is a command and no search"),
    ("elasticsearch", "/i/_search", b"", JSON, "q or source in the URL" + PROSE),
    ("elasticsearch", "/i/_search", b'{"query":{"match_all":{}}}', JSON,
     "q or source in the URL, query, sub_searches, knn, retriever or rescore in the body" + PROSE),
    ("elasticsearch", "/i/_doc/_search", b"{}", JSON,
     "nothing, as method and path are no search of elasticsearch"),
    ("solr", "/solr/c/select?rows=3", b"", JSON, "q in the URL" + PROSE),
    ("solr", "/solr/c/query", b"{}", JSON,
     "q in the URL, q, query or params.q in the body" + PROSE),
    ("meilisearch", "/indexes/m/search", b'{"q":null}', JSON,
     "q in the URL, q in the body" + PROSE),
    ("typesense", "/multi_search", b'{"searches":[]}', JSON, "q in the URL, q in the body" + PROSE),
    ("algolia", "/1/indexes/p/query", b"{}", FORM,
     "query in the URL, query, or query in params in the body" + PROSE),
    ("elasticsearch", "/i/_search", b'{"query":{"match":{"user.id":"red lamp"}}}', JSON,
     "q or source in the URL, query, sub_searches, knn, retriever or rescore in the body" + PROSE),
    ("solr", "/solr/c/select?q=red+lamp&df=maker_s", b"", JSON, "q in the URL" + PROSE),
    ("groonga", "/d/select?table=a", b"", JSON, "query in the URL" + PROSE),
]  # fmt: skip


@pytest.fixture(scope="module")
def proxies() -> Iterator[dict[str, Standing]]:
    """One proxy for each dialect."""
    with ExitStack() as stack:
        reformulator = stack.enter_context(Reformulator(ScriptedEngine(), budget=30.0))

        def proxy(dialect: Dialect) -> Standing:
            make = lambda url: ReverseProxy(  # noqa: E731
                url, rules=[SearchRule(dialect=dialect)], reformulator=reformulator
            )
            return stack.enter_context(standing(StandIn(), make))

        dialects = ROUTED | {name: load_dialect(name) for name in NAMES}
        yield {name: proxy(dialect) for name, dialect in dialects.items()}


def result(said: str) -> tuple[str, dict[str, Any]]:
    """Return what a result header says, without its duration."""
    outcome, parameters = parsed(said.encode())
    del parameters["dur"]
    return outcome, parameters


@pytest.mark.parametrize(("dialect", "target", "body", "kind", "looked"), NOTHING)
def test_it_says_where_it_looked(
    proxies: dict[str, Standing], dialect: str, target: str, body: bytes, kind: str, looked: str
) -> None:
    _, _, said = proxies[dialect].sent(target, body, kind)
    assert result(said) == ("skipped", {"reason": "no_text", "looked": looked})


def test_a_compressed_body_was_not_looked_into(proxies: dict[str, Standing]) -> None:
    body = gzip.compress(b'{"query":{"match":{"title":"red lamp"}}}')
    client = proxies["elasticsearch"].client
    headers = {"content-type": JSON, "content-encoding": "gzip"}
    said = client.post("/i/_search", content=body, headers=headers).headers["query-reformulation"]
    looked = "q or source in the URL, not in the body (it is compressed)" + PROSE
    assert result(said) == ("skipped", {"reason": "no_text", "looked": looked})


@pytest.mark.parametrize(
    ("dialect", "target", "body", "reason"),
    [
        ("routed", "/search?q=", b"", "empty"),
        ("routed", "/search?q=+%20", b"", "empty"),
        ("routed", "/search", b'{"query":""}', "empty"),
        ("elasticsearch", "/i/_search", b'{"query":{"match":{"title":" "}}}', "empty"),
        ("meilisearch", "/indexes/m/search", b'{"q":""}', "empty"),
        ("solr", "/solr/c/select?q=title:red", b"", "syntax"),
        ("routed", "/search?q=x", b"", "too_short"),
    ],
)
def test_a_text_that_was_found_has_its_own_reason(
    proxies: dict[str, Standing], dialect: str, target: str, body: bytes, reason: str
) -> None:
    _, _, said = proxies[dialect].sent(target, body)
    assert result(said) == ("skipped", {"reason": reason})


@given(st.text(max_size=2000))
def test_the_places_always_fit_into_the_header(looked_in: str) -> None:
    """Names come from settings and requests, and a structured field takes no such bytes."""
    lines = dict(result_headers(no_text(looked_in or "x")))
    _, parameters = parsed(lines[b"query-reformulation"])
    assert len(parameters["looked"]) <= MAX_QUERY
    assert parameters["looked"].isascii()


class Own(Dialect):
    """A dialect that says nothing about its places."""

    def spans(self, request: SearchRequest) -> tuple[()]:
        """Return nothing."""
        return ()


@pytest.mark.parametrize(
    ("headers", "body", "looked"),
    [
        ((), None, "any text in the URL"),
        (((b"content-length", b"3"),), None, "any text in the URL, not in the body (type none)"),
        (((b"transfer-encoding", b"chunked"), (b"content-type", b"A/B; c=d")), None,
         "any text in the URL, not in the body (type a/b)"),
    ],
)  # fmt: skip
def test_a_dialect_of_ones_own_needs_to_say_nothing(
    headers: tuple[tuple[bytes, bytes], ...], body: bytes | None, looked: str
) -> None:
    assert Own().looked_in(SearchRequest("POST", "/x", b"", headers, body)) == looked


@pytest.mark.parametrize("value", [None, 3, b"red lamp", ["red lamp"], {"q": "red"}])
def test_a_handler_is_told_which_argument_held_no_text(value: Any) -> None:
    with Reformulator(ScriptedEngine()) as reformulator:

        @reformulated(reformulator, param="wanted")
        def search(wanted: Any, decision: Reformulation | None = None) -> Any:
            return wanted, decision

        passed, decision = search(value)
    assert passed is value
    assert (decision.reason, decision.looked_in) == (Reason.NO_TEXT, "the argument wanted")
    assert json.dumps(decision.original) == '""'
