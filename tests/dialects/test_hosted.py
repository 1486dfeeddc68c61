"""Meilisearch, Typesense, Algolia and Groonga."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

import pytest

from middleware import QuerySpan, Reason, SearchRequest
from middleware.dialects.base import apply_edits
from middleware.dialects.registry import load_dialect

from .requests import FORM, request


def spans(name: str, found: SearchRequest) -> Sequence[QuerySpan]:
    """Return the spans of a request in a dialect."""
    return load_dialect(name).spans(found)


def texts(name: str, found: SearchRequest) -> list[tuple[str, Reason | None]]:
    """Return texts and reasons."""
    return [(span.text, span.skip) for span in spans(name, found)]


def expanded(name: str, found: SearchRequest, *added: str) -> tuple[bytes, bytes]:
    """Return a request whose one text got added terms."""
    [span] = spans(name, found)
    assert span.expands
    return apply_edits(found, [(span.expanding(added), "")])


class TestMeilisearch:
    """``q`` here and there."""

    def test_null_and_empty_stay(self) -> None:
        """The one is no text, the other has nothing in it."""
        assert texts("meilisearch", request("POST", "/indexes/m/search", b"", b'{"q":null}')) == []
        [(text, _)] = texts("meilisearch", request("POST", "/indexes/m/search", b"", b'{"q":""}'))
        assert text == ""

    def test_many_and_federated(self) -> None:
        """Each query has its own page, or the federation has one for all."""
        queries = b'"queries":[{"q":"a b","indexUid":"m"},{"q":"c d","page":2},{"vector":[1]}]'
        many = request("POST", "/multi-search", b"", b"{" + queries + b"}")
        assert texts("meilisearch", many) == [("a b", None), ("c d", Reason.PAGED)]
        body = b'{"federation":{"offset":20},' + queries + b"}"
        federated = request("POST", "/multi-search", b"", body)
        assert [skip for _, skip in texts("meilisearch", federated)] == [Reason.PAGED] * 2

    @pytest.mark.parametrize(
        "path", ["/indexes/m/similar", "/indexes/m/documents/fetch", "/indexes/m/facets"]
    )
    def test_what_is_no_search(self, path: str) -> None:
        """Similar documents, documents."""
        assert texts("meilisearch", request("POST", path, b"q=a+b", b'{"q":"a b"}')) == []

    @pytest.mark.parametrize("paging", [b"offset=20", b"page=2"])
    def test_later_pages(self, paging: bytes) -> None:
        """By offset, and by number from 1."""
        found = request("GET", "/indexes/m/search", b"q=a+b&" + paging)
        assert texts("meilisearch", found) == [("a b", Reason.PAGED)]

    def test_added_terms(self) -> None:
        """After the text, unless all words have to match."""
        found = request("GET", "/indexes/m/search", b"q=a+b&matchingStrategy=last&page=1")
        assert expanded("meilisearch", found, "c", "-d")[0].startswith(b"q=a+b+c++d&")
        strict = request("POST", "/indexes/m/search", b"", b'{"q":"a b","matchingStrategy":"all"}')
        assert [span.expands for span in spans("meilisearch", strict)] == [False]


class TestTypesense:
    """``q`` here and there."""

    def test_everything_stays(self) -> None:
        """``*`` is all documents."""
        found = request("GET", "/collections/c/documents/search", b"q=*&query_by=t&preset=p")
        assert texts("typesense", found) == [("*", Reason.SYNTAX)]

    def test_many(self) -> None:
        """Each search's own, and the one in common."""
        body = b'{"searches":[{"collection":"c","q":"a b","preset":"p"},{"q":"c d","page":2},{}]}'
        found = request("POST", "/multi_search", b"q=e+f&x-typesense-api-key=k", body, "text/plain")
        assert load_dialect("typesense").wants_body(found)
        assert texts("typesense", found) == [
            ("a b", None),
            ("c d", Reason.PAGED),
            ("e f", None),
        ]
        later = request("POST", "/multi_search", b"page=3", body)
        assert {skip for _, skip in texts("typesense", later)} == {Reason.PAGED}

    @pytest.mark.parametrize("rest", [b"conversation=true", b"nl_query=true"])
    def test_questions_to_a_language_model_stay(self, rest: bytes) -> None:
        """It answers what was asked."""
        found = request("GET", "/collections/c/documents/search", b"q=a+b&" + rest)
        assert texts("typesense", found) == []

    @pytest.mark.parametrize(
        "path", ["/collections/c/documents", "/collections/c/documents/export"]
    )
    def test_what_is_no_search(self, path: str) -> None:
        """Documents."""
        assert texts("typesense", request("GET", path, b"q=a+b")) == []

    def test_added_terms_would_narrow(self) -> None:
        """So the text is replaced."""
        found = request("GET", "/collections/c/documents/search", b"q=a+b")
        assert [span.expands for span in spans("typesense", found)] == [False]


SECURED = b64encode(b"0" * 64 + b"filters=a&query=x").decode()
FILTERED = b64encode(b"0" * 64 + b"filters=a").decode()


class TestAlgolia:
    """``query``, plain and packed."""

    def test_the_packed_query_alone_is_escaped_anew(self) -> None:
        """The JSON is labelled a form."""
        body = (
            b'{"requests":[{"indexName":"p",'
            b'"params":"query=red%20%26%20blue&hitsPerPage=2&tagFilters=%5B%22a%22%5D"}]}'
        )
        found = request("POST", "/1/indexes/*/queries", b"x-algolia-agent=a%20b", body, FORM)
        [span] = spans("algolia", found)
        assert span.text == "red & blue"
        after = apply_edits(found, [(span, 'c & "d"')])
        assert after == (
            b"x-algolia-agent=a%20b",
            body.replace(b"red%20%26%20blue", b"c%20%26%20%20d%20"),
        )

    def test_one_query(self) -> None:
        """Plain, packed, and by URL."""
        for body in (b'{"query":"a b"}', b'{"params":"query=a+b&page=0"}'):
            found = request("POST", "/1/indexes/p/query", b"", body, "text/plain")
            assert texts("algolia", found) == [("a b", None)]
        assert texts("algolia", request("GET", "/1/indexes/p", b"query=a%20b")) == [("a b", None)]

    @pytest.mark.parametrize(
        "path",
        [
            "/1/indexes/p/browse",
            "/1/indexes/p/deleteByQuery",
            "/1/indexes/p/batch",
            "/1/indexes/*/objects",
            "/1/indexes/p",
        ],
    )
    def test_what_is_no_search(self, path: str) -> None:
        """A POST to an index writes a record."""
        found = request("POST", path, b"", b'{"query":"a b","params":"query=a%20b"}')
        assert texts("algolia", found) == []
        assert not load_dialect("algolia").wants_body(found)

    def test_facets_among_queries_belong_to_a_search(self) -> None:
        """The part of the facet's value is nobody's text."""
        facet = b'{"type":"facet","facetQuery":"x","params":"query=a%20b"}'
        body = b'{"requests":[%s,{"query":"c d"}]}' % facet
        found = request("POST", "/1/indexes/*/queries", b"", body)
        assert texts("algolia", found) == [("a b", Reason.RELATED), ("c d", None)]

    @pytest.mark.parametrize(
        "body",
        [
            b'{"query":"a b","page":1}',
            b'{"query":"a b","offset":5}',
            b'{"params":"query=a+b&page=2"}',
        ],
    )
    def test_later_pages(self, body: bytes) -> None:
        """Pages count from 0."""
        found = request("POST", "/1/indexes/p/query", b"", body)
        assert texts("algolia", found) == [("a b", Reason.PAGED)]

    @pytest.mark.parametrize(
        ("rest", "skip", "expands"),
        [
            (b'"params":"hitsPerPage=2"', None, True),
            (b'"params":""', None, True),
            (b'"params":"page=3"', Reason.PAGED, True),
            (b'"params":"optionalWords=a"', None, False),
        ],
    )
    def test_a_plain_query_beside_packed_parameters(
        self, rest: bytes, skip: Reason | None, expands: bool
    ) -> None:
        """As older clients and Autocomplete say it."""
        body = b'{"requests":[{"indexName":"p","query":"a b",%s}]}' % rest
        found = spans("algolia", request("POST", "/1/indexes/*/queries", b"", body))
        assert [(s.text, s.skip, s.expands) for s in found] == [("a b", skip, expands)]

    def test_what_is_said_beside_a_packed_query_counts(self) -> None:
        body = b'{"params":"query=a%20b","page":2,"optionalWords":["a"]}'
        [span] = spans("algolia", request("POST", "/1/indexes/p/query", b"", body))
        assert (span.text, span.skip, span.expands) == ("a b", Reason.PAGED, False)

    def test_one_query_said_twice_leaves_the_others(self) -> None:
        body = b'{"requests":[{"query":"a","params":"query=b"},{"query":"c d"}]}'
        found = request("POST", "/1/indexes/*/queries", b"", body)
        assert texts("algolia", found) == [("c d", None)]

    def test_a_query_said_twice_is_left_alone(self) -> None:
        """By itself and packed, or packed twice."""
        for body in (b'{"query":"a","params":"query=b"}', b'{"params":"query=a&query=b"}'):
            assert texts("algolia", request("POST", "/1/indexes/p/query", b"", body)) == []

    def test_secured_keys(self) -> None:
        """One that fixes the query wins over it, one in the body is signed with it."""
        body = b'{"query":"a b"}'
        for key, skip in ((SECURED, Reason.SIGNED), (FILTERED, None), ("abc", None)):
            lines = ((b"x-algolia-api-key", key.encode()),)
            found = request("POST", "/1/indexes/p/query", b"", body, headers=lines)
            assert texts("algolia", found) == [("a b", skip)]
        inside = b'{"query":"a b","apiKey":"%s"}' % FILTERED.encode()
        found = request("POST", "/1/indexes/p/query", b"", inside)
        assert texts("algolia", found) == [("a b", Reason.SIGNED)]

    def test_added_terms_are_optional_words(self) -> None:
        """In whichever form the query came."""
        plain = request("POST", "/1/indexes/p/query", b"", b'{"query":"a b","x":1}')
        assert (
            expanded("algolia", plain, "c")[1] == b'{"query":"a b c","optionalWords":["c"],"x":1}'
        )
        packed = request("POST", "/1/indexes/p/query", b"", b'{"params":"query=a%20b&x=1"}')
        assert expanded("algolia", packed, "c")[1] == (
            b'{"params":"query=a%20b%20c&optionalWords=%5B%22c%22%5D&x=1"}'
        )

    def test_optional_words_that_are_said_are_kept(self) -> None:
        """So the text is replaced."""
        for body in (b'{"query":"a","optionalWords":"a"}', b'{"params":"optionalWords=a&query=a"}'):
            found = request("POST", "/1/indexes/p/query", b"", body)
            assert not any(span.expands for span in spans("algolia", found))


class TestGroonga:
    """``query`` of a select."""

    @pytest.mark.parametrize("text", [b"a%20OR%20b", b"title:@b", b"%22a%20b%22", b"-a", b"(a)"])
    def test_operators_are_syntax(self, text: bytes) -> None:
        """They are never rewritten."""
        found = request("GET", "/d/select", b"table=T&query=" + text)
        assert [skip for _, skip in texts("groonga", found)] == [Reason.SYNTAX]

    def test_the_rest_stays(self) -> None:
        """Filters and match columns are no text."""
        found = request("GET", "/d/select.json", b"filter=a+b&query=men%27s+shoes&offset=0")
        assert texts("groonga", found) == [("men's shoes", None)]
        assert texts("groonga", request("GET", "/d/select", b"query=a&offset=10")) == [
            ("a", Reason.PAGED)
        ]

    @pytest.mark.parametrize("path", ["/d/delete", "/d/load", "/d/status", "/d/selects"])
    def test_what_is_no_search(self, path: str) -> None:
        """Other commands."""
        assert texts("groonga", request("GET", path, b"query=a+b")) == []

    def test_a_rewrite_is_words(self) -> None:
        """Operators in it are escaped."""
        found = request("GET", "/d/select", b"query=a+b")
        [span] = spans("groonga", found)
        after, _ = apply_edits(found, [(span, "c:d -e OR f")])
        assert after == b"query=c%5C%3Ad+%5C-e+or+f"

    def test_added_terms(self) -> None:
        """As an alternative."""
        found = request("GET", "/d/select", b"query=a+b&table=T")
        assert expanded("groonga", found, "c")[0] == b"query=%28a+b%29+OR+%28c%29&table=T"
