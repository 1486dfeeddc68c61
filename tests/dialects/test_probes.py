"""Which dialect an upstream's answer to a probe identifies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.dialects.detection.probes import guess_dialect
from middleware.dialects.registry import dialect_names

from .requests import QUICK

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
    ("status", "headers", "answer", "name"),
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
        # What any app may answer as well.
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
def test_guesses(status: int, headers: dict[str, str], answer: Any, name: str | None) -> None:
    """Headers, messages and shapes are evidence; what any app may answer is not."""
    body = answer if isinstance(answer, str) else json.dumps(answer)
    lines = [(key.encode(), value.encode()) for key, value in headers.items()]
    assert guess_dialect(status, lines, body.encode()) == name


@QUICK
@given(st.integers(100, 599), st.lists(st.tuples(st.binary(), st.binary())), st.binary())
def test_no_answer_raises(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    assert guess_dialect(status, headers, body) in (None, *dialect_names())
    assert guess_dialect(status, headers, b"[" * 100_000) in (None, *dialect_names())
