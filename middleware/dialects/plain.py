"""The plain dialect: a text in a URL parameter, a form field, or at a JSON pointer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

from ..core.outcome import Reason
from ..errors import ConfigurationError
from .base import MAX_SPANS, Part, QuerySpan, SearchRequest
from .expansion import respelled
from .jsonspans import JsonValue, MalformedError, find, parse_pointer, read
from .search_api import is_encoded, is_form, is_json, json_slot
from .signing import signed_parts
from .urlencoded import FORM, url_text, value_slots, values

__all__ = ["PAGES", "PlainDialect"]

PAGES = ("page", "start", "offset")
"""Names by which most APIs of their own ask for a later page."""


class PlainDialect:
    """Finds texts by name: any API that says its query as ``?q=``, in a form or in JSON.

    ``params`` are names of URL parameters and form fields, ``pointers`` are JSON pointers
    (RFC 6901) into bodies of a JSON media type. Where a name occurs more than once, each
    value is a text of its own. Paths that end in an underscore and an order, such as
    ``_delete_by_query``, have none. Bodies with a ``Content-Encoding``, and parts of a request
    that a signature covers, are left alone.

    ``pages`` are names of what asks for a later page by a number, in the URL, in a form or at the
    top of a JSON body: above 1 for a name with ``page`` in it, above 0 for any other. What is
    no number asks for none. Without names each request is a search of its own.

    Errors: ``ConfigurationError`` for a malformed pointer, and when neither is given.
    """

    name = "plain"
    paths = ("/**",)

    def __init__(
        self,
        params: Iterable[str] = ("q",),
        pointers: Iterable[str] = (),
        pages: Iterable[str] = PAGES,
    ) -> None:
        self.params = frozenset(params)
        self._pages = frozenset(pages)
        self.pages = bool(self._pages)
        self._pointers = frozenset(parse_pointer(pointer) for pointer in pointers)
        self._above = {p[:depth] for p in self._pointers for depth in range(len(p))}
        if not self.params and not self._pointers:
            raise ConfigurationError(
                "the plain dialect needs the name of a parameter or a JSON pointer"
            )

    def wants_body(self, request: SearchRequest) -> bool:
        """Tell whether the media type is one in which a text is looked for."""
        if is_encoded(request) or _is_verb(request.path):
            return False
        if request.media_type == FORM:
            return bool(self.params) and is_form(request)
        return bool(self._pointers) and is_json(request.media_type)

    def spans(self, request: SearchRequest) -> Sequence[QuerySpan]:
        """Return the texts in the query string and in the body."""
        if _is_verb(request.path):
            return ()
        spans, later = self._in_query_string(request.query_string)
        found = list(spans)
        if request.body and self.wants_body(request):
            if request.media_type == FORM:
                found += _expanding(value_slots(Part.BODY, request.body, self.params))
                later = later or _asks_for_later(request.body, self._pages)
            else:
                found += _expanding(self._json_spans(request.body))
                later = later or (bool(found) and self._json_later(request.body))
        if not found:
            return found
        signed = signed_parts(request)
        if not signed and not later:
            return found[:MAX_SPANS]
        return [_left_alone(span, span.part in signed, later) for span in found[:MAX_SPANS]]

    def _in_query_string(self, query_string: bytes) -> tuple[Sequence[QuerySpan], bool]:
        if len(query_string) > _REMEMBERED_LENGTH:
            return _found(query_string, self.params, self._pages)
        return _remembered(query_string, self.params, self._pages)

    def _json_spans(self, body: bytes) -> list[QuerySpan]:
        strings = find(body, self._pointers.__contains__, self._above.__contains__)
        spans = (json_slot(JsonValue(s.start, s.stop, s.text), language=None) for s in strings)
        return [span for span in spans if span is not None]

    def _json_later(self, body: bytes) -> bool:
        if not any(name.encode() in body for name in self._pages):
            return False
        try:
            members = read(body, lambda path: not path).members
        except MalformedError:
            return False
        return any(
            name in self._pages and _is_later(name, value.value)
            for name, value in members
            if isinstance(value.value, str | int | float)
        )


def _is_verb(path: str) -> bool:
    """Tell whether a path ends in what some search API does instead of searching.

    The name of the API may not be known, and ``/_delete_by_query?q=`` deletes what ``q`` finds.
    """
    if "/_" not in path:
        return False
    last = path.rstrip("/").rpartition("/")[2]
    return last.startswith("_") and last not in _SEARCHES


_SEARCHES = frozenset({"_search", "_async_search", "_msearch"})
_REMEMBERED_LENGTH = 256  # bytes


@lru_cache(maxsize=2048)
def _remembered(
    query_string: bytes, params: frozenset[str], pages: frozenset[str]
) -> tuple[Sequence[QuerySpan], bool]:
    """Do the same for a short query string: searches that repeat are found in one step."""
    return _found(query_string, params, pages)


def _found(
    query_string: bytes, params: frozenset[str], pages: frozenset[str]
) -> tuple[Sequence[QuerySpan], bool]:
    """Return the slots of a query string, and whether it asks for a later page."""
    spans = tuple(_expanding(value_slots(Part.QUERY_STRING, query_string, params)))
    return spans, bool(pages) and _asks_for_later(query_string, pages)


def _asks_for_later(data: bytes, pages: frozenset[str]) -> bool:
    found = values(data, pages)
    return any(_is_later(name, url_text(data[start:stop])) for name, start, stop in found)


def _is_later(name: str, said: str | int | float | None) -> bool:
    try:
        return float(said or 0) > ("page" in name.lower())
    except (ValueError, OverflowError):
        return False


def _left_alone(span: QuerySpan, signed: bool, later: bool) -> QuerySpan:
    if signed:
        return replace(span, skip=Reason.SIGNED)
    return span if span.skip is not None or not later else replace(span, skip=Reason.PAGED)


def _expanding(spans: list[QuerySpan]) -> list[QuerySpan]:
    """Give each slot the expansion of this dialect: the text and the terms after it."""
    for span in spans:
        span.expansion = respelled(span, partial(_after, span.encode))
    return spans


def _after(encode: Callable[[str], bytes], text: str, added: tuple[str, ...]) -> bytes:
    return encode(f"{text} {' '.join(added)}")
