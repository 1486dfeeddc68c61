"""Guessing an upstream's dialect from its answer to a probe; asks nothing itself.

What tells: ``X-Elastic-Product`` and ``tagline`` (Elasticsearch), ``version.distribution``
(OpenSearch), the words of Meilisearch's, Typesense's and Solr's answers, the shape of
Groonga's ``status``, and the headers of Algolia.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

__all__ = ["PROBES", "guess_dialect"]

PROBES = ("/", "/health", "/solr/", "/d/status")
"""Targets to ask, in this order, until an answer tells; each is read-only and cheap."""

_MAX_BODY = 64 * 1024
_TITLES = (
    (re.compile(rb"<title>[^<]*meilisearch", re.IGNORECASE), "meilisearch"),
    (re.compile(rb"<title>[^<]*solr admin|ng-app=\"solrAdminApp\"", re.IGNORECASE), "solr"),
    (re.compile(rb"<title>[^<]*groonga", re.IGNORECASE), "groonga"),
    (re.compile(rb"x-typesense-api-key", re.IGNORECASE), "typesense"),
)


def guess_dialect(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> str | None:
    """Return the name of the dialect that an answer speaks, or ``None`` where it does not tell.

    ``headers`` may be of any case; ``body`` is the answer's, not compressed. Refusals
    (401, 403, 404) tell as well where they are in the API's own words. Never raises.
    """
    known = {name.lower(): value for name, value in headers}
    if known.get(b"x-elastic-product", b"").strip().lower() == b"elasticsearch":
        return "elasticsearch"
    if any(name.startswith(b"x-algolia-") for name in known):
        return "algolia"
    location = known.get(b"location", b"")
    if 300 <= status < 400 and re.search(rb"/solr/?(?:[#?]|$)", location):
        return "solr"
    body = body[:_MAX_BODY]
    for pattern, name in _TITLES:
        if pattern.search(body):
            return name
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return _of_json(status, said)


def _of_json(status: int, said: Any) -> str | None:
    if isinstance(said, list):  # [[return code, started, elapsed], {...}]
        state = said[1] if len(said) == 2 and isinstance(said[1], dict) else {}
        return "groonga" if {"alloc_count", "starttime"} <= state.keys() else None
    if not isinstance(said, dict):
        return None
    version, tagline = said.get("version"), str(said.get("tagline", ""))
    if isinstance(version, dict):
        if version.get("distribution") == "opensearch" or "OpenSearch" in tagline:
            return "opensearch"
        if "lucene_version" in version or "You Know, for Search" in tagline:
            return "elasticsearch"
    if "Meilisearch" in str(said.get("status", "")) or said == {"status": "available"}:
        return "meilisearch"
    if said.get("code") == "missing_authorization_header" and "link" in said:
        return "meilisearch"
    if status == 200 and said == {"ok": True}:
        return "typesense"
    return None
