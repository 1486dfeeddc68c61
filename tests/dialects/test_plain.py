"""The plain dialect: parameters, form fields and pointers."""

from __future__ import annotations

import pytest

from middleware.core.outcome import Reason
from middleware.dialects.base import apply_edits
from middleware.dialects.plain import PlainDialect
from middleware.errors import ConfigurationError

from .requests import FORM, request


def test_names_and_pointers_are_found_in_url_form_and_json() -> None:
    """Each value is a text of its own."""
    dialect = PlainDialect(["q", "s"], ["/query", "/a/0/b"])
    form = request("POST", "/", b"q=one&x=2", b"s=two&q=three", f"{FORM};charset=UTF-8")
    assert [slot.text for slot in dialect.slots(form)] == ["one", "two", "three"]
    body = b'{"a":[{"b":"x y"}],"query":"z"}'
    for kind in ("application/json", "application/problem+json", "text/json; charset=utf-8"):
        found = dialect.slots(request("POST", "/", b"", body, kind))
        assert [slot.text for slot in found] == ["x y", "z"]


@pytest.mark.parametrize("kind", ["text/plain", "", "multipart/form-data", "application/cbor"])
def test_other_bodies_are_left_alone(kind: str) -> None:
    """They are not even asked for."""
    dialect = PlainDialect(pointers=["/query"])
    found = request("POST", "/", b"", b'{"query":"a b"}', kind)
    assert not dialect.wants_body(found)
    assert not dialect.slots(found)


def test_a_form_in_another_encoding_is_left_alone() -> None:
    """What would be written into it is UTF-8."""
    found = request("POST", "/", b"", b"q=a+b", f"{FORM}; charset=iso-8859-1")
    assert not PlainDialect().slots(found)


def test_bodies_are_wanted_only_where_a_text_can_be() -> None:
    """Pointers are for JSON, names for forms."""
    assert not PlainDialect().wants_body(request("POST", "/"))
    assert PlainDialect().wants_body(request("POST", "/", kind=FORM))
    assert PlainDialect((), ["/q"]).wants_body(request("POST", "/"))
    assert not PlainDialect((), ["/q"]).wants_body(request("POST", "/", kind=FORM))


def test_a_digest_of_the_body_signs_the_body_alone() -> None:
    """The URL's text may be rewritten, the form's may not."""
    found = request("POST", "/", b"q=a", b"q=b", FORM, ((b"content-digest", b"sha-256=:x:"),))
    skips = [(slot.text, slot.skip) for slot in PlainDialect().slots(found)]
    assert skips == [("a", None), ("b", Reason.SIGNED)]


def test_added_terms_stand_after_the_text() -> None:
    """An unknown API has no other way to be told."""
    found = request("GET", "/", b"q=red+shoes&x")
    [slot] = PlainDialect().slots(found)
    after, _ = apply_edits(found, [(slot.expanding(("boots", "é&")), "")])
    assert after == b"q=red+shoes+boots+%C3%A9%26&x"


def test_no_more_than_the_bound_is_given() -> None:
    """A hundred values are no hundred rewrites."""
    assert len(PlainDialect().slots(request("GET", "/", b"&".join([b"q=a"] * 100)))) == 16


def test_wrong_settings_are_told_at_once() -> None:
    """Nothing to look for, or a pointer that is none."""
    with pytest.raises(ConfigurationError, match="needs the name"):
        PlainDialect((), ())
    with pytest.raises(ConfigurationError, match="query"):
        PlainDialect(pointers=["query"])
