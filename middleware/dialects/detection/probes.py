"""Guessing an upstream's dialect from its answer to a probe; asks nothing itself.

What tells: ``X-Elastic-Product``, ``tagline`` and refusals (Elasticsearch),
``version.distribution`` and the security plugin's words (OpenSearch), the words of Meilisearch's
and Typesense's answers, the page and the realm of Solr, the shape of Groonga's ``status``, and
the headers of Algolia. What an app of the user's own could say as well, such as ``{"ok": true}``
for its health or a page's title, does not tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

__all__ = ["GUESSABLE", "PROBES", "guess_dialect"]

GUESSABLE = frozenset(
    ("algolia", "elasticsearch", "groonga", "meilisearch", "opensearch", "solr", "typesense")
)
"""The dialects that an answer can tell."""

PROBES = ("/", "/solr/", "/d/status", "/collections", "/version")
"""Targets to GET, in this order, until an answer tells; each is read-only and cheap."""

_MAX_BODY = 64 * 1024
_SOLR_PAGE = re.compile(rb"<title>\s*solr admin|ng-app=\"solrAdminApp\"", re.IGNORECASE)
_REALM = re.compile(rb"realm\s*=\s*\"?(?:(opensearch security|open distro security)|(solr))\b")
_NOT_INITIALIZED = (b"opensearch security not initialized", b"open distro security not initialized")


def guess_dialect(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> str | None:
    """Return the name of the dialect that an answer speaks, or ``None`` where it does not tell.

    ``headers`` may be of any case; ``body`` is the answer's, not compressed, or its beginning.
    Refusals (401, 403, 404) tell as well where they are in the API's own words. Never raises.
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
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if isinstance(said, list):
        return _of_list(said)
    return _of_object(status, said) if isinstance(said, dict) else None


def _of_list(said: list[Any]) -> str | None:
    """Look for what Groonga answers: a head of return code and times, and the status."""
    state = said[1] if len(said) == 2 and isinstance(said[1], dict) else {}
    return "groonga" if {"alloc_count", "starttime"} <= state.keys() else None


def _of_object(status: int, said: dict[str, Any]) -> str | None:
    version, tagline = said.get("version"), str(said.get("tagline", ""))
    if isinstance(version, dict):
        if version.get("distribution") == "opensearch" or "OpenSearch" in tagline:
            return "opensearch"
        if "lucene_version" in version or "You Know, for Search" in tagline:
            return "elasticsearch"
    message = str(said.get("message", said.get("Message", "")))
    if "not authorized to perform: es:ESHttp" in message:  # Amazon's, of either engine
        return "opensearch"
    if status in (401, 403):
        error = said.get("error")
        if isinstance(error, dict) and error.get("type") == "security_exception":
            return "elasticsearch"
        if "x-typesense-api-key" in message:
            return "typesense"
    if said.get("status") == "Meilisearch is running" or {"commitSha", "pkgVersion"} <= said.keys():
        return "meilisearch"
    if "meilisearch" in str(said.get("link", "")) and {"code", "type"} <= said.keys():
        return "meilisearch"
    return None
