"""Elasticsearch and OpenSearch: what is a text, what is a search, and what stays."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import pytest

from middleware import QuerySpan, Reason, SearchRequest
from middleware.dialects.base import apply_edits
from middleware.dialects.elasticsearch import ElasticsearchDialect
from middleware.dialects.opensearch import OpenSearchDialect

from .requests import request

DIALECT = ElasticsearchDialect()
NDJSON = "application/x-ndjson"


def search(body: Any, query_string: bytes = b"") -> SearchRequest:
    """Make a search."""
    return request("POST", "/i/_search", query_string, json.dumps(body).encode())


def texts(body: Any) -> list[str]:
    """Return the texts of a search's body."""
    return [span.text for span in DIALECT.spans(search(body))]


def in_query(query: Any) -> list[str]:
    """Return the texts of a query."""
    return texts({"query": query})


@pytest.mark.parametrize(
    "query",
    [
        {"match": {"title": "red shoes"}},
        {"match": {"title": {"query": "red shoes", "operator": "and", "boost": 2}}},
        {"match": {"terms": {"query": "red shoes"}}},
        {"multi_match": {"query": "red shoes", "fields": ["a^2", "b"], "type": "cross_fields"}},
        {"combined_fields": {"query": "red shoes", "fields": ["a"]}},
        {"query_string": {"query": "red shoes", "default_field": "a"}},
        {"simple_query_string": {"query": "red shoes"}},
        {"semantic": {"field": "e", "query": "red shoes"}},
        {"sparse_vector": {"field": "e", "inference_id": "m", "query": "red shoes"}},
        {"text_expansion": {"ml.tokens": {"model_id": "m", "model_text": "red shoes"}}},
        {"neural": {"v": {"query_text": "red shoes", "model_id": "m", "k": 5}}},
        {"neural_sparse": {"v": {"query_text": "red shoes", "model_id": "m"}}},
        {"bool": {"must": {"match": {"a": "red shoes"}}}},
        {"bool": {"must": [{"bool": {"should": [{"match": {"a": "red shoes"}}]}}]}},
        {"dis_max": {"queries": [{"match": {"a": "red shoes"}}], "tie_breaker": 0.7}},
        {
            "boosting": {
                "positive": {"match": {"a": "red shoes"}},
                "negative": {"match": {"a": "x y"}},
            }
        },
        {"function_score": {"query": {"match": {"a": "red shoes"}}, "functions": [{"weight": 2}]}},
        {"script_score": {"query": {"match": {"a": "red shoes"}}, "script": {"source": "1"}}},
        {"nested": {"path": "p", "query": {"match": {"p.a": "red shoes"}}}},
        {"hybrid": {"queries": [{"match": {"a": "red shoes"}}, {"knn": {"v": {"vector": [1]}}}]}},
        {"pinned": {"ids": ["1"], "organic": {"match": {"a": "red shoes"}}}},
    ],
)
def test_texts_of_queries(query: Any) -> None:
    """Each has the one."""
    assert in_query(query) == ["red shoes"]


@pytest.mark.parametrize(
    "query",
    [
        {"match_all": {}},
        {"match_phrase": {"a": "red shoes"}},
        {"match_phrase_prefix": {"a": "red sho"}},
        {"match_bool_prefix": {"a": "red sho"}},
        {"multi_match": {"query": "red shoes", "type": "phrase"}},
        {"multi_match": {"query": "red sho", "type": "bool_prefix"}},
        {"match": {"a": {"query": "red shoes", "type": "phrase_prefix"}}},
        {"match": {"a": 5}},
        {"match": {"a": {"query": None}}},
        {"match": ["red shoes"]},
        {"term": {"a": "red shoes"}},
        {"bool": {"filter": [{"match": {"a": "red shoes"}}], "must_not": {"match": {"a": "b c"}}}},
        {"constant_score": {"filter": {"match": {"a": "red shoes"}}}},
        {"bool": {"must": {"constant_score": {"filter": {"match": {"a": "red shoes"}}}}}},
        {"more_like_this": {"like": "red shoes"}},
        {"intervals": {"a": {"match": {"query": "red shoes"}}}},
        {"script_score": {"script": {"params": {"query": {"match": {"a": "x y"}}}}}},
        {"template": {"id": "t", "params": {"query": "red shoes"}}},
        {"unknown": {"query": "red shoes"}},
        "red shoes",
        [],
        None,
    ],
)
def test_what_is_no_text_stays(query: Any) -> None:
    """Phrases, prefixes, restrictions, and what is not known."""
    assert in_query(query) == []


def test_texts_beside_the_query() -> None:
    """Vectors made by a model, retrievers in each other, rescoring."""
    knn = {"field": "v", "query_vector_builder": {"text_embedding": {"model_text": "one"}}}
    match = {"standard": {"query": {"match": {"a": "two"}}, "filter": {"match": {"a": "x"}}}}
    fused = {"rrf": {"retrievers": [match, {"knn": knn}, {"retriever": match, "weight": 2}]}}
    ranked = {"text_similarity_reranker": {"retriever": fused, "inference_text": "left"}}
    assert texts({"knn": [knn]}) == ["one"]
    assert texts({"knn": knn, "query": {"match": {"a": "two"}}}) == ["two", "one"]
    assert texts({"retriever": ranked}) == ["two", "one", "two"]
    assert texts({"retriever": {"rrf": {"query": "three", "fields": ["a"]}}}) == ["three"]
    rescore = {"window_size": 5, "query": {"rescore_query": {"match": {"a": "four"}}}}
    assert texts({"rescore": [rescore]}) == ["four"]
    assert texts({"suggest": {"text": "x"}, "aggs": {"a": {"filter": {"match": {"a": "b"}}}}}) == []


@pytest.mark.parametrize("kind", ["query_string", "simple_query_string"])
def test_syntax_is_never_rewritten(kind: str) -> None:
    """It has a span with the reason."""
    for text in ('t:"red shoe"~2 | x', "(a b)", "-a b", "a*"):
        [span] = DIALECT.spans(search({"query": {kind: {"query": text}}}))
        assert (span.text, span.skip) == (text, Reason.SYNTAX)


@pytest.mark.parametrize(
    "path",
    [
        "/i/_delete_by_query",
        "/i/_update_by_query",
        "/i/_count/a",
        "/i/_doc/_count",
        "/i/_validate/query",
        "/i/_explain/1",
        "/_search/scroll",
        "/_search/template",
        "/i/_search/template",
        "/_msearch/template",
        "/i/_search_shards",
        "/_search/point_in_time",
        "/_async_search/abc",
        "/_async_search/status/abc",
        "/_render/template",
        "/i/_rank_eval",
        "/i/_knn_search",
        "/i/_doc/_search",
        "/i/_create/_search",
        "/_plugins/_ml/models/_search",
        "/_application/search_application/a/_search",
        "/i/_search/x",
        "/i/_doc/1",
        "/i",
        "/",
    ],
)
@pytest.mark.parametrize("dialect", [DIALECT, OpenSearchDialect()])
def test_what_is_no_search_has_no_spans(dialect: ElasticsearchDialect, path: str) -> None:
    """Whatever it says, it goes on byte-identical."""
    body = b'{"query":{"match":{"a":"red shoes"}}}'
    for method in ("GET", "POST"):
        found = request(method, path, b"q=name:bob&q2=red+shoes", body)
        assert not dialect.spans(found)
        assert not dialect.wants_body(found)
        assert not dialect.spans(request(method, path, b"q=red+shoes"))


@pytest.mark.parametrize("path", ["/_search", "/a,b/_search", "/_all/_search", "/i/t/_search/"])
def test_searches(path: str) -> None:
    """Of all, of some, of a date that has a slash, and below a gateway's prefix."""
    assert DIALECT.spans(request("GET", path, b"q=red+shoes"))
    assert DIALECT.spans(request("GET", "/<logs-{now/d}>/_search", b"q=red+shoes"))


def test_a_gateways_own_path() -> None:
    """It can be named."""
    dialect = ElasticsearchDialect(paths=["/api/find", "/_x/_search"])
    body = b'{"query":{"match":{"a":"red shoes"}}}'
    assert dialect.spans(request("POST", "/api/find", b"", body))
    assert dialect.spans(request("POST", "/_x/_search", b"", body))
    assert not dialect.spans(request("POST", "/i/_search", b"", body))


def test_opensearch_has_an_asynchronous_search_of_its_own() -> None:
    """Started by a POST; reading and deleting one are no searches."""
    body = b'{"query":{"match":{"a":"red shoes"}}}'
    path = "/_plugins/_asynchronous_search"
    assert OpenSearchDialect().spans(request("POST", path, b"index=i", body))
    assert not OpenSearchDialect().spans(request("GET", path, b"", body))
    assert not OpenSearchDialect().spans(request("POST", f"{path}/stats", b"", body))
    assert not DIALECT.spans(request("POST", path, b"", body))


@pytest.mark.parametrize(
    ("body", "query_string"),
    [
        ({"from": 10}, b""),
        ({"search_after": ["a", 1]}, b""),
        ({"slice": {"id": 0, "max": 2}}, b""),
        ({}, b"from=10"),
        ({}, b"from=x"),
    ],
)
def test_later_pages(body: dict[str, Any], query_string: bytes) -> None:
    """They are told, so that they can have the first one's query or none."""
    [span] = DIALECT.spans(search({**body, "query": {"match": {"a": "b c"}}}, query_string))
    assert span.skip is Reason.PAGED


@pytest.mark.parametrize(
    ("body", "query_string"),
    [({"from": 0}, b"from=0"), ({"search_after": None, "pit": {"id": "x"}}, b"scroll=1m")],
)
def test_first_pages(body: dict[str, Any], query_string: bytes) -> None:
    """Of a scroll and of a point in time too."""
    [span] = DIALECT.spans(search({**body, "query": {"match": {"a": "b c"}}}, query_string))
    assert span.skip is None


def test_later_pages_in_a_retriever() -> None:
    """The standard one has its own ``search_after``."""
    match = {"match": {"a": "b c"}}
    for after, skip in ((None, None), (["a", 1], Reason.PAGED)):
        standard = {"query": match, **({} if after is None else {"search_after": after})}
        for retriever in (
            {"standard": standard},
            {"rrf": {"retrievers": [{"standard": standard}]}},
        ):
            [span] = DIALECT.spans(search({"retriever": retriever}))
            assert span.skip is skip


@pytest.mark.parametrize(
    "body",
    [
        {"sub_searches": [{"query": {"match": {"a": "b c"}}}]},
        {
            "retriever": {
                "rescorer": {
                    "retriever": {"knn": {"field": "v", "query_vector": [1], "k": 2}},
                    "rescore": {"query": {"rescore_query": {"match": {"a": "b c"}}}},
                }
            }
        },
    ],
)
def test_texts_of_rarer_places(body: dict[str, Any]) -> None:
    assert texts(body) == ["b c"]


@pytest.mark.parametrize("field", ["category.keyword", "code.raw", "_index", "_id"])
def test_exact_values_are_no_texts(field: str) -> None:
    """A match of a field that is not analyzed is a filter with a score."""
    assert in_query({"match": {field: "mens shoe"}}) == []
    assert in_query({"match": {field: {"query": "mens shoe"}}}) == []


def test_a_clause_with_two_texts_has_no_room_for_added_terms() -> None:
    """The server refuses it, and must be asked what the client asked."""
    found = search({"query": {"match": {"a": "red shoes", "b": "blue hat"}}})
    assert [span.expands for span in DIALECT.spans(found)] == [False, False]


LINES = (
    b'{"index":"a"}\n{"query":{"match":{"t":"red shoes"}},"from":0}\r\n\n'
    b'{"query":{"match":{"t":"blue hat"}},"from":10}\n{}\n{}\n'
)


@pytest.mark.parametrize("kind", [NDJSON, "application/vnd.elasticsearch+x-ndjson"])
def test_many_searches(kind: str) -> None:
    """Blank headers and the final newline stay, and each line is a search of its own."""
    found = request("POST", "/_msearch", b"", LINES, kind)
    spans = DIALECT.spans(found)
    assert DIALECT.wants_body(found)
    assert [(span.text, span.skip) for span in spans] == [
        ("red shoes", None),
        ("blue hat", Reason.PAGED),
    ]
    _, after = apply_edits(found, [(span, "two\nlines") for span in spans])
    assert after == LINES.replace(b"red shoes", b"two\\nlines").replace(b"blue hat", b"two\\nlines")


def test_a_newline_before_all_is_no_header() -> None:
    """The server skips the one; the spans count it."""
    found = request("POST", "/_msearch", b"", b"\n" + LINES, NDJSON)
    spans = DIALECT.spans(found)
    assert [span.text for span in spans] == ["red shoes", "blue hat"]
    _, after = apply_edits(found, [(spans[0], "x")])
    assert after == b"\n" + LINES.replace(b"red shoes", b"x")


@pytest.mark.parametrize(
    "lines",
    [LINES[:-1], b"{}\n", LINES + b"{}\n", LINES[:-2] + b"\n", b"x\n{}\n", LINES + b"{}\n[1\n"],
)
def test_broken_lines_leave_all_alone(lines: bytes) -> None:
    """The server refuses the whole of it."""
    assert not DIALECT.spans(request("POST", "/_msearch", b"", lines, NDJSON))


@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.elasticsearch+json; compatible-with=8",
        "application/vnd.elasticsearch+json;compatible-with=9",
        "application/json; charset=UTF-8",
    ],
)
def test_vendors_content_types_are_json(kind: str) -> None:
    """With a version in them."""
    body = b'{"query":{"match":{"a":"red shoes"}}}'
    assert DIALECT.spans(request("GET", "/_search", b"", body, kind))


@pytest.mark.parametrize("kind", ["application/cbor", "application/yaml", "application/smile", ""])
def test_binary_bodies_are_left_alone(kind: str) -> None:
    """They are not read."""
    found = request("POST", "/_search", b"", b'{"query":{"match":{"a":"red shoes"}}}', kind)
    assert not DIALECT.wants_body(found)
    assert not DIALECT.spans(found)


def test_the_source_parameter() -> None:
    """JSON in the URL: only the text's bytes change there."""
    body = '{"query":{"match":{"t": "red shoes"}},"size":1.0}'
    source = b"a=%2a&source=" + quote(body).encode() + b"&source_content_type=application%2Fjson"
    found = request("GET", "/i/_search", source)
    [span] = DIALECT.spans(found)
    after, _ = apply_edits(found, [(span, 'b "c" &')])
    assert after == source.replace(b"%22red%20shoes%22", b"%22b%20%5C%22c%5C%22%20%26%22")


def test_semicolons_end_parameters_in_old_versions() -> None:
    """What a value with one says depends on the version."""
    assert not DIALECT.spans(request("GET", "/_search", b"q=red;size=10"))
    assert DIALECT.spans(request("GET", "/_search", b"q=red%3Bsize"))


def test_added_terms_become_a_boosted_clause() -> None:
    """The clause that came stays as it was, byte for byte."""
    clause = b'{"match" : {"t":{"query":"red shoes", "boost":1.00}}}'
    found = request("POST", "/i/_search", b"", b'{"query":%s}' % clause)
    [span] = DIALECT.spans(found)
    _, after = apply_edits(found, [(span.expanding(("boots",)), "")])
    [first, second] = json.loads(after)["query"]["bool"]["should"]
    assert clause in after
    assert first == json.loads(clause)
    assert second["bool"] == {
        "must": [{"match": {"t": {"query": "boots", "boost": 1.0}}}],
        "boost": 0.3,
    }


def test_added_terms_in_the_url() -> None:
    """As groups of Lucene's syntax."""
    found = request("GET", "/_search", b"q=red+shoes&df=t")
    [span] = DIALECT.spans(found)
    after, _ = apply_edits(found, [(span.expanding(("boots", "a)b")), "")])
    assert after == b"q=%28red+shoes%29+OR+%28boots+a%5C%29b%29%5E0.3&df=t"


def test_a_vectors_text_has_no_expansion() -> None:
    """A model that makes a vector of it has no way to weigh words."""
    spans: list[QuerySpan] = list(DIALECT.spans(search({"query": {"semantic": {"query": "a b"}}})))
    assert [span.expands for span in spans] == [False]


def test_large_bodies_are_read_fast() -> None:
    """Vectors, long lists of terms and aggregations are passed over."""
    body = {
        "knn": {"field": "v", "query_vector": [0.123456789] * 4096},
        "query": {
            "bool": {"must": {"match": {"a": "b c"}}, "filter": {"terms": {"i": ["x"] * 9999}}}
        },
        "aggs": {f"a{n}": {"terms": {"field": "f"}} for n in range(500)},
    }
    found = search(body)
    started = time.perf_counter()
    assert len(DIALECT.spans(found)) == 1
    assert time.perf_counter() - started < 0.5
