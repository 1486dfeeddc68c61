"""Identifies an upstream's dialect from its answer to a probe; no I/O.

Evidence is: ``X-Elastic-Product``, ``tagline`` and refusals (Elasticsearch),
``version.distribution`` and the security plugin's messages (OpenSearch), the messages of
Meilisearch and Typesense, the page and the realm of Solr, the shape of Groonga's ``status``, and
the headers of Algolia. What any app could answer, such as ``{"ok": true}`` for its health or the
title of a page, is no evidence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

GUESSABLE = frozenset(
    ("algolia", "elasticsearch", "groonga", "meilisearch", "opensearch", "solr", "typesense")
)
"""The dialects that an answer can identify."""

PROBES = ("/", "/solr/", "/d/status", "/collections", "/version")
"""Paths to GET, in this order, until an answer identifies a dialect; each is cheap to answer."""

_MAX_BODY = 64 * 1024
_SOLR_PAGE = re.compile(rb"<title>\s*solr admin|ng-app=\"solrAdminApp\"", re.IGNORECASE)
_REALM = re.compile(rb"realm\s*=\s*\"?(?:(opensearch security|open distro security)|(solr))\b")
_NOT_INITIALIZED = (b"opensearch security not initialized", b"open distro security not initialized")


def guess_dialect(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> str | None:
    """Return the name of the dialect that an answer identifies, or ``None``.

    ``headers`` may be of any case. ``body`` is the uncompressed body or its beginning. Refusals
    (401, 403, 404) in the API's own words are evidence too. Never raises.
    """
    known = {name.lower(): value for name, value in headers}
    if known.get(b"x-elastic-product", b"").strip().lower() == b"elasticsearch":
        return "elasticsearch"
    if any(name.startswith(b"x-algolia-") for name in known):
        return "algolia"
    if status == 401 and (realm := _REALM.search(known.get(b"www-authenticate", b"").lower())):
        return "opensearch" if realm[1] else "solr"
    location = known.get(b"location", b"")
    if 300 <= status < 400 and re.search(rb"/solr/?(?:[#?]|$)", location):
        return "solr"
    body = body[:_MAX_BODY]
    if status == 200 and _SOLR_PAGE.search(body):
        return "solr"
    if status == 503 and body.lower().startswith(_NOT_INITIALIZED):
        return "opensearch"
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(answer, list):
        return _from_list(answer)
    return _from_object(status, answer) if isinstance(answer, dict) else None


def _from_list(answer: list[Any]) -> str | None:
    """Recognize Groonga: a head of return code and times, then the status."""
    state = answer[1] if len(answer) == 2 and isinstance(answer[1], dict) else {}
    return "groonga" if {"alloc_count", "starttime"} <= state.keys() else None


def _from_object(status: int, answer: dict[str, Any]) -> str | None:
    version, tagline = answer.get("version"), str(answer.get("tagline", ""))
    if isinstance(version, dict):
        if version.get("distribution") == "opensearch" or "OpenSearch" in tagline:
            return "opensearch"
        if "lucene_version" in version or "You Know, for Search" in tagline:
            return "elasticsearch"
    message = str(answer.get("message", answer.get("Message", "")))
    if "not authorized to perform: es:ESHttp" in message:  # by Amazon, for both engines
        return "opensearch"
    if status in (401, 403):
        error = answer.get("error")
        if isinstance(error, dict) and error.get("type") == "security_exception":
            return "elasticsearch"
        if "x-typesense-api-key" in message:
            return "typesense"
    if (
        answer.get("status") == "Meilisearch is running"
        or {"commitSha", "pkgVersion"} <= answer.keys()
    ):
        return "meilisearch"
    if "meilisearch" in str(answer.get("link", "")) and {"code", "type"} <= answer.keys():
        return "meilisearch"
    return None
