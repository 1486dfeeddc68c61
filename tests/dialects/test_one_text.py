"""One text of a request has one decision: all its places change, or none; over real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from .one_text import FORM, MUST, NDJSON, M, every_proxy, must_and
from .standing import CHATTY, PLAIN, Standing


@pytest.fixture(scope="module")
def proxies() -> Iterator[dict[str, Standing]]:
    """One proxy for each dialect."""
    with every_proxy() as made:
        yield made


FOLLOWING: dict[str, dict[str, Any]] = {
    "filter": must_and(filter=[M]),
    "filter, one": must_and(filter=M),
    "filter of another field": must_and(filter=[{"match": {"body": {"query": CHATTY}}}]),
    "filter, deep": must_and(
        filter=[{"bool": {"should": [{"nested": {"path": "p", "query": M}}]}}]
    ),
    "must_not": must_and(must_not=[{"match_phrase": {"notes": CHATTY}}]),
    "constant score": must_and(should=[{"constant_score": {"filter": M}}]),
    "phrase boost": must_and(should=[{"match_phrase": {"title": {"query": CHATTY, "slop": 2}}}]),
    "prefix": must_and(should=[{"match_phrase_prefix": {"title": CHATTY}}]),
    "term of prose": must_and(filter=[{"term": {"title": {"value": CHATTY}}}]),
    "multi_match phrase": must_and(filter=[{"multi_match": {"query": CHATTY, "type": "phrase"}}]),
    "post_filter": {"query": M, "post_filter": {"bool": {"filter": [M]}}},
    "highlight": {"query": M, "highlight": {"highlight_query": M, "fields": {"title": {}}}},
    "highlight of a field": {"query": M, "highlight": {"fields": {"t": {"highlight_query": M}}}},
    "highlight of a list": {"query": M, "highlight": {"fields": [{"t": {"highlight_query": M}}]}},
    "suggest": {"query": M, "suggest": {"text": CHATTY, "a": {"term": {"field": "title"}}}},
    "suggester": {"query": M, "suggest": {"a": {"text": CHATTY, "phrase": {"field": "title"}}}},
    "completion": {"query": M, "suggest": {"a": {"prefix": CHATTY, "completion": {"field": "s"}}}},
    "rescore": {
        "query": M,
        "rescore": {"query": {"rescore_query": {"match_phrase": {"a": CHATTY}}}},
    },
    "aggregation": {"query": M, "aggs": {"a": {"filter": M, "aggs": {"b": {"filter": M}}}}},
    "aggregations": {"query": M, "aggs": {"a": {"filters": {"filters": {"x": M, "y": MUST}}}}},
    "background": {
        "query": M,
        "aggs": {"a": {"significant_terms": {"field": "f", "background_filter": M}}},
    },
    "top hits": {
        "query": M,
        "aggs": {"a": {"top_hits": {"highlight": {"fields": {"t": {"highlight_query": M}}}}}},
    },
    "collapse": {
        "query": M,
        "collapse": {"field": "f", "inner_hits": {"highlight": {"highlight_query": M}}},
    },
    "function": {"query": {"function_score": {"query": M, "functions": [{"filter": M}]}}},
    "negative": {"query": {"boosting": {"positive": M, "negative": M, "negative_boost": 0.2}}},
    "hits of nested documents": {
        "query": {"nested": {"query": M, "inner_hits": {"highlight": {"highlight_query": M}}}}
    },
    "hits of children": {
        "query": {
            "has_child": {
                "query": M,
                "inner_hits": {"highlight": {"fields": {"t": {"highlight_query": M}}}},
            }
        }
    },
    "hybrid": {"query": {"hybrid": {"queries": [M], "filter": M}}},
    "vectors of a model": {
        "query": {"neural": {"v": {"query_text": CHATTY, "filter": {"bool": {"must": M}}}}}
    },
    "vectors below a field": must_and(should=[{"knn": {"v": {"vector": [1, 2], "filter": M}}}]),
    "knn": {"query": M, "knn": {"field": "v", "query_vector": [1, 2], "filter": [M]}},
    "retriever": {"retriever": {"standard": {"query": M, "filter": M}}},
    "reranker": {
        "retriever": {
            "text_similarity_reranker": {
                "retriever": {"standard": {"query": M}},
                "inference_text": CHATTY,
            }
        }
    },
    "rerank pipeline": {
        "query": M,
        "ext": {"rerank": {"query_context": {"query_text": CHATTY}}},
    },
    "long lists beside it": must_and(filter=[{"terms": {"sku": ["x"] * 5000}}, M]),
}


@pytest.mark.parametrize("name", FOLLOWING)
def test_all_places_of_a_search_follow(proxies: dict[str, Standing], name: str) -> None:
    body = json.dumps(FOLLOWING[name])
    _, sent, said = proxies["elasticsearch"].sent("/i/_search", body)
    assert said.startswith("rewritten")
    assert sent == body.replace(CHATTY, PLAIN)


FIXED: dict[str, dict[str, Any]] = {
    "term": must_and(filter=[{"term": {"category.keyword": CHATTY}}]),
    "term, long": must_and(filter={"term": {"sku": {"value": CHATTY}}}),
    "terms": must_and(filter=[{"terms": {"brand_id": ["a", CHATTY]}}]),
    "match of a keyword": must_and(must_not=[{"match": {"name.raw": CHATTY}}]),
    "in must": {"query": {"bool": {"must": [M, {"term": {"user.id": CHATTY}}]}}},
    "wildcard": must_and(filter=[{"wildcard": {"title": {"value": f"*{CHATTY}*"}}}]),
    "regexp": must_and(filter=[{"regexp": {"title": f".*{CHATTY}.*"}}]),
    "syntax": must_and(filter=[{"query_string": {"query": f"title:({CHATTY}) AND stock:1"}}]),
    "intervals": must_and(filter=[{"intervals": {"t": {"match": {"query": CHATTY}}}}]),
    "script": must_and(filter=[{"script": {"script": {"params": {"typed": CHATTY}}}}]),
    "filter of an unknown query": must_and(must=[M, {"plugin": {"filter": {"terms": [CHATTY]}}}]),
    "neural": must_and(must=[M, {"neural": {"v": {"filter": {"term": {"sku": CHATTY}}}}}]),
    "below a field": must_and(must=[M, {"knn": {"v": {"filter": {"term": {"sku": CHATTY}}}}}]),
    "unknown": must_and(filter=[{"percolate": {"document": {"title": CHATTY}}}]),
    "post_filter": {"query": M, "post_filter": {"term": {"code": CHATTY}}},
    "too large to know": must_and(filter=[{"match": {"a": f"x {n}"}} for n in range(600)] + [M]),
    "both": must_and(filter=[M, {"term": {"sku": CHATTY}}]),
}


@pytest.mark.parametrize("name", FIXED)
def test_no_place_changes_where_one_must_stay(proxies: dict[str, Standing], name: str) -> None:
    body = json.dumps(FIXED[name])
    _, sent, said = proxies["elasticsearch"].sent("/i/_search", body)
    assert said.startswith("skipped;reason=fixed")
    assert sent == body


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"bool": {"filter": [M]}}},
        {"query": {"bool": {"must_not": M}}},
        {"query": {"constant_score": {"filter": M}}},
        {"query": {"match_all": {}}, "post_filter": M},
        {"query": {"match_all": {}}, "highlight": {"highlight_query": M}},
        {"query": {"match_all": {}}, "suggest": {"text": CHATTY}},
        {"aggs": {"a": {"filter": M}}, "size": 0},
        {"query": {"match_phrase": {"title": CHATTY}}},
        {"knn": {"field": "v", "query_vector": [1], "filter": M}},
        {"query": {"function_score": {"functions": [{"filter": M}]}}},
    ],
)
def test_what_only_repeats_is_nobodys_text(proxies: dict[str, Standing], body: Any) -> None:
    written = json.dumps(body)
    _, sent, said = proxies["elasticsearch"].sent("/i/_search", written)
    assert not said.startswith("rewritten")
    assert sent == written


@pytest.mark.parametrize(
    "clauses",
    [
        {"should": [M, {"term": {"sku": CHATTY}}]},
        {"should": [{"dis_max": {"queries": [M, {"term": {"ean": CHATTY}}]}}, {"term": {"n": 1}}]},
        {"must": [M], "should": [{"term": {"title.keyword": {"value": CHATTY, "boost": 9}}}]},
    ],
)  # fmt: skip
def test_an_alternative_keeps_an_exact_value(proxies: dict[str, Standing], clauses: Any) -> None:
    """It can only add hits; a number that somebody typed must still find its thing."""
    body = json.dumps({"query": {"bool": clauses}})
    _, sent, said = proxies["elasticsearch"].sent("/i/_search", body)
    assert said.startswith("rewritten")
    assert sent == body.replace(json.dumps(M), json.dumps(M).replace(CHATTY, PLAIN))


def test_other_spellings_of_a_text_follow(proxies: dict[str, Standing]) -> None:
    escaped = "".join(f"\\u{ord(char):04x}" for char in CHATTY)
    filtered = f'[{{"match":{{"b":"{escaped}"}}}}]'
    body = f'{{"query":{{"bool":{{"must":{json.dumps(M)},"filter":{filtered}}}}}}}'
    _, sent, _ = proxies["elasticsearch"].sent("/i/_search", body)
    assert sent == body.replace(CHATTY, PLAIN).replace(escaped, PLAIN)


def test_searches_of_one_request_follow_each_other(proxies: dict[str, Standing]) -> None:
    """A count by filter belongs to the search beside it."""
    count = {"size": 0, "query": {"bool": {"filter": [M]}}}
    other = {"query": {"match": {"title": "blue door"}}}
    lines = [{}, {"query": M}, {"index": "b"}, count, {}, other]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    _, sent, _ = proxies["elasticsearch"].sent("/_msearch", body, NDJSON)
    assert sent == body.replace(CHATTY, PLAIN)


def test_a_text_in_the_source_parameter_follows(proxies: dict[str, Standing]) -> None:
    source = quote(json.dumps(must_and(filter=[M])))
    reached, _, _ = proxies["elasticsearch"].sent(f"/i/_search?source={source}")
    assert reached == f"/i/_search?source={source}".replace(quote(CHATTY), quote(PLAIN))


TWENTY: list[tuple[str, str, str, str]] = [
    ("elasticsearch", "/_msearch", NDJSON, ('{}\n{"query":{"match":{"t":"#"}}}\n') * 20),
    ("elasticsearch", "/_search", "application/json",
     json.dumps({"query": {"bool": {"should": [{"match": {f"t{n}": "#"}} for n in range(20)]}}})),
    ("meilisearch", "/multi-search", "application/json",
     json.dumps({"queries": [{"indexUid": f"i{n}", "q": "#"} for n in range(20)]})),
    ("typesense", "/multi_search", "application/json",
     json.dumps({"searches": [{"collection": f"c{n}", "q": "#"} for n in range(40)]})),
    ("algolia", "/1/indexes/*/queries", "application/json",
     json.dumps({"requests": [{"indexName": f"i{n}", "query": "#"} for n in range(20)]})),
    ("plain", "/search", FORM, "&".join(f"q={quote('#')}&n={n}" for n in range(100))),
    ("solr", "/solr/c/query", "application/json",
     json.dumps({"query": {"bool": {"should": [{"edismax": {"query": "#"}}] * 30}}})),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "kind", "body"), TWENTY)
def test_the_bound_counts_different_texts(
    proxies: dict[str, Standing], name: str, path: str, kind: str, body: str
) -> None:
    escape = quote if kind == FORM else str
    asked, wanted = (body.replace(escape("#"), escape(text)) for text in (CHATTY, PLAIN))
    _, sent, said = proxies[name].sent(path, asked, kind)
    assert said.startswith("rewritten")
    assert sent == wanted
