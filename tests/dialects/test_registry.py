"""Dialects by name, signatures, and what an upstream's answer tells."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.dialects import registry
from middleware.dialects.base import Part
from middleware.dialects.detection.probes import guess_dialect
from middleware.dialects.plain import PlainDialect
from middleware.dialects.registry import default_paths, dialect_names, load_dialect
from middleware.dialects.signing import signed_parts
from middleware.errors import ConfigurationError

from .requests import QUICK, request


@pytest.mark.parametrize("name", dialect_names())
def test_each_name_is_the_dialects_own(name: str) -> None:
    """What settings say is what it calls itself."""
    assert load_dialect(name).name == name


def test_options_are_the_dialects_own() -> None:
    """They are checked when it is made."""
    plain = load_dialect("plain", params=["s"], pointers=["/a"])
    assert isinstance(plain, PlainDialect)
    assert plain.params == {"s"}
    with pytest.raises(ConfigurationError, match="solr"):
        load_dialect("solr", colour="red")
    with pytest.raises(ConfigurationError, match="start with"):
        load_dialect("solr", paths=["select"])


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    """The word to write is among them."""
    with pytest.raises(ConfigurationError, match=r"'elastic'.*elasticsearch.*typesense"):
        load_dialect("elastic")


class Own(PlainDialect):
    """A dialect of a user's own."""

    name = "own"
    paths = ("/find",)


def test_entry_points_offer_dialects(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installed package would."""
    own = EntryPoint("own", f"{__name__}:Own", registry.ENTRY_POINTS)
    wrong = EntryPoint("wrong", "builtins:dict", registry.ENTRY_POINTS)

    def installed(group: str, name: str | None = None) -> list[EntryPoint]:
        assert group == registry.ENTRY_POINTS
        return [point for point in (own, wrong) if name in (None, point.name)]

    monkeypatch.setattr(registry, "entry_points", installed)
    dialect = load_dialect("own", params=["find"])
    assert default_paths(dialect) == ("/find",)
    assert [span.text for span in dialect.spans(request("GET", "/find", b"find=a"))] == ["a"]
    assert "own" in dialect_names()
    with pytest.raises(ConfigurationError, match="no spans"):
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


ELASTIC = {"version": {"number": "8.1.0", "lucene_version": "9"}, "tagline": "You Know, for Search"}
ELASTIC_REFUSAL = {
    "error": {"root_cause": [{"type": "security_exception"}], "type": "security_exception"},
    "status": 401,
}
MEILI_REFUSAL = {
    "message": "no header",
    "code": "missing_authorization_header",
    "type": "auth",
    "link": "https://docs.meilisearch.com/errors#missing_authorization_header",
}
OPEN = {
    "version": {"distribution": "opensearch", "lucene_version": "9"},
    "tagline": "The OpenSearch",
}


@pytest.mark.parametrize(
    ("status", "headers", "said", "name"),
    [
        (200, {"X-Elastic-Product": "Elasticsearch"}, {}, "elasticsearch"),
        (401, {"x-elastic-product": "Elasticsearch"}, {"error": {}}, "elasticsearch"),
        (200, {}, ELASTIC, "elasticsearch"),
        (200, {}, OPEN, "opensearch"),
        (200, {}, {"status": "Meilisearch is running"}, "meilisearch"),
        (200, {}, {"commitSha": "a", "commitDate": "b", "pkgVersion": "1.9.0"}, "meilisearch"),
        (401, {}, MEILI_REFUSAL, "meilisearch"),
        (401, {}, {"message": "a valid `x-typesense-api-key` header must be sent."}, "typesense"),
        (302, {"Location": "http://h:8983/solr/"}, "", "solr"),
        (200, {}, '<html ng-app="solrAdminApp">', "solr"),
        (200, {}, [[0, 1, 2], {"alloc_count": 1, "starttime": 2}], "groonga"),
        (404, {"X-Algolia-Foo": "1"}, {}, "algolia"),
        (401, {}, ELASTIC_REFUSAL, "elasticsearch"),
        (401, {"WWW-Authenticate": 'Basic realm="OpenSearch Security"'}, "", "opensearch"),
        (401, {"www-authenticate": 'Basic realm="solr"'}, "<html>", "solr"),
        (503, {}, "OpenSearch Security not initialized.", "opensearch"),
        (503, {"X-Elastic-Product": "Elasticsearch"}, {}, "elasticsearch"),
        (403, {}, {"Message": "User: a is not authorized to perform: es:ESHttpGet"}, "opensearch"),
        # What an app of the user's own may say as well.
        (200, {}, {"ok": True}, None),
        (200, {}, {"status": "available"}, None),
        (200, {}, "<title>Meilisearch by example</title>", None),
        (200, {}, "<title>All about Groonga</title>", None),
        (200, {}, "<script>headers['x-typesense-api-key']</script>", None),
        (200, {}, {"message": "send x-typesense-api-key"}, None),
        (200, {}, {"version": {"number": "1.0"}}, None),
        (401, {"WWW-Authenticate": 'Basic realm="solar system"'}, "", None),
        (401, {}, {"error": "login first"}, None),
        (200, {}, {}, None),
        (200, {}, [], None),
        (302, {"Location": "/solrless"}, "", None),
        (200, {}, "<title>nginx</title>", None),
        (503, {}, "null", None),
    ],
)
def test_guesses(status: int, headers: dict[str, str], said: Any, name: str | None) -> None:
    """From headers, words and shapes; nothing from what does not tell."""
    body = said if isinstance(said, str) else json.dumps(said)
    lines = [(key.encode(), value.encode()) for key, value in headers.items()]
    assert guess_dialect(status, lines, body.encode()) == name


@QUICK
@given(st.integers(100, 599), st.lists(st.tuples(st.binary(), st.binary())), st.binary())
def test_any_answer_can_be_looked_at(
    status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """No answer is a fault."""
    assert guess_dialect(status, headers, body) in (None, *dialect_names())
    assert guess_dialect(status, headers, b"[" * 100_000) in (None, *dialect_names())
