"""Algolia: ``query`` of ``/query``, ``/queries`` and facet searches, plain or in ``params``.

Browsing and ``deleteByQuery`` are no searches. A secured API key does not sign
the request, but its parameters override those of the request. A request is left alone if its key
sets a ``query``, or if a key with parameters is in the body.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from ..core.outcome import Reason
from .base import Part, QuerySpan, SearchRequest
from .expansion import in_place
from .jsonspans import JsonValue, MalformedError, Path, encode_json, items_of, read
from .layers import Layer, json_layer
from .operators import WORDS
from .repeats import kept_by, spelled
from .search_api import SearchApi, Texts, about, is_past_first, is_zero, json_span, param_span
from .urlencoded import Params, url_encoder

_INDEX = re.compile(r"/1/indexes/([^/]+)(/facets/)?")
_HITS = ("hitsPerPage", "length")
_FILTERS = ("filters", "facetFilters")
_SEARCHED = ("optionalWords", "similarQuery")  # what follows the query
_MOST_PACKED = 2000  # ampersands of packed parameters, or escapes, in a body
_SECURED = re.compile(rb"[0-9a-f]{64}")


class AlgoliaDialect(SearchApi):
    """Finds the texts of a search of Algolia; a body is JSON whatever its ``Content-Type``.

    The browser clients call it a form or plain text, to avoid a CORS preflight request.
    """

    name = "algolia"
    looks_for = ("query", "query, or query in params")
    paths = (
        *("/1/indexes/*", "/1/indexes/*/query", "/1/indexes/*/queries"),
        "/1/indexes/*/facets/*/query",
    )

    def reads(self, request: SearchRequest) -> bool:
        """Return whether the request has its search in the body."""
        return request.method == "POST" and request.path.rstrip("/").endswith(
            ("/query", "/queries")
        )

    def texts(
        self, request: SearchRequest, params: Params, body: bytes, repeated: Texts
    ) -> Iterator[QuerySpan]:
        """Yield the span of each query; for a GET, that of the parameter."""
        key = params.get("x-algolia-api-key") or ""
        header = request.header(b"x-algolia-api-key").decode("latin-1")
        fixed = any("query" in _restrictions(sent) for sent in (key, header))
        searches: list[_Search] = []
        index = _INDEX.match(request.path)
        place = index[1] if index else None
        if request.method == "GET":
            hits = map(params.get, _HITS)
            found = about(
                _param(params, Part.QUERY_STRING), [place], counts=any(map(is_zero, hits))
            )
        elif body:
            if max(map(body.count, (b"\\", b"&"))) > _MOST_PACKED:
                raise MalformedError("too much is packed in strings")
            root = read(body, _enter)
            fixed = fixed or bool(_restrictions(root.get("apiKey").text or "").data)
            many = request.path.rstrip("/").endswith("/queries")
            all_searches = root.get("requests").items if many else (root,)
            searches = [_Search.of(body, search) for search in all_searches]
            found = (
                span
                for search in searches
                if self._searches_prose(search.own)
                for span in about(
                    _body(search),
                    [search.own.get("indexName").text if many else place],
                    counts=bool(index and index[2]) or _counts(search),
                )
            )
        else:
            return
        for span in found:
            yield replace(span, skip=Reason.SIGNED) if fixed else span
        texts = repeated()
        if texts:
            yield from kept_by(_filters(params, body, searches), texts)
            for span in _repeating(params, searches):
                if span.text in texts:
                    yield replace(span, follows=True)

    def _searches_prose(self, search: JsonValue) -> bool:
        attributes = search.get("restrictSearchableAttributes")
        names = [name.text for name in items_of(attributes) if name.text]
        return not names or any(map(self.fields.of(), names))


class _Search(NamedTuple):
    """One search of a body, and the parameters that older clients pack in a string of it."""

    own: JsonValue
    packed: Params
    layer: Layer | None

    @classmethod
    def of(cls, body: bytes, own: JsonValue) -> _Search:
        """Return a search of a body. Errors: ``MalformedError``."""
        packed = own.get("params")
        if not packed.text:
            return cls(own, Params(b""), None)
        layer = json_layer(body, packed)
        return cls(own, Params(layer.data), layer)


def _filters(params: Params, body: bytes, searches: list[_Search]) -> Iterator[str | None]:
    """Yield the filters of all searches, also those among packed parameters."""
    for name in _FILTERS:
        yield params.get(name)
        for search in searches:
            yield spelled(body, search.own.get(name))
            yield search.packed.get(name)


def _repeating(params: Params, searches: list[_Search]) -> Iterator[QuerySpan]:
    """Yield the spans of what must follow the query."""
    for name in _SEARCHED:
        found = [param_span(Part.QUERY_STRING, params, name)]
        for search in searches:
            found.append(json_span(search.own.get(name)))
            span = param_span(Part.BODY, search.packed, name)
            if span is not None and search.layer is not None:
                found.append(search.layer.to_outer(span, Part.BODY))
        yield from (span for span in found if span is not None)


def _restrictions(key: str) -> Params:
    """Return the parameters of a secured API key: base64 of an HMAC-SHA256 and the parameters."""
    try:
        raw = b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return Params(b"")
    return Params(raw[64:] if _SECURED.match(raw) else b"")


def _enter(path: Path) -> bool:
    depth = 2 if path[:1] == ("requests",) else 0
    return len(path) <= depth or path[depth:] == ("restrictSearchableAttributes",)


def _is_paged(params: Params) -> bool:
    return is_past_first(params.get("page")) or is_past_first(params.get("offset"))


def _param(
    params: Params, part: Part, *, paged: bool = False, optional: bool = False
) -> Iterator[QuerySpan]:
    """Yield the span of ``query`` among URL-encoded parameters.

    ``paged`` and ``optional``: a later page and ``optionalWords`` are set outside of them.
    """
    span = param_span(part, params, "query", paged=paged or _is_paged(params))
    if span is None:
        return
    if not optional and "optionalWords" not in params:
        encode_list, encode = url_encoder(params.data[span.start : span.stop]), span.encode

        def encode_expanded(text: str, added: tuple[str, ...]) -> bytes:
            words = _words(added)
            optional = encode_list(_list(words).decode("utf-8"))
            return encode(f"{text} {' '.join(words)}") + b"&optionalWords=" + optional

        span.expansion = in_place(span, encode_expanded)
    yield span


def _counts(search: _Search) -> bool:
    """Return whether a search asks for values of a facet, or for no hits."""
    own, params = search.own, search.packed
    hits = [each for name in _HITS for each in (own.get(name).value, params.get(name))]
    return own.get("type").value == "facet" or any(map(is_zero, hits))


def _body(search: _Search) -> Iterator[QuerySpan]:
    """Yield the span of one search in a body: of ``query``, or of ``query`` in ``params``."""
    own, params, layer = search
    if own.get("type").value not in (None, "default", "facet"):
        return
    query = own.get("query")
    paged = any(is_past_first(own.get(name).value) for name in ("page", "offset"))
    optional = any(name == "optionalWords" for name, _ in own.members)
    if layer is not None and "query" in params:
        if query.value is not None:
            return  # there are two, and the API does not document which one counts
        for span in _param(params, Part.BODY, paged=paged, optional=optional):
            yield layer.to_outer(span, Part.BODY)
        return
    plain = json_span(query, paged=paged or _is_paged(params))
    if plain is not None:
        if not optional and "optionalWords" not in params:
            plain.expansion = in_place(plain, partial(_with_optional_words, plain.encode))
        yield plain


def _with_optional_words(
    encode: Callable[[str], bytes], text: str, added: tuple[str, ...]
) -> bytes:
    words = _words(added)
    return encode(f"{text} {' '.join(words)}") + b',"optionalWords":' + _list(words)


def _words(added: tuple[str, ...]) -> list[str]:
    return [word for term in added for word in WORDS.neutralize(term).split()]


def _list(words: list[str]) -> bytes:
    return b"[" + b",".join(map(encode_json, words)) + b"]"
