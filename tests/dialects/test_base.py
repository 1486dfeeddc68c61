"""Edits, expansions and what a request says of itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from middleware import Expansion, Part, QuerySpan
from middleware.dialects.base import apply_edits

from .requests import QUICK, request


def span(part: Part, start: int, stop: int) -> QuerySpan:
    """Make a span that spells texts as they are."""
    return QuerySpan(part, start, stop, "old", str.encode)


def test_edits_are_put_in_place_whatever_their_order() -> None:
    """Spans are those of the request that came, not of one edited before."""
    found = request("POST", "/", b"q=old&z", b"<old><old>")
    edits = [
        (span(Part.BODY, 1, 4), "longer"),
        (span(Part.QUERY_STRING, 2, 5), "é"),
        (span(Part.BODY, 6, 9), ""),
    ]
    assert apply_edits(found, edits) == ("q=é&z".encode(), b"<longer><>")
    assert apply_edits(found, reversed(edits)) == ("q=é&z".encode(), b"<longer><>")


@QUICK
@given(st.binary(), st.binary())
def test_no_edits_change_nothing(query_string: bytes, body: bytes) -> None:
    """The bytes that came go on."""
    assert apply_edits(request("GET", "/", query_string, body), []) == (query_string, body)


def test_an_unread_body_is_empty() -> None:
    """A request without a body can be edited in its URL."""
    assert apply_edits(request("GET", "/", b"old"), [(span(Part.QUERY_STRING, 0, 3), "n")]) == (
        b"n",
        b"",
    )


def test_expanding_keeps_the_text() -> None:
    """The wider span is replaced, by the span's own text and the terms."""
    wide = Expansion(0, 5, lambda text, added: f"[{text}|{','.join(added)}]".encode())
    inner = QuerySpan(Part.BODY, 1, 4, "old", str.encode, expansion=wide)
    found = request("POST", "/", b"", b"<old>!")
    assert inner.expands
    assert apply_edits(found, [(inner.expanding(("a", "b")), "ignored")]) == (b"", b"[old|a,b]!")
    assert inner.expanding(()) is inner


def test_a_span_without_expansion_stays_itself() -> None:
    """The caller has to replace its text."""
    plain = span(Part.BODY, 0, 3)
    assert not plain.expands
    assert plain.expanding(("a",)) is plain


def test_media_type_and_headers() -> None:
    """Parameters and case do not count; the last of several headers does."""
    found = request("GET", "/", kind="Application/JSON ; charset=utf-8")
    assert found.media_type == "application/json"
    doubled = request("GET", "/", headers=((b"a", b"1"), (b"a", b"2")))
    assert doubled.header(b"a") == b"2"
    assert doubled.header(b"b") == b""
