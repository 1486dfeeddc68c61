"""Counts and values of facets beside a search get that search's query; over real sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest

from middleware import Clients, Reformulator, ReverseProxy, SearchRule
from middleware.dialects.registry import load_dialect
from middleware.http.client_keys import by_tenant
from middleware.testing import ScriptedEngine

from .standing import CHATTY, PLAIN, StandIn, Standing, standing

NDJSON = "application/x-ndjson"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
Q = quote(CHATTY)
M = {"match": {"title": CHATTY}}
SLOW = "please show me blue lamp"
PEOPLE = count()

Request = tuple[str, Any, str]  # target, body, its kind


def get(target: str) -> Request:
    """Return a request without a body."""
    return target, b"", JSON


def post(target: str, body: Any, kind: str = JSON) -> Request:
    """Return a request with a body."""
    return target, body if isinstance(body, str) else json.dumps(body), kind


def many(*lines: Any) -> Request:
    """Return a multi-search."""
    return post("/_msearch", "".join(json.dumps(line) + "\n" for line in lines), NDJSON)


ES = post("/shop/_search", {"query": M})
ES_URL = get(f"/shop/_search?q={Q}")
SOLR = get(f"/solr/shop/select?q={Q}")
ALGOLIA = post("/1/indexes/*/queries", {"requests": [{"indexName": "shop", "query": CHATTY}]})
ALGOLIA_ONE = post("/1/indexes/shop/query", {"query": CHATTY, "hitsPerPage": 5})
MEILI = post("/indexes/shop/search", {"q": CHATTY})
TYPESENSE = get(f"/collections/shop/documents/search?q={Q}&query_by=t")
PLAIN_SEARCH = get(f"/search?q={Q}")

RELATED: dict[str, tuple[str, Request, Request]] = {  # dialect, the search, what belongs to it
    "_count": ("elasticsearch", ES, post("/shop/_count", {"query": M})),
    "_count by URL": ("elasticsearch", ES_URL, get(f"/shop/_count?q={Q}")),
    "_count of a search by URL": ("elasticsearch", ES_URL, post("/shop/_count/", {"query": M})),
    "_count of all": ("elasticsearch", post("/_search", {"query": M}),
                      post("/_count", {"query": M})),
    "_count in source": ("elasticsearch", ES, get(
        f"/shop/_count?source_content_type=a&source={quote(json.dumps({'query': M}))}")),
    "_count by a filter": ("elasticsearch", ES, post(
        "/shop/_count", {"query": {"bool": {"filter": [M, {"term": {"color": "red"}}]}}})),
    "_count by constant_score": ("elasticsearch", ES, post(
        "/shop/_count", {"query": {"constant_score": {"filter": M}}})),
    "size 0": ("elasticsearch", ES, post(
        "/shop/_search", {"size": 0, "query": M, "aggs": {"b": {"terms": {"field": "brand"}}}})),
    "size 0 with the text in an aggregation too": ("elasticsearch", ES, post(
        "/shop/_search", {"query": M, "aggs": {"b": {"filter": M}}, "size": 0})),
    "size 0 by filter": ("elasticsearch", ES, post(
        "/shop/_search", {"size": 0.0, "query": {"bool": {"filter": M}}, "aggs": {}})),
    "size 0 in the URL": ("elasticsearch", ES, post("/shop/_search?size=0", {"query": M})),
    "size 0, asynchronous": ("elasticsearch", ES, post(
        "/shop/_async_search", {"query": M, "size": 0})),
    "size 0 in a multi-search": ("elasticsearch", ES, many(
        {"index": "shop"}, {"size": 0, "query": M}, {"index": ["shop"]}, {"size": 0, "query": M})),
    "_count of a multi-search": ("elasticsearch", many({"index": "shop"}, {"query": M}),
                                 post("/shop/_count", {"query": M})),
    "another shape": ("elasticsearch", ES, post(
        "/shop/_count", {"query": {"match": {"title": {"query": CHATTY, "operator": "and"}}}})),
    "opensearch": ("opensearch", ES, post("/shop/_count", {"query": M})),
    "opensearch, asynchronous": (
        "opensearch", ES,
        post("/_plugins/_asynchronous_search?index=shop", {"query": M, "size": 0})),
    "rows=0": ("solr", SOLR, get(f"/solr/shop/select?rows=0&facet=true&q={Q}")),
    "rows=0 in a form": ("solr", SOLR, post("/solr/shop/select", f"q={Q}&rows=00", FORM)),
    "rows in the URL of a form": ("solr", SOLR, post("/solr/shop/select?rows=0", f"q={Q}", FORM)),
    "limit 0 in JSON": ("solr", SOLR, post("/solr/shop/query", {"query": CHATTY, "limit": 0})),
    "rows among JSON params": (
        "solr", SOLR, post("/solr/shop/query", {"params": {"q": CHATTY, "rows": "0"}})),
    "json.limit": ("solr", SOLR, get(f"/solr/shop/select?q={Q}&json.limit=0")),
    "rows=0 with a facet query": (
        "solr", SOLR, get(f"/solr/shop/select?q={Q}&rows=0&facet.query={Q}")),
    "type facet": ("algolia", ALGOLIA, post("/1/indexes/*/queries", {"requests": [
        {"type": "facet", "indexName": "shop", "facet": "brand", "query": CHATTY}]})),
    "type facet, packed": ("algolia", ALGOLIA, post("/1/indexes/*/queries", {"requests": [
        {"type": "facet", "indexName": "shop", "facet": "brand",
         "params": f"facetQuery=ac&query={Q}"}]})),
    "facet values": ("algolia", ALGOLIA, post(
        "/1/indexes/shop/facets/brand/query", {"params": f"query={Q}&facetQuery=ac"})),
    "facet values, one index": ("algolia", ALGOLIA_ONE, post("/1/indexes/*/queries", {"requests": [
        {"indexName": "shop", "type": "facet", "facet": "color", "query": CHATTY}]})),
    "hitsPerPage 0": ("algolia", ALGOLIA_ONE, post("/1/indexes/*/queries", {"requests": [
        {"indexName": "shop", "query": CHATTY, "hitsPerPage": 0, "facets": ["brand"]}]})),
    "hitsPerPage=0, packed": (
        "algolia", ALGOLIA, post("/1/indexes/shop/query", {"params": f"query={Q}&hitsPerPage=0"})),
    "length=0": ("algolia", ALGOLIA_ONE, get(f"/1/indexes/shop?query={Q}&offset=0&length=0")),
    "facet-search": ("meilisearch", MEILI, post(
        "/indexes/shop/facet-search", {"facetName": "brand", "facetQuery": "ac", "q": CHATTY})),
    "facet-search of a multi-search": (
        "meilisearch", post("/multi-search", {"queries": [{"indexUid": "shop", "q": CHATTY}]}),
        post("/indexes/shop/facet-search", {"facetName": "brand", "q": CHATTY})),
    "limit 0": ("meilisearch", MEILI, post("/indexes/shop/search", {"q": CHATTY, "limit": 0})),
    "hitsPerPage=0 in the URL": ("meilisearch", MEILI,
                                 get(f"/indexes/shop/search?q={Q}&hitsPerPage=0")),
    "a federation's limit 0": ("meilisearch", MEILI, post(
        "/multi-search", {"federation": {"limit": 0},
                          "queries": [{"indexUid": "shop", "q": CHATTY}]})),
    "per_page=0": ("typesense", TYPESENSE, get(
        f"/collections/shop/documents/search?q={Q}&query_by=t&per_page=0&facet_by=brand")),
    "per_page 0 in a multi-search": ("typesense", TYPESENSE, post("/multi_search", {"searches": [
        {"collection": "shop", "q": CHATTY, "query_by": "t", "per_page": 0}]})),
    "per_page 0 for all searches": ("typesense", TYPESENSE, post(
        "/multi_search?per_page=0", {"searches": [{"collection": "shop", "q": CHATTY}]})),
    "limit=0 of a table": ("groonga", get(f"/d/select?table=a&query={Q}"), get(
        f"/d/select.json?table=a&limit=0&query={Q}")),
    "plain, rows": ("plain", PLAIN_SEARCH, get(f"/search?rows=0&q={Q}")),
    "plain, size": ("plain", PLAIN_SEARCH, get(f"/search?q={Q}&size=0")),
    "plain, a form": ("plain", PLAIN_SEARCH, post("/search", f"q={Q}&size=0", FORM)),
    "plain, JSON": ("plain", PLAIN_SEARCH, post("/search", {"query": CHATTY, "size": 0})),
}  # fmt: skip


class Failing(ScriptedEngine):
    """Rewrites a text, but fails ``failures`` times before; waits for ``go`` at a slow text."""

    def __init__(self) -> None:
        self.failures = 0
        self.go = threading.Event()
        super().__init__(self.rewritten)

    def rewritten(self, text: str) -> str | BaseException:
        """Return the answer to a text."""
        if text == SLOW:
            self.go.wait(30)
        if self.failures:
            self.failures -= 1
            return OSError("not now")
        return text.removeprefix("please show me ")


class Place:
    """A proxy of one dialect, with an engine of its own so that tests see its first answers."""

    def __init__(self, name: str, stack: ExitStack, **options: Any) -> None:
        self.engine = Failing()
        self.reformulator = stack.enter_context(Reformulator(self.engine, budget=30.0))
        dialect = load_dialect(name)
        rules = [SearchRule(path, dialect=dialect) for path in dialect.paths]
        if name == "plain":
            rules = [SearchRule("/search", dialect=load_dialect("plain", pointers=["/query"]))]
        clients = Clients(tenant_of=by_tenant("x-tenant"))
        self.standing: Standing = stack.enter_context(
            standing(
                StandIn(),
                lambda url: ReverseProxy(
                    url, rules=rules, reformulator=self.reformulator, clients=clients, **options
                ),
            )
        )

    def sent(self, request: Request, who: str, **headers: str) -> tuple[Request, str]:
        """Send a request of somebody; return what arrived, and the result without its duration."""
        target, body, kind = request
        lines = {"authorization": who, **{f"x-{name}": value for name, value in headers.items()}}
        reached, came, said = self.standing.sent(target, body, kind, lines)
        return (reached, came or b"", kind), said.partition(";dur")[0]


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, Place]]:
    """One place for each dialect."""
    with ExitStack() as stack:
        names = sorted({dialect for dialect, _, _ in RELATED.values()})
        yield {name: Place(name, stack, trust_control=True) for name in names}


def plain(request: Request) -> Request:
    """Return a request with the text's rewrite in all places."""
    target, body, kind = request
    if body:
        body = body.replace(CHATTY, PLAIN).replace(Q, quote(PLAIN))
    return target.replace(Q, quote(PLAIN)), body, kind


def same(one: Request, other: Request) -> bool:
    """Return whether two requests are equal, however their blanks are spelled."""
    spelled = [(r[0].rstrip("?").replace("+", "%20"), r[1]) for r in (one, other)]
    return spelled[0] == spelled[1]


def somebody() -> str:
    """Return credentials that nobody had before."""
    return f"Bearer {next(PEOPLE)}"


@pytest.mark.parametrize("name", RELATED)
def test_it_gets_the_query_of_the_search(places: dict[str, Place], name: str) -> None:
    dialect, search, related = RELATED[name]
    place, me = places[dialect], somebody()
    reached, said = place.sent(search, me)
    assert said.startswith("rewritten")
    assert same(reached, plain(search))
    reached, said = place.sent(related, me)
    assert said == "rewritten;src=memo"
    assert same(reached, plain(related))


@pytest.mark.parametrize("name", RELATED)
def test_where_there_was_no_search_it_passes_as_it_came(
    places: dict[str, Place], name: str
) -> None:
    """Also if the memo knows the rewrite, and if somebody else's search was rewritten."""
    dialect, search, related = RELATED[name]
    place = places[dialect]
    place.sent(search, somebody())
    reached, said = place.sent(related, somebody())
    assert said == "skipped;reason=related"
    assert same(reached, related)


@pytest.mark.parametrize("name", RELATED)
def test_beside_a_search_that_stayed_it_stays(places: dict[str, Place], name: str) -> None:
    """The rewrite came too late for the search, and must not change what belongs to it."""
    dialect, search, related = RELATED[name]
    place, me = places[dialect], somebody()
    place.sent(search, me)  # an earlier one, which was rewritten
    target, body, kind = search
    off = {"authorization": me, "query-reformulation-control": "off"}
    place.standing.sent(target, body, kind, off)
    reached, said = place.sent(related, me)
    assert said == "skipped;reason=related"
    assert same(reached, related)


@pytest.mark.parametrize("name", ["_count", "rows=0", "type facet", "facet-search", "per_page=0"])
def test_beside_a_search_that_fell_back_it_stays(name: str) -> None:
    dialect, search, related = RELATED[name]
    with ExitStack() as stack:
        place = Place(dialect, stack)
        place.engine.failures = 1
        me = somebody()
        assert place.sent(search, me)[1] == "fallback;reason=engine_error"
        assert place.sent(search, somebody())[1] == "rewritten;src=engine"  # so the memo knows
        reached, said = place.sent(related, me)
        assert said == "skipped;reason=related"
        assert same(reached, related)
        assert place.sent(search, me)[1] == "rewritten;src=memo"
        assert place.sent(related, me)[1] == "rewritten;src=memo"


@pytest.mark.parametrize("name", ["_count", "rows=0", "type facet", "facet-search", "per_page=0"])
def test_tenants_know_nothing_of_each_other(places: dict[str, Place], name: str) -> None:
    dialect, search, related = RELATED[name]
    place, me = places[dialect], somebody()
    place.sent(search, me, tenant="a")
    assert place.sent(related, me, tenant="b")[1] == "skipped;reason=related"
    assert place.sent(related, me, tenant="a")[1] == "rewritten;src=memo"


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("_count", post("/books/_count", {"query": M})),
        ("size 0", many({"index": "books"}, {"size": 0, "query": M})),
        ("rows=0", get(f"/solr/books/select?rows=0&q={Q}")),
        ("type facet", post("/1/indexes/books/facets/a/query", {"params": f"query={Q}"})),
        ("facet-search", post("/indexes/books/facet-search", {"facetName": "a", "q": CHATTY})),
        ("per_page=0", get(f"/collections/books/documents/search?q={Q}&query_by=t&per_page=0")),
    ],
)
def test_another_collection_is_another_search(
    places: dict[str, Place], name: str, other: Request
) -> None:
    dialect, search, _ = RELATED[name]
    place, me = places[dialect], somebody()
    place.sent(search, me)
    reached, said = place.sent(other, me)
    assert said == "skipped;reason=related"
    assert same(reached, other)


TOGETHER: list[tuple[str, Request]] = [
    ("elasticsearch", many({"index": "a"}, {"size": 0, "query": M}, {"index": "a"}, {"query": M})),
    ("elasticsearch", many({}, {"query": M}, {"index": "b"}, {"size": 0, "query": M})),
    ("elasticsearch",
     many({}, {"query": M}, {}, {"size": 0, "query": {"bool": {"filter": [M]}}})),
    ("algolia", post("/1/indexes/*/queries", {"requests": [
        {"indexName": "a", "query": CHATTY},
        {"indexName": "a", "query": CHATTY, "hitsPerPage": 0, "facets": ["brand"]},
        {"indexName": "a", "type": "facet", "facet": "brand", "params": f"query={Q}"}]})),
    ("meilisearch", post("/multi-search", {"queries": [
        {"indexUid": "a", "q": CHATTY, "limit": 0}, {"indexUid": "a", "q": CHATTY}]})),
    ("typesense", post("/multi_search", {"searches": [
        {"collection": "a", "q": CHATTY}, {"collection": "b", "q": CHATTY, "per_page": 0}]})),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "request_"), TOGETHER)
def test_in_one_request_it_follows_the_search(
    places: dict[str, Place], dialect: str, request_: Request
) -> None:
    reached, said = places[dialect].sent(request_, somebody())
    assert said.startswith("rewritten")
    assert same(reached, plain(request_))


def test_a_count_of_each_index_of_one_page(places: dict[str, Place]) -> None:
    """A page that searches three indexes at once may count in each of them later."""
    place, me = places["elasticsearch"], somebody()
    lines = [line for index in "abc" for line in ({"index": index}, {"query": M})]
    place.sent(many(*lines), me)
    for index in "abc":
        assert place.sent(post(f"/{index}/_count", {"query": M}), me)[1] == "rewritten;src=memo"


def test_a_later_page_changes_where_its_filter_repeats_the_text(places: dict[str, Place]) -> None:
    place, me = places["elasticsearch"], somebody()
    query = {"bool": {"must": M, "filter": [M]}}
    place.sent(post("/shop/_search", {"query": query}), me)
    later = post("/shop/_search", {"query": query, "from": 10})
    reached, said = place.sent(later, me)
    assert said == "rewritten;src=memo"
    assert same(reached, plain(later))


@pytest.mark.parametrize(
    "request_",
    [
        post("/shop/_delete_by_query", {"query": M, "size": 0}),
        post("/shop/_update_by_query?size=0", {"query": M}),
        post("/shop/_doc/_count", {"query": M}),
        get(f"/_cat/count/shop?q={Q}"),
    ],
)
def test_what_writes_or_is_no_count_stays(places: dict[str, Place], request_: Request) -> None:
    place, me = places["elasticsearch"], somebody()
    place.sent(ES, me)
    target, body, kind = request_
    answer = place.standing.client.request(
        "POST" if body else "GET", target, content=body,
        headers={"content-type": kind, "authorization": me},
    )  # fmt: skip
    assert answer.headers.get("query-reformulation", "skipped").startswith("skipped")
    reached, came = place.standing.upstream.searches[-1]
    assert same((reached, came.decode() if came else b"", kind), request_)


@pytest.mark.parametrize("size", [1, 10, "10", None, "", "x", True, -1])
def test_a_search_for_hits_decides_itself(places: dict[str, Place], size: Any) -> None:
    reached, said = places["elasticsearch"].sent(
        post("/shop/_search", {"query": M, "size": size}), somebody()
    )
    assert said.startswith("rewritten")
    assert same(
        reached, post("/shop/_search", {"query": {"match": {"title": PLAIN}}, "size": size})
    )


@pytest.mark.parametrize("name", ["_count", "rows=0", "type facet", "facet-search", "per_page=0"])
def test_what_comes_meanwhile_waits_for_the_search(name: str) -> None:
    """A page sends both at once, and the model takes its time."""

    def slow(request: Request) -> Request:
        target, body, kind = request
        return (
            target.replace(Q, quote(SLOW)),
            body and body.replace(CHATTY, SLOW).replace(Q, quote(SLOW)),
            kind,
        )

    dialect, search, related = RELATED[name]
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        place, me = Place(dialect, stack), somebody()
        stack.callback(place.engine.go.set)
        searched = pool.submit(place.sent, slow(search), me)
        place.standing.until(lambda: bool(place.engine.calls))
        counted = pool.submit(place.sent, slow(related), me)
        others = pool.submit(place.sent, slow(related), somebody())
        assert others.result(30)[1] == "skipped;reason=related"  # waits for nobody else's
        place.engine.go.set()
        assert searched.result(30)[1] == "rewritten;src=engine"
        assert counted.result(30)[1] == "rewritten;src=memo"
    arrived = [target + body.decode() for target, body in place.standing.upstream.searches]
    texts = [SLOW in each or quote(SLOW) in each for each in arrived]
    assert sorted(texts) == [False, False, True]
