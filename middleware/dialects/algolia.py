"""Algolia: ``query`` of ``/query`` and ``/queries``, plain or in URL-encoded ``params``.

Browsing, facet searches and ``deleteByQuery`` are no searches. A secured API key does not
sign the request, but what it holds wins over what the request says: where the key
fixes a ``query``, and where it travels in the body, the request is left alone.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace

from ..core.outcome import Reason
from .base import Part, QuerySpan, SearchRequest
from .expansion import respelled
from .jsonspans import JsonValue, Path, encode_json, read
from .layers import json_layer
from .operators import WORDS
from .search_api import SearchApi, is_later, json_slot, param_slot
from .urlencoded import Params, speller

__all__ = ["AlgoliaDialect"]

_SECURED = re.compile(rb"[0-9a-f]{64}")


class AlgoliaDialect(SearchApi):
    """Finds the texts of a search of Algolia; a body is JSON whatever it is labelled.

    The browser clients label it a form or plain text, to be spared a pre-flight request.
    """

    name = "algolia"
    paths = ("/1/indexes/*", "/1/indexes/*/query", "/1/indexes/*/queries")

    def reads(self, request: SearchRequest) -> bool:
        """Tell whether the request is one with its search in the body."""
        return request.method == "POST" and request.path.rstrip("/").endswith(
            ("/query", "/queries")
        )

    def texts(self, request: SearchRequest, params: Params, body: bytes) -> Iterator[QuerySpan]:
        """Yield the slots of each query; for a GET, that of the parameter."""
        key = params.get("x-algolia-api-key") or ""
        header = request.header(b"x-algolia-api-key").decode("latin-1")
        fixed = any("query" in _restrictions(said) for said in (key, header))
        if request.method == "GET":
            found = _encoded(params, Part.QUERY_STRING)
        elif body:
            root = read(body, _enter)
            fixed = fixed or bool(_restrictions(root.get("apiKey").text or "").data)
            many = request.path.rstrip("/").endswith("/queries")
            searches = root.get("requests").items if many else (root,)
            found = (span for search in searches for span in _body(body, search))
        else:
            return
        for span in found:
            yield replace(span, skip=Reason.SIGNED) if fixed else span


def _restrictions(key: str) -> Params:
    """Return what a secured API key (base64 of an HMAC-SHA256 and parameters) restricts."""
    try:
        raw = b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return Params(b"")
    return Params(raw[64:] if _SECURED.match(raw) else b"")


def _enter(path: Path) -> bool:
    return not path or (path[0] == "requests" and len(path) < 3)


def _is_later(params: Params) -> bool:
    return is_later(params.get("page")) or is_later(params.get("offset"))


def _encoded(
    params: Params, part: Part, *, later: bool = False, optional: bool = False
) -> Iterator[QuerySpan]:
    """Yield the slot of ``query`` among URL-encoded parameters.

    ``later`` and ``optional`` are whether a page and ``optionalWords`` are said beside them.
    """
    span = param_slot(part, params, "query", later=later or _is_later(params))
    if span is None:
        return
    if not optional and "optionalWords" not in params:
        outer, inner = speller(params.data[span.start : span.stop]), span.encode

        def write(text: str, added: tuple[str, ...]) -> bytes:
            words = _words(added)
            optional = outer(_list(words).decode("utf-8"))
            return inner(f"{text} {' '.join(words)}") + b"&optionalWords=" + optional

        span = replace(span, expansion=respelled(span, write))
    yield span


def _body(body: bytes, search: JsonValue) -> Iterator[QuerySpan]:
    """Yield the slot of one search in a body, said plainly or in ``params``."""
    if search.get("type").value not in (None, "default"):
        return  # a search for values of a facet
    query, packed = search.get("query"), search.get("params")
    params, layer = Params(b""), None
    if packed.text:  # older clients say the query plainly and the rest packed
        layer = json_layer(body, packed)
        params = Params(layer.data)
    later = any(is_later(search.get(name).value) for name in ("page", "offset"))
    optional = any(name == "optionalWords" for name, _ in search.members)
    if layer is not None and "query" in params:
        if query.value is not None:
            return  # said twice: which one counts is not told
        for span in _encoded(params, Part.BODY, later=later, optional=optional):
            yield layer.to_outer(span, Part.BODY)
        return
    plain = json_slot(query, later=later or _is_later(params))
    if plain is not None:
        if not optional and "optionalWords" not in params:
            plain = replace(plain, expansion=respelled(plain, _optional(plain.encode)))
        yield plain


def _optional(encode: Callable[[str], bytes]) -> Callable[[str, tuple[str, ...]], bytes]:
    def write(text: str, added: tuple[str, ...]) -> bytes:
        words = _words(added)
        return encode(f"{text} {' '.join(words)}") + b',"optionalWords":' + _list(words)

    return write


def _words(added: tuple[str, ...]) -> list[str]:
    return [word for term in added for word in WORDS.words(term).split()]


def _list(words: list[str]) -> bytes:
    return b"[" + b",".join(map(encode_json, words)) + b"]"
