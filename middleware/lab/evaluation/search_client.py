"""A running search API as the retriever: its own index and ranking are measured."""

from __future__ import annotations

import json
import re
import ssl
import string
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from ...errors import ConfigurationError, QueryliftError
from .retrieval import FETCHED, Hits

_PLACEHOLDER = "{query}"


class SearchClientError(QueryliftError):
    """The measured search API does not answer, or its answer cannot be read."""


@dataclass(frozen=True, slots=True)
class _Defaults:
    """An API's usual request, and the paths at which its answers hold the document ids."""

    body: Callable[[str], dict[str, Any]] | None
    ids: tuple[str, ...]
    parameter: str = "q"
    size: str = "size"


_APIS = {
    "plain": _Defaults(None, ("hits.*.id", "results.*.id", "hits.*._id", "*.id")),
    "elasticsearch": _Defaults(
        lambda text: {
            "size": FETCHED,
            "_source": False,
            "query": {"multi_match": {"query": text, "fields": ["title", "text"]}},
        },
        ("hits.hits.*._id",),
    ),
    "solr": _Defaults(None, ("response.docs.*.id",), size="rows"),
    "meilisearch": _Defaults(
        lambda text: {"q": text, "limit": FETCHED, "matchingStrategy": "frequency"},
        ("hits.*.id", "hits.*._id"),
    ),
    "typesense": _Defaults(None, ("hits.*.document.id",), size="per_page"),
    "algolia": _Defaults(
        lambda text: {"query": text, "hitsPerPage": FETCHED}, ("hits.*.objectID",)
    ),
}
_APIS["opensearch"] = _APIS["elasticsearch"]

DIALECTS = tuple(sorted(_APIS))
"""The APIs with a default request and default id paths."""


class SearchClient:
    """Searches over HTTP, with one request per query.

    A ``url`` with ``{query}`` in it is requested with GET; any other gets the dialect's own
    request. ``body`` is a JSON text with ``{query}`` in it and is sent with POST. ``ids`` is
    the dotted path to the document ids in the answer, best first (``hits.hits.*._id``).
    ``headers`` are sent with every request. ``timeout`` is in seconds, for connecting and for
    each read. The environment's proxy variables are ignored.

    Errors: the constructor raises ``ConfigurationError`` for a malformed URL, body or header.
    ``search`` raises ``SearchClientError``: a failed query must not count as one without hits.
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
        if body is not None and not _has_placeholder(body):
            raise ConfigurationError("upstream: the body must be JSON with {query} in a text")
        defaults = _APIS[dialect]
        self._template = None if body is None else json.loads(body)
        self._default_body = defaults.body if body is None and _PLACEHOLDER not in url else None
        if self._default_body is None and self._template is None and _PLACEHOLDER not in url:
            separator = "&" if "?" in url else "?"
            url = f"{url}{separator}{defaults.parameter}={_PLACEHOLDER}&{defaults.size}={FETCHED}"
        self._url = quote(url, safe=string.punctuation)
        self._id_paths = [path.split(".") for path in ([ids] if ids else defaults.ids)]
        # Bytes, as httpx takes text for ASCII.
        self._headers = {name.encode(): value.encode("latin-1") for name, value in headers}
        self._timeout = timeout
        self._client = httpx.Client(
            timeout=timeout,
            trust_env=False,
            follow_redirects=True,
            verify=ssl.create_default_context(),
            # No connection is left open that somebody would have to close.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def search(self, query: str) -> Hits:
        """Return the API's hits; the score of a hit is the inverse of its rank."""
        body = None
        if self._default_body is not None:
            body = self._default_body(query)
        elif self._template is not None:
            body = _filled(self._template, query)
        answer = self._request(self._url.replace(_PLACEHOLDER, quote(query, safe="")), body)
        ids = self._ids(answer)
        return [(found, 1.0 / rank) for rank, found in enumerate(ids[:FETCHED], 1)]

    def _request(self, url: str, body: Any) -> Any:
        """Return the JSON answer; no error message shows more of the URL than its location."""
        place = f"upstream: {self._location}"
        headers = httpx.Headers({"accept": "application/json"})
        headers.update(self._headers)
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = json.dumps(body).encode()
        try:
            response = self._client.request(
                "GET" if content is None else "POST", url, content=content, headers=headers
            )
        except httpx.TimeoutException:
            raise SearchClientError(f"{place} did not answer within {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SearchClientError(f"{place} is unreachable: {_reason(error)}") from None
        if not response.is_success:
            raise SearchClientError(f"{place} answered with status {response.status_code}")
        try:
            return json.loads(response.content)
        except (ValueError, RecursionError):
            raise SearchClientError(f"{place} did not answer with JSON") from None

    def _ids(self, answer: Any) -> list[str]:
        for path in self._id_paths:
            found = [str(value) for value in _values_at(answer, path) if value is not None]
            if found:
                return list(dict.fromkeys(found))
        if not any(_has_list(answer, path) for path in self._id_paths):
            shown = ", ".join(".".join(path) for path in self._id_paths)
            raise SearchClientError(f"upstream: the answer has no document ids at {shown}")
        return []


def location(url: str) -> str:
    """Return a URL's scheme, host, port and path, without its query, which may hold a key.

    Errors: ``ConfigurationError`` for anything but an http or https URL, and for a URL with a
    user and password. The message does not repeat the URL.
    """
    try:
        parts = urlsplit(url)
        # Reading the port checks it. A password may look like a wrong port.
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError("upstream: not an http or https URL (http://host:port/path)")
    if "@" in parts.netloc:
        raise ConfigurationError(
            "upstream: the URL has a user and password in it, which would end up in results; "
            "send them with --header 'Authorization: Basic …'"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def unjudged(found: Iterable[str], judged: Container[str], name: str) -> str:
    """Return a warning if none of the found ids is judged in collection ``name``, else ''."""
    first = ""
    for id_ in found:
        if id_ in judged:
            return ""
        first = first or id_
    problem = (
        f"none of the upstream's ids, such as {first!r}, is judged"
        if first
        else "the upstream found nothing"
    )
    return (
        f"{name}: {problem}, so that every figure is 0; --ids PATH says where its answers have ids"
    )


def _check_headers(headers: Sequence[tuple[str, str]]) -> None:
    """Refuse headers that the client would refuse later with a message that shows the value."""
    for name, value in headers:
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ConfigurationError(f"upstream: {name!r} is not the name of a header")
        if not re.fullmatch(r"[\t\x20-\x7e\x80-\xff]*", value):
            raise ConfigurationError(
                f"upstream: the header {name} has a character that no header may have"
            )


def _reason(error: Exception) -> str:
    """Return the operating system's words for an error where it has any, else the client's."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__
    return str(error)


def _has_placeholder(body: str) -> bool:
    try:
        return bool(_filled(json.loads(body), "x") != json.loads(body))
    except ValueError:
        return False


def _filled(template: Any, query: str) -> Any:
    """Return a copy of a JSON value with the query in the place of every placeholder."""
    if isinstance(template, str):
        return template.replace(_PLACEHOLDER, query)
    if isinstance(template, list):
        return [_filled(each, query) for each in template]
    if isinstance(template, dict):
        return {key: _filled(value, query) for key, value in template.items()}
    return template


def _values_at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """Yield the values at a dotted path, in which ``*`` stands for each item of a list."""
    if not path:
        yield value
    elif path[0] == "*":
        for each in value if isinstance(value, list) else ():
            yield from _values_at(each, path[1:])
    elif isinstance(value, dict) and path[0] in value:
        yield from _values_at(value[path[0]], path[1:])


def _has_list(answer: Any, path: Sequence[str]) -> bool:
    """Tell whether an answer has the list that a path goes through; the list may be empty."""
    stem = path[: path.index("*")] if "*" in path else path
    return any(isinstance(value, list) for value in _values_at(answer, stem))
