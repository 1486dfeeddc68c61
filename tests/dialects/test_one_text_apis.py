"""One text, one decision, in the other queries and filters of each API; over real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest

from middleware import Mode, Reformulator, ReverseProxy, SearchRule
from middleware.dialects.registry import load_dialect
from middleware.testing import ScriptedEngine

from .one_text import FORM, every_proxy
from .standing import CHATTY, PLAIN, StandIn, Standing, standing


@pytest.fixture(scope="module")
def proxies() -> Iterator[dict[str, Standing]]:
    """One proxy for each dialect."""
    with every_proxy() as made:
        yield made


SOLR = [
    [("fq", "{!edismax}#")],
    [("fq", "{!edismax qf='title body' mm=1}#"), ("fq", "stock:1")],
    [("fq", "#")],
    [("fq", "title:(#)")],
    [("fq", 'title:"#"~2 AND stock:1')],
    [("fq", "{!type=dismax qf=title}#"), ("bq", 'title:"#"^5')],
    [("hl.q", "#"), ("spellcheck.q", "#")],
    [("facet.query", "{!edismax}#"), ("facet.query", "stock:1")],
    [("bq", "{!edismax v=$typed}"), ("typed", "#")],
    [("rq", "{!rerank reRankQuery=$rqq}"), ("rqq", "{!edismax}#")],
]


@pytest.mark.parametrize("params", SOLR)
@pytest.mark.parametrize("form", [False, True])
def test_other_queries_of_solr_follow(
    proxies: dict[str, Standing], params: list[tuple[str, str]], form: bool
) -> None:
    all_params = [("defType", "edismax"), ("q", "#"), *params]
    asked, wanted = (
        urlencode([(name, value.replace("#", text)) for name, value in all_params])
        for text in (CHATTY, PLAIN)
    )
    if form:
        _, sent, said = proxies["solr"].sent("/solr/c/select", asked, FORM)
    else:
        reached, _, said = proxies["solr"].sent(f"/solr/c/select?{asked}")
        sent = reached.partition("?")[2]
    assert said.startswith("rewritten")
    assert sent == wanted


@pytest.mark.parametrize(
    "fq",
    [
        f"{{!term f=brand}}{CHATTY}",
        f"{{!raw f=brand}}{CHATTY}",
        f'brand_s:"{CHATTY}"',
        f'user.id:("{CHATTY}")',
        f"title:{CHATTY}",
        f"{{!complexphrase}}title:{CHATTY}*",
    ],
)
def test_a_filter_of_solr_that_must_stay_keeps_the_text(
    proxies: dict[str, Standing], fq: str
) -> None:
    asked = urlencode([("q", CHATTY), ("fq", fq)])
    reached, _, said = proxies["solr"].sent(f"/solr/c/select?{asked}")
    assert said.startswith("skipped;reason=fixed")
    assert reached == f"/solr/c/select?{asked}"


@pytest.mark.parametrize(
    "body",
    [
        {"query": "#", "filter": ["{!edismax}#", "stock:1"]},
        {"query": "#", "filter": {"edismax": {"query": "#", "qf": "title"}}},
        {"query": "#", "params": {"fq": "title:(#)", "hl.q": "#", "note": "x"}},
        {"query": {"bool": {"must": "#", "filter": ['title:"#"'], "must_not": ["#"]}}},
        {"query": "#", "facet": {"a": {"type": "query", "q": "#"}}},
        {"query": {"edismax": {"query": "#"}}, "queries": {"again": "#"}},
    ],
)
def test_json_requests_of_solr_follow(proxies: dict[str, Standing], body: Any) -> None:
    asked, wanted = (json.dumps(body).replace("#", text) for text in (CHATTY, PLAIN))
    _, sent, said = proxies["solr"].sent("/solr/c/query", asked)
    assert said.startswith("rewritten")
    assert [json.loads(sent), len(sent)] == [json.loads(wanted), len(wanted)]


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("meilisearch", "/indexes/m/search", {"q": CHATTY, "filter": f'title = "{CHATTY}"'}),
        ("meilisearch", "/indexes/m/search", {"q": CHATTY, "filter": [[f"tag = '{CHATTY}'"]]}),
        ("typesense", "/multi_search", {"searches": [{"q": CHATTY, "filter_by": f"a:={CHATTY}"}]}),
        ("algolia", "/1/indexes/p/query", {"query": CHATTY, "facetFilters": [f"tag:{CHATTY}"]}),
        ("algolia", "/1/indexes/p/query", {"query": CHATTY, "filters": f'tag:"{CHATTY}"'}),
        ("algolia", "/1/indexes/p/query",
         {"params": f"query={quote(CHATTY)}&filters=tag:%22{quote(CHATTY)}%22"}),
        ("algolia", "/1/indexes/p/query",
         {"query": CHATTY, "params": f"facetFilters=%5B%22tag:{quote(CHATTY)}%22%5D"}),
        ("algolia", "/1/indexes/*/queries",
         {"requests": [{"query": CHATTY}, {"params": f"filters=tag:'{quote(CHATTY)}'"}]}),
    ],
)  # fmt: skip
def test_filters_of_other_apis_keep_the_text(
    proxies: dict[str, Standing], name: str, path: str, body: Any
) -> None:
    written = json.dumps(body)
    _, sent, said = proxies[name].sent(path, written)
    assert said.startswith("skipped;reason=fixed")
    assert sent == written


@pytest.mark.parametrize(
    "search",
    [
        {"query": "#", "optionalWords": "#"},
        {"query": "#", "similarQuery": "#"},
        {"query": "#", "params": "optionalWords=#&hitsPerPage=3"},
        {"params": "query=#&similarQuery=#"},
        {"params": "optionalWords=#&query=#", "optionalWords": "#"},
    ],
)
def test_other_queries_of_algolia_follow(
    proxies: dict[str, Standing], search: dict[str, str]
) -> None:
    asked, wanted = (
        json.dumps(
            {
                name: value.replace("#", quote(text) if name == "params" else text)
                for name, value in search.items()
            }
        )
        for text in (CHATTY, PLAIN)
    )
    _, sent, _ = proxies["algolia"].sent("/1/indexes/p/query", asked)
    assert sent == wanted


def test_a_filter_of_groonga_keeps_the_text(proxies: dict[str, Standing]) -> None:
    query = urlencode([("table", "T"), ("query", CHATTY), ("filter", f'brand == "{CHATTY}"')])
    reached, _, said = proxies["groonga"].sent(f"/d/select?{query}")
    assert said.startswith("skipped;reason=fixed")
    assert reached == f"/d/select?{query}"


@pytest.mark.parametrize("query", [f"q={quote(CHATTY)}&q={quote(CHATTY + ' -x')}"])
def test_other_texts_are_decided_for_themselves(proxies: dict[str, Standing], query: str) -> None:
    reached, _, _ = proxies["plain"].sent(f"/search?{query}")
    assert dict(parse_qsl(reached.partition("?")[2]))["q"] == f"{CHATTY} -x"
    assert reached.startswith(f"/search?q={quote(PLAIN)}&")


def test_added_terms_stand_in_all_places_that_can_say_them() -> None:
    """A place that cannot say them keeps the text that they were added to."""
    dialect = load_dialect("elasticsearch")
    rules = [SearchRule(path, dialect=dialect) for path in dialect.paths]
    engine = ScriptedEngine({"garden lamp": "outdoor lamp"})
    match = {"match": {"t": "garden lamp"}}
    body = {
        "query": {"bool": {"must": [match], "filter": [match]}},
        "suggest": {"text": "garden lamp"},
    }
    with (
        Reformulator(engine, budget=30.0, mode=Mode.EXPAND) as reformulator,
        standing(
            StandIn(), lambda url: ReverseProxy(url, rules=rules, reformulator=reformulator)
        ) as world,
    ):
        _, sent, _ = world.sent("/i/_search", json.dumps(body))
    found = json.loads(sent)
    [must], [kept] = found["query"]["bool"]["must"], found["query"]["bool"]["filter"]
    assert must == kept
    assert "outdoor" in json.dumps(must)
    assert found["suggest"] == {"text": "garden lamp"}
