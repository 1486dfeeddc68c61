"""The plain dialect: parameters, form fields and pointers."""

from __future__ import annotations

import pytest

from middleware import ConfigurationError, PlainDialect, Reason
from middleware.dialects.base import apply_edits

from .requests import FORM, request


def test_names_and_pointers_are_found_in_url_form_and_json() -> None:
    """Each value is a text of its own."""
    dialect = PlainDialect(["q", "s"], ["/query", "/a/0/b"])
    form = request("POST", "/", b"q=one&x=2", b"s=two&q=three", f"{FORM};charset=UTF-8")
    assert [span.text for span in dialect.spans(form)] == ["one", "two", "three"]
    body = b'{"a":[{"b":"x y"}],"query":"z"}'
    for kind in ("application/json", "application/problem+json", "text/json; charset=utf-8"):
        found = dialect.spans(request("POST", "/", b"", body, kind))
        assert [span.text for span in found] == ["x y", "z"]


@pytest.mark.parametrize("kind", ["text/plain", "", "multipart/form-data", "application/cbor"])
def test_other_bodies_are_left_alone(kind: str) -> None:
    """They are not even asked for."""
    dialect = PlainDialect(pointers=["/query"])
    found = request("POST", "/", b"", b'{"query":"a b"}', kind)
    assert not dialect.wants_body(found)
    assert not dialect.spans(found)


def test_a_form_in_another_encoding_is_left_alone() -> None:
    """What would be written into it is UTF-8."""
    found = request("POST", "/", b"", b"q=a+b", f"{FORM}; charset=iso-8859-1")
    assert not PlainDialect().spans(found)


def test_bodies_are_wanted_only_where_a_text_can_be() -> None:
    """Pointers are for JSON, names for forms."""
    assert not PlainDialect().wants_body(request("POST", "/"))
    assert PlainDialect().wants_body(request("POST", "/", kind=FORM))
    assert PlainDialect((), ["/q"]).wants_body(request("POST", "/"))
    assert not PlainDialect((), ["/q"]).wants_body(request("POST", "/", kind=FORM))


def test_a_digest_of_the_body_signs_the_body_alone() -> None:
    """The URL's text may be rewritten, the form's may not."""
    found = request("POST", "/", b"q=a", b"q=b", FORM, ((b"content-digest", b"sha-256=:x:"),))
    skips = [(span.text, span.skip) for span in PlainDialect().spans(found)]
    assert skips == [("a", None), ("b", Reason.SIGNED)]


def test_added_terms_stand_after_the_text() -> None:
    """An unknown API has no other way to be told."""
    found = request("GET", "/", b"q=red+shoes&x")
    [span] = PlainDialect().spans(found)
    after, _ = apply_edits(found, [(span.expanding(("boots", "é&")), "")])
    assert after == b"q=red+shoes+boots+%C3%A9%26&x"


def test_the_bound_counts_different_texts() -> None:
    """A hundred values are no hundred rewrites; one text in a hundred places is one."""

    def texts(*values: bytes) -> list[str]:
        query = b"&".join(b"q=" + value for value in values)
        return [span.text for span in PlainDialect().spans(request("GET", "/", query))]

    assert texts(*[b"a"] * 100) == ["a"] * 100
    many = [b"t%d" % n for n in range(100)]
    assert texts(*many) == [f"t{n}" for n in range(16)]
    assert texts(*many, b"t3", b"t99") == [*(f"t{n}" for n in range(16)), "t3"]
    assert texts(*[b"a"] * 128) == ["a"] * 128
    assert texts(*[b"a"] * 129) == [], "not all places of the text are known"


def test_wrong_settings_are_told_at_once() -> None:
    """Nothing to look for, or a pointer that is none."""
    with pytest.raises(ConfigurationError, match="needs the name"):
        PlainDialect((), ())
    with pytest.raises(ConfigurationError, match="query"):
        PlainDialect(pointers=["query"])


@pytest.mark.parametrize(
    ("query", "later"),
    [
        (b"q=a+b", False),
        (b"q=a+b&page=1", False),
        (b"q=a+b&page=0&start=0&offset=", False),
        (b"q=a+b&page=2", True),
        (b"page=%32&q=a+b", True),
        (b"start=10&q=a+b", True),
        (b"offset=1&q=a+b", True),
        (b"q=a+b&page=nan&start=inf", True),
        (b"q=a+b&page=last&start=%FF&offset=-1", False),
        (b"q=a+b&from=20&start=2020-01-01", False),
        (b"q=" + b"a+b" * 100 + b"&page=3", True),
    ],
)
def test_later_pages_in_the_url(query: bytes, later: bool) -> None:
    """By a number above that of the first one; anything else may mean anything."""
    [span] = PlainDialect().spans(request("GET", "/", query))
    assert (span.skip is Reason.PAGED) is later


@pytest.mark.parametrize("body", [b"q=a+b&page=2", b"start=30&q=a+b"])
def test_later_pages_in_a_form(body: bytes) -> None:
    """It counts for a text in the URL as well."""
    found = PlainDialect(["q"]).spans(request("POST", "/", b"q=x", body, FORM))
    assert [span.skip for span in found] == [Reason.PAGED] * 2


@pytest.mark.parametrize(
    ("body", "later"),
    [
        (b'{"query": "a b", "page": 2}', True),
        (b'{"query": "a b", "page": "2"}', True),
        (b'{"query": "a b", "start": 10.0}', True),
        (b'{"query": "a b", "page": 1, "offset": 0}', False),
        (b'{"query": "a b", "page": null, "offset": {"a": 3}}', False),
        (b'{"query": "a b", "in": {"page": 3}}', False),
        (b'{"query": "page 3"}', False),
    ],
)
def test_later_pages_in_json(body: bytes, later: bool) -> None:
    """At the top, where most APIs have it."""
    dialect = PlainDialect(pointers=["/query"])
    [span] = dialect.spans(request("POST", "/", b"", body, "application/json"))
    assert (span.skip is Reason.PAGED) is later


@pytest.mark.parametrize(
    "path", ["/i/_delete_by_query", "/i/_update_by_query/", "/_count", "/i/_validate", "/_bulk"]
)
def test_what_search_apis_do_instead_of_searching_is_left_alone(path: str) -> None:
    """One behind a login is not told from an app, and deletes what the query finds."""
    for found in (request("POST", path, b"q=red+lamp"), request("POST", path, b"", b"q=a", FORM)):
        assert not PlainDialect().spans(found)
        assert not PlainDialect().wants_body(found)
    assert PlainDialect().spans(request("GET", "/i/_search", b"q=red+lamp"))


def test_names_of_pages_are_the_users_to_choose() -> None:
    """None at all makes each request a search of its own, and nothing is remembered."""
    own = PlainDialect(pages=["from"])
    assert [span.skip for span in own.spans(request("GET", "/", b"q=a&from=20"))] == [Reason.PAGED]
    assert [span.skip for span in own.spans(request("GET", "/", b"q=a&page=2"))] == [None]
    none = PlainDialect(pages=())
    assert [span.skip for span in none.spans(request("GET", "/", b"q=a&page=2"))] == [None]
    assert (own.pages, none.pages) == (True, False)


def test_what_is_skipped_anyway_keeps_its_reason() -> None:
    """A signature, or bytes that are no text."""
    query = b"q=%FF&page=2"
    assert [s.skip for s in PlainDialect().spans(request("GET", "/", query))] == [
        Reason.UNENCODABLE
    ]
    signed = b"q=a&page=2&oauth_signature=x"
    assert [s.skip for s in PlainDialect().spans(request("GET", "/", signed))] == [Reason.SIGNED]


def test_the_empty_name_is_no_parameter() -> None:
    """It comes of a variable that is not set, or of a comma too many."""
    with pytest.raises(ConfigurationError, match="must not be empty; write it like q"):
        PlainDialect(["q", ""])
