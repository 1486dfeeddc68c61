"""Solr: one ``q`` that is text, and everything else as it came."""

from __future__ import annotations

import pytest

from middleware import QuerySpan, Reason, SearchRequest
from middleware.dialects.base import apply_edits
from middleware.dialects.solr import SolrDialect

from .requests import FORM, request

DIALECT = SolrDialect()


def get(query_string: bytes, path: str = "/solr/c/select") -> SearchRequest:
    """Make a search by URL."""
    return request("GET", path, query_string, kind="")


def found(wanted: SearchRequest) -> list[tuple[str, Reason | None]]:
    """Return texts and reasons."""
    return [(span.text, span.skip) for span in DIALECT.spans(wanted)]


def json_request(body: bytes, query_string: bytes = b"") -> SearchRequest:
    """Make a search by JSON."""
    return request("POST", "/solr/c/query", query_string, body)


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        (b'{"bool":{"must":[{"edismax":{"query":"red shoes"}}]}}', ["red shoes"]),
        (b'{"bool":{"must":"red shoes","filter":["in stock"],"must_not":"x y"}}', ["red shoes"]),
        (b'{"bool":{"should":[{"lucene":"a b"},{"dismax":{"query":"c d"}}]}}', ["a b", "c d"]),
        (
            b'{"boost":{"query":{"edismax":{"query":"red shoes"}},"b":"log(p)"}}',
            ["red shoes"],
        ),
        (b'{"#named":{"edismax":{"query":"red shoes"}}}', ["red shoes"]),
        (b'{"bool":{"must":[{"field":{"f":"a","query":"red shoes"}},{"term":"x y"}]}}', []),
    ],
)
def test_compound_queries_of_the_json_api(query: bytes, texts: list[str]) -> None:
    """Their clauses are queries; what restricts is none."""
    assert found(json_request(b'{"query":%s}' % query)) == [(text, None) for text in texts]


def test_a_later_page_of_the_json_api_may_be_said_in_the_url() -> None:
    wanted = json_request(b'{"query":"a b"}', b"json.offset=10")
    assert found(wanted) == [("a b", Reason.PAGED)]


@pytest.mark.parametrize(
    "query_string",
    [
        b"q=red+shoes&fq=a:b&fq=c&bq=x&bf=sum(a,b)&qq=y&defType=edismax&qf=t^2",
        b"defType=dismax&q=red%20shoes",
        b"defType=lucene&q=red%20shoes&start=0&cursorMark=*&ie=UTF-8&qt=/select",
    ],
)
def test_only_q_is_text(query_string: bytes) -> None:
    """Filters, boosts and parameters that may be referred to are not."""
    assert found(get(query_string)) == [("red shoes", None)]


@pytest.mark.parametrize(
    "query_string",
    [
        b"q={!edismax%20v=$qq}&qq=red+shoes",
        b"q=_val_:%22x%22",
        b"q=*:*",
        b"q=title:red",
        b"q=red+OR+blue",
        b"q=ac/dc",
    ],
)
def test_syntax_is_never_rewritten(query_string: bytes) -> None:
    """Local parameters, function queries, operators."""
    assert [skip for _, skip in found(get(query_string))] == [Reason.SYNTAX]


@pytest.mark.parametrize(
    "query_string",
    [
        b"q=sum(a,b)&defType=func",
        b"q=a+b&defType=xmlparser",
        b"q=a+b&q=c+d",
        b"q=a+b&isShard=true",
        b"q=a+b&json={}",
        b"q=a+b&json.query=x",
        b"q=a+b&qt=/update",
        b"q=a+b&ie=ISO-8859-1",
        b"fq=a+b",
    ],
)
def test_other_queries_are_left_alone(query_string: bytes) -> None:
    """Other parsers, two queries, shards' own requests, other encodings."""
    assert found(get(query_string)) == []


@pytest.mark.parametrize(
    "path", ["/solr/c/update", "/solr/c/get", "/solr/admin/cores", "/solr/c/mlt"]
)
def test_what_is_no_search_has_no_slots(path: str) -> None:
    """Whatever its ``q`` says."""
    assert found(get(b"q=red+shoes", path)) == []


@pytest.mark.parametrize(
    "path", ["/api/collections/c/select", "/api/cores/c/query", "/v2/c/c/select"]
)
def test_the_second_api_is_one_too(path: str) -> None:
    """By collections and by cores."""
    assert found(get(b"q=red+shoes", path)) == [("red shoes", None)]


def test_a_form() -> None:
    """As in a URL; in both, none is rewritten."""
    form = request("POST", "/solr/c/select", b"wt=json", b"q=red+shoes&rows=2", FORM)
    assert found(form) == [("red shoes", None)]
    both = request("POST", "/solr/c/select", b"q=a+b", b"q=red+shoes", FORM)
    assert found(both) == []
    paged = request("POST", "/solr/c/select", b"start=10", b"q=red+shoes", FORM)
    assert found(paged) == [("red shoes", Reason.PAGED)]


@pytest.mark.parametrize(
    "body",
    [
        b'{"query":"red shoes","filter":["a:b"],"facet":{"q":"x"}}',
        b'{"params":{"q":"red shoes","defType":"edismax"}}',
        b'{"query":{"edismax":{"query":"red shoes","qf":"a"}}}',
        b'{"query":{"lucene":{"query":"red shoes"}},"offset":0}',
    ],
)
def test_json_requests(body: bytes) -> None:
    """The query by itself, as an object, or as a parameter."""
    assert found(json_request(body)) == [("red shoes", None)]


@pytest.mark.parametrize(
    "body",
    [
        b'{"query":{"func":"sum(a,b)"}}',
        b'{"query":"a b","params":{"q":"c d"}}',
        b'{"query":"a b","params":{"defType":"func"}}',
        b"{query:'a b'}",
        b'{"queries":{"a":"red shoes"}}',
    ],
)
def test_json_requests_left_alone(body: bytes) -> None:
    """Other parsers, two queries, lax JSON."""
    assert found(json_request(body)) == []


def test_json_and_url_are_two_places() -> None:
    """Which one counts is the handler's."""
    assert found(json_request(b'{"query":"a b"}', b"q=c+d")) == []


@pytest.mark.parametrize(
    "wanted",
    [
        get(b"q=a+b&start=10"),
        get(b"q=a+b&cursorMark=AoE"),
        json_request(b'{"query":"a b","offset":10}'),
        json_request(b'{"query":"a b","params":{"cursorMark":"AoE"}}'),
    ],
)
def test_later_pages(wanted: SearchRequest) -> None:
    """By number and by cursor."""
    assert found(wanted) == [("a b", Reason.PAGED)]


@pytest.mark.parametrize(
    ("query_string", "after"),
    [
        (b"q=a+b&defType=lucene", b"q=%28a+b%29+OR+%28c+d%29%5E0.3&defType=lucene"),
        (b"q=a+b&defType=edismax", b"q=a+b+c%5E0.3+d%5E0.3&mm=2&defType=edismax"),
        (b"q=a+b&defType=dismax", b"q=a+b+c+d&mm=2&defType=dismax"),
    ],
)
def test_added_terms(query_string: bytes, after: bytes) -> None:
    """As each parser can be told."""
    wanted = get(query_string)
    [span] = DIALECT.spans(wanted)
    assert apply_edits(wanted, [(span.expanding(("c", "d")), "")])[0] == after


@pytest.mark.parametrize("rest", [b"", b"&defType=edismax&mm=100%25", b"&defType=dismax&q.op=AND"])
def test_what_cannot_be_told(rest: bytes) -> None:
    """Where added terms could narrow the search, the text is replaced."""
    spans: list[QuerySpan] = list(DIALECT.spans(get(b"q=a+b" + rest)))
    assert [span.expands for span in spans] == [False]
