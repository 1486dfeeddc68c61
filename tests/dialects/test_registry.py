"""Dialects by name, and the parts of a request that a signature covers."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from middleware import ConfigurationError, Part, PlainDialect
from middleware.dialects import registry
from middleware.dialects.registry import dialect_names, load_dialect
from middleware.dialects.signing import signed_parts

from .requests import request


@pytest.mark.parametrize("name", dialect_names())
def test_each_name_is_the_dialects_own(name: str) -> None:
    """Settings select a dialect by its own name."""
    assert load_dialect(name).name == name


def test_options_are_those_of_the_dialect() -> None:
    """The constructor checks them."""
    plain = load_dialect("plain", params=["s"], pointers=["/a"])
    assert isinstance(plain, PlainDialect)
    assert plain.params == {"s"}
    with pytest.raises(ConfigurationError, match="solr"):
        load_dialect("solr", colour="red")
    with pytest.raises(ConfigurationError, match="start with"):
        load_dialect("solr", paths=["select"])


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'elastic'.*elasticsearch.*typesense"):
        load_dialect("elastic")


class Own(PlainDialect):
    """A user's own dialect."""

    name = "own"
    paths = ("/find",)


def test_entry_points_register_dialects(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installed package would."""
    own = EntryPoint("own", f"{__name__}:Own", registry.ENTRY_POINTS)
    wrong = EntryPoint("wrong", "builtins:dict", registry.ENTRY_POINTS)

    def installed(group: str, name: str | None = None) -> list[EntryPoint]:
        assert group == registry.ENTRY_POINTS
        return [point for point in (own, wrong) if name in (None, point.name)]

    monkeypatch.setattr(registry, "entry_points", installed)
    dialect = load_dialect("own", params=["find"])
    assert dialect.paths == ("/find",)
    assert [span.text for span in dialect.spans(request("GET", "/find", b"find=a"))] == ["a"]
    assert "own" in dialect_names()
    with pytest.raises(ConfigurationError, match="dict is not a subclass of Dialect"):
        load_dialect("wrong")


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ((b"authorization", b"AWS4-HMAC-SHA256 Credential=x"), set(Part)),
        ((b"authorization", b"AWS4-ECDSA-P256-SHA256 Credential=x"), set(Part)),
        ((b"authorization", b'OAuth oauth_signature="x"'), set(Part)),
        ((b"signature-input", b'sig1=("@query")'), set(Part)),
        ((b"content-digest", b"sha-256=:x:"), {Part.BODY}),
        ((b"content-md5", b"x"), {Part.BODY}),
        ((b"authorization", b"Bearer x"), set()),
        ((b"authorization", b"ApiKey aws4-"), set()),
    ],
)
def test_signatures(line: tuple[bytes, bytes], parts: set[Part]) -> None:
    """Those over the request, and those over its body alone."""
    assert signed_parts(request("GET", "/", headers=(line,))) == parts


def test_presigned_urls() -> None:
    """The signature is a parameter."""
    assert signed_parts(request("GET", "/", b"q=a&X-Amz-Signature=00")) == set(Part)
    assert not signed_parts(request("GET", "/", b"q=signature+of+x"))
