"""Each text of a search is counted once, whoever decided about it, in the header's own words."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import pytest

from middleware import (
    Clients,
    Dialect,
    LogObserver,
    Metrics,
    Mode,
    PlainDialect,
    Record,
    ReformulationMiddleware,
    SearchRule,
    TypingAhead,
)
from middleware.dialects.detection.pending import PendingDialect
from middleware.dialects.registry import load_dialect
from middleware.http.extensions import RETRY_SAFE
from middleware.testing import ManualClock

from .conftest import Build
from .driving import JSON, App, body_messages, call, http_scope, said

pytestmark = pytest.mark.anyio


def counted(build: Build, dialect: Dialect, **options: Any) -> tuple[Any, list[Record]]:
    """Return a middleware, and what its observer is told."""
    records: list[Record] = []
    reformulator = build(observers=[records.append], **options.pop("reformulator", {}))
    rules = [SearchRule("/**", dialect=dialect)]
    return ReformulationMiddleware(App(), reformulator, rules=rules, **options), records


def reasons(records: list[Record]) -> list[str]:
    """Return the outcome of each, with its reason."""
    results = [record.reformulation for record in records]
    return [f"{result.outcome};{result.reason or result.source}" for result in results]


SOLR = "/solr/c/select"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (b"q=red+lamp", "rewritten;engine"),
        (b"q=red+lamp&start=10", "skipped;paged"),
        (b"q=title:red", "skipped;syntax"),
        (b"q=red+lamp&oauth_signature=x", "skipped;signed"),
        (b"q=%FF", "skipped;unencodable"),
        (b"q=", "skipped;empty"),
    ],
)
async def test_what_the_request_decides_is_counted_as_what_the_engine_does(
    build: Build, query: bytes, reason: str
) -> None:
    middleware, records = counted(build, load_dialect("solr"))
    client = await call(middleware, http_scope(path=SOLR, query=query))
    assert reasons(records) == [reason]
    outcome, _, word = reason.partition(";")
    kind = "src" if outcome == "rewritten" else "reason"
    assert said(client.result) == f"{outcome};{kind}={word}"


async def test_a_later_page_with_the_first_ones_query_is_counted_as_from_the_memo(
    build: Build,
) -> None:
    middleware, records = counted(build, load_dialect("solr"))
    for query in (b"q=red+lamp", b"q=red+lamp&start=10"):
        await call(middleware, http_scope(path=SOLR, query=query))
    assert reasons(records) == ["rewritten;engine", "rewritten;memo"]


async def test_what_is_still_typed_is_counted(build: Build, clock: ManualClock) -> None:
    clients = Clients(typing=TypingAhead(window=1.0), clock=clock)
    middleware, records = counted(build, PlainDialect(), clients=clients)
    for text in (b"red", b"red+la", b"red+lamp", b"red+lamp"):
        browser = [(b"sec-fetch-site", b"same-origin")]
        await call(middleware, http_scope(query=b"q=" + text, headers=browser))
    assert reasons(records)[1:] == ["skipped;typing"] * 2 + ["rewritten;engine"]


async def test_each_text_of_several_is_counted_once(build: Build) -> None:
    middleware, records = counted(build, load_dialect("meilisearch"))
    body = (
        b'{"queries": [{"q": "red lamp"}, {"q": "old house", "page": 2}, {"q": "\\"red lamp\\""}]}'
    )
    scope = http_scope("POST", "/multi-search", headers=[JSON])
    await call(middleware, scope, body_messages(body))
    assert Counter(reasons(records)) == Counter(
        ["rewritten;engine", "skipped;paged", "skipped;syntax"]
    )


class Broken(Dialect):
    """A dialect with a fault."""

    name = "broken"

    def spans(self, request: Any) -> Any:
        """Fail."""
        raise RuntimeError("a fault")


async def test_a_dialect_that_fails_is_counted(build: Build) -> None:
    middleware, records = counted(build, Broken(), reformulator={"mode": Mode.EXPAND})
    await call(middleware, http_scope(query=b"q=red+lamp"))
    assert reasons(records) == ["fallback;engine_error"]
    assert records[0].mode is Mode.EXPAND


async def test_a_request_without_a_text_is_none_to_count(build: Build) -> None:
    middleware, records = counted(build, PlainDialect())
    await call(middleware, http_scope(query=b"page=2"))
    assert records == []


async def test_what_nobody_knows_to_be_a_search_is_counted_and_not_read(build: Build) -> None:
    """Until a dialect is known; then it is searched by, without another middleware."""
    middleware, records = counted(build, PendingDialect(), expose_query=True)
    assert middleware.dialects() == {"dialect": None, "dialect_guessed": False}
    for method, body in (("GET", b""), ("POST", b'{"q": "red lamp"}')):
        scope = http_scope(method, query=b"q=red+lamp", headers=[JSON])
        client = await call(middleware, scope, body_messages(body[:5], body[5:]))
        assert client.result[0] == "skipped"
        assert client.result[1]["reason"] == "dialect_unknown"
    assert reasons(records) == ["skipped;dialect_unknown"] * 2
    app = middleware.app
    assert (app.query, app.bodies[-1]) == (b"q=red+lamp", body)
    assert [len(m["body"]) for m in app.messages[-2:]] == [5, len(body) - 5], "as it streamed"
    assert not any(RETRY_SAFE in s.get("extensions", {}) for s in app.scopes)
    middleware.set_rules([SearchRule("/search", dialect=PlainDialect())], guessed=True)
    assert middleware.dialects() == {"dialect": "plain", "dialect_guessed": True}
    client = await call(middleware, http_scope(query=b"q=red+lamp"))
    assert said(client.result).startswith("rewritten;src=engine")


async def test_they_are_in_metrics_and_log(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    reformulator = build(observers=[metrics, LogObserver()])
    rules = [SearchRule("/**", dialect=load_dialect("solr"))]
    middleware = ReformulationMiddleware(App(), reformulator, rules=rules)
    with caplog.at_level(logging.INFO, logger="querylift.decisions"):
        await call(middleware, http_scope(path=SOLR, query=b"q=red+lamp&start=10"))
    line = 'outcome="skipped",reason="paged",source=""'
    page = metrics.page()[1].decode()
    assert f'querylift_reformulations_total{{mode="replace",{line}}} 1.0' in page
    assert [r.getMessage().split(" src")[0] for r in caplog.records] == [
        "outcome=skipped reason=paged"
    ]
