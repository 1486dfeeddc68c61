"""A running search backend as the retriever: its own index and ranking are measured."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from middleware.errors import ConfigurationError, QueryliftError

from .retrieval import DEPTH, Hits

__all__ = ["DIALECTS", "Upstream", "UpstreamError"]

_PLACE = "{query}"


class UpstreamError(QueryliftError):
    """The search backend that is measured cannot be asked, or its answer cannot be read."""


@dataclass(frozen=True, slots=True)
class _Api:
    """How an API is asked when the URL says no more, and where its answers have the ids."""

    body: Callable[[str], dict[str, Any]] | None
    ids: tuple[str, ...]
    parameter: str = "q"
    size: str = "size"


_APIS = {
    "plain": _Api(None, ("hits.*.id", "results.*.id", "hits.*._id", "*.id")),
    "elasticsearch": _Api(
        lambda text: {
            "size": DEPTH,
            "_source": False,
            "query": {"multi_match": {"query": text, "fields": ["title", "text"]}},
        },
        ("hits.hits.*._id",),
    ),
    "solr": _Api(None, ("response.docs.*.id",), size="rows"),
    "meilisearch": _Api(
        lambda text: {"q": text, "limit": DEPTH, "matchingStrategy": "frequency"},
        ("hits.*.id", "hits.*._id"),
    ),
    "typesense": _Api(None, ("hits.*.document.id",), size="per_page"),
    "algolia": _Api(lambda text: {"query": text, "hitsPerPage": DEPTH}, ("hits.*.objectID",)),
}
_APIS["opensearch"] = _APIS["elasticsearch"]

DIALECTS = tuple(sorted(_APIS))
"""The APIs whose requests and answers are known without being told."""


class Upstream:
    """Asks a search API over HTTP, one request a query.

    ``url`` is asked with GET where it holds ``{query}``; else the dialect's own request is
    made. ``body`` is a JSON text with ``{query}`` in it, sent with POST. ``ids`` is the dotted
    path to the document ids in the answer (``hits.hits.*._id``), best first; ``headers`` go
    with every request. Proxy variables of the environment are ignored.

    Errors: :class:`ConfigurationError` for a malformed URL, body or path from the
    constructor; :class:`UpstreamError` from a search: a measurement with holes is none.
    """

    def __init__(
        self,
        url: str,
        *,
        dialect: str = "plain",
        body: str | None = None,
        ids: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        timeout: float = 30.0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"upstream: {url!r} is no http or https URL")
        if dialect not in _APIS:
            raise ConfigurationError(
                f"upstream: dialect {dialect!r} is none of {', '.join(DIALECTS)}"
            )
        if body is not None and not _holds_place(body):
            raise ConfigurationError("upstream: the body must be JSON with {query} in a text")
        api = _APIS[dialect]
        self._template = None if body is None else json.loads(body)
        self._make_body = api.body if body is None and _PLACE not in url else None
        if self._make_body is None and self._template is None and _PLACE not in url:
            joint = "&" if parts.query else "?"
            url = f"{url}{joint}{api.parameter}={_PLACE}&{api.size}={DEPTH}"
        self._url = url
        self._paths = [path.split(".") for path in ([ids] if ids else api.ids)]
        self._headers = dict(headers)
        self._timeout = timeout
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def search(self, query: str) -> Hits:
        """Return what the upstream answers; a hit's score is the inverse of its rank."""
        url = self._url.replace(_PLACE, quote(query, safe=""))
        headers = {"accept": "application/json", **self._headers}
        data = None
        if self._template is not None or self._make_body is not None:
            content = (
                _filled(self._template, query)
                if self._make_body is None
                else self._make_body(query)
            )
            data = json.dumps(content).encode()
            headers["content-type"] = "application/json"
        request = urllib.request.Request(url, data, headers)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                answer = json.load(response)
        except (OSError, ValueError) as error:
            raise UpstreamError(f"upstream: {url} did not answer with JSON: {error}") from error
        ids = self._ids(answer)
        return [(found, 1.0 / rank) for rank, found in enumerate(ids[:DEPTH], 1)]

    def _ids(self, answer: Any) -> list[str]:
        for path in self._paths:
            found = [str(value) for value in _follow(answer, path) if value is not None]
            if found:
                return list(dict.fromkeys(found))
        if not any(_reaches(answer, path) for path in self._paths):
            shown = ", ".join(".".join(path) for path in self._paths)
            raise UpstreamError(f"upstream: the answer has no document ids at {shown}")
        return []


def _holds_place(body: str) -> bool:
    try:
        return bool(_filled(json.loads(body), "x") != json.loads(body))
    except ValueError:
        return False


def _filled(template: Any, query: str) -> Any:
    if isinstance(template, str):
        return template.replace(_PLACE, query)
    if isinstance(template, list):
        return [_filled(each, query) for each in template]
    if isinstance(template, dict):
        return {key: _filled(value, query) for key, value in template.items()}
    return template


def _follow(value: Any, path: Sequence[str]) -> Iterator[Any]:
    if not path:
        yield value
    elif path[0] == "*":
        for each in value if isinstance(value, list) else ():
            yield from _follow(each, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from _follow(value[path[0]], path[1:])


def _reaches(answer: Any, path: Sequence[str]) -> bool:
    """Tell whether the list that a path goes through is there; it may be empty."""
    stem = path[: path.index("*")] if "*" in path else path
    return any(isinstance(value, list) for value in _follow(answer, stem))
