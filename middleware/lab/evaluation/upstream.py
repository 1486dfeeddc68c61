"""A running search backend as the retriever: its own index and ranking are measured."""

from __future__ import annotations

import json
import re
import string
import urllib.request
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit

from ...errors import ConfigurationError, QueryliftError
from .retrieval import FETCHED, Hits

__all__ = ["DIALECTS", "Upstream", "UpstreamError", "location", "unjudged"]

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
            "size": FETCHED,
            "_source": False,
            "query": {"multi_match": {"query": text, "fields": ["title", "text"]}},
        },
        ("hits.hits.*._id",),
    ),
    "solr": _Api(None, ("response.docs.*.id",), size="rows"),
    "meilisearch": _Api(
        lambda text: {"q": text, "limit": FETCHED, "matchingStrategy": "frequency"},
        ("hits.*.id", "hits.*._id"),
    ),
    "typesense": _Api(None, ("hits.*.document.id",), size="per_page"),
    "algolia": _Api(lambda text: {"query": text, "hitsPerPage": FETCHED}, ("hits.*.objectID",)),
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

    Errors: ``ConfigurationError`` for a malformed URL, body or path from the
    constructor; ``UpstreamError`` from a search: a measurement with holes is none.
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
        self._location = location(url)
        _check_headers(headers)
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
            joint = "&" if "?" in url else "?"
            url = f"{url}{joint}{api.parameter}={_PLACE}&{api.size}={FETCHED}"
        self._url = quote(url, safe=string.punctuation)
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
        answer = self._answer(urllib.request.Request(url, data, headers))
        ids = self._ids(answer)
        return [(found, 1.0 / rank) for rank, found in enumerate(ids[:FETCHED], 1)]

    def _answer(self, request: urllib.request.Request) -> Any:
        """Return what a request is answered with; no message repeats more than the location."""
        told = f"upstream: {self._location}"
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                content = response.read()
        except HTTPError as error:
            with error:
                raise UpstreamError(f"{told} answered with status {error.code}") from None
        except (OSError, HTTPException) as error:
            reason = error.reason if isinstance(error, URLError) else error
            if isinstance(reason, TimeoutError):
                raise UpstreamError(f"{told} did not answer within {self._timeout:g} s") from None
            raise UpstreamError(
                f"{told} is unreachable: {getattr(reason, 'strerror', None) or reason}"
            ) from None
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise UpstreamError(f"{told} did not answer with JSON") from None

    def _ids(self, answer: Any) -> list[str]:
        for path in self._paths:
            found = [str(value) for value in _follow(answer, path) if value is not None]
            if found:
                return list(dict.fromkeys(found))
        if not any(_reaches(answer, path) for path in self._paths):
            shown = ", ".join(".".join(path) for path in self._paths)
            raise UpstreamError(f"upstream: the answer has no document ids at {shown}")
        return []


def location(url: str) -> str:
    """Return a URL's scheme, host, port and path: a query may hold a key that nobody should see.

    Errors: ``ConfigurationError`` for what is no such URL or has a user and password in
    it; neither repeats the URL.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        # The port is only read where it is asked for, and a password may look like a wrong one.
        usable = usable and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError("upstream: that is no http or https URL (http://host:port/path)")
    if "@" in parts.netloc:
        raise ConfigurationError(
            "upstream: the URL has a user and password in it, which would end up in results; "
            "send them with --header 'Authorization: Basic …'"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def unjudged(found: Iterable[str], judged: Container[str], name: str) -> str:
    """Return a warning where no found id is among a collection's judged ones, else nothing."""
    first = ""
    for id_ in found:
        if id_ in judged:
            return ""
        first = first or id_
    told = (
        f"none of the upstream's ids, such as {first!r}, is judged"
        if first
        else "the upstream found nothing"
    )
    return f"{name}: {told}, so that every figure is 0; --ids PATH says where its answers have ids"


def _check_headers(headers: Sequence[tuple[str, str]]) -> None:
    """Refuse what the client would refuse later, in messages that show the value."""
    for name, value in headers:
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ConfigurationError(f"upstream: {name!r} is no name of a header")
        if not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value):
            raise ConfigurationError(f"upstream: the header {name} has a sign that none may have")


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
