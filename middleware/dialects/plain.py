"""The plain dialect: a text in a URL parameter, a form field, or at a JSON pointer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

from ..core.arguments import checked
from ..core.outcome import Reason
from ..errors import ConfigurationError
from .base import Dialect, Part, QuerySpan, SearchRequest, limited, places_looked_in
from .expansion import in_place
from .jsonspans import MalformedError, find, parse_pointer, read
from .search_api import is_compressed, is_form, is_json, is_zero, json_span
from .signing import signed_parts
from .urlencoded import FORM, decode_value, has_too_many, value_spans, values

PAGES = ("page", "start", "offset")
"""Names with which most APIs request a later page."""
_SIZES = frozenset(("rows", "size"))


class PlainDialect(Dialect):
    """Finds texts by name, for any API with its query in ``?q=``, in a form or in JSON.

    ``params`` are names of URL parameters and form fields, ``pointers`` are JSON pointers
    (RFC 6901) into bodies with a JSON media type. If a name occurs more than once, each value is
    a text. Paths that end in an underscore and a command, such as ``_delete_by_query``, have no
    texts. Bodies with a ``Content-Encoding`` and signed parts of a request are left alone.

    ``pages`` are names of numbers that request a later page, in the URL, in a form or at the top
    of a JSON body: above 1 for a name that contains ``page``, above 0 for others. A value that is
    no number requests none. A number of 0 named ``rows`` or ``size`` asks how many hits there are.
    Without names, each request is a search of its own.

    Errors: ``ConfigurationError`` for a malformed pointer, and if neither parameters nor pointers
    are given.
    """

    name = "plain"

    @checked
    def __init__(
        self,
        params: Iterable[str] = ("q",),
        pointers: Iterable[str] = (),
        pages: Iterable[str] = PAGES,
    ) -> None:
        self.params = frozenset(params)
        if "" in self.params:
            raise ConfigurationError("the name of a parameter must not be empty; write it like q")
        self._pages = frozenset(pages)
        self.pages = bool(self._pages)
        self._pointers = frozenset(parse_pointer(pointer) for pointer in pointers)
        self._above = {p[:depth] for p in self._pointers for depth in range(len(p))}
        if not self.params and not self._pointers:
            raise ConfigurationError(
                "the plain dialect needs the name of a parameter or a JSON pointer"
            )

    def wants_body(self, request: SearchRequest) -> bool:
        """Return whether the media type is one whose bodies may hold a text."""
        if is_compressed(request) or _is_command(request.path):
            return False
        if request.media_type == FORM:
            return bool(self.params) and is_form(request)
        return bool(self._pointers) and is_json(request.media_type)

    def looked_in(self, request: SearchRequest) -> str:
        """Return in which places of a request there was no text."""
        if _is_command(request.path):
            return "nothing, as the path is a command and no search"
        params = " or ".join(sorted(self.params))
        pointers = " or ".join("/" + "/".join(map(str, each)) for each in sorted(self._pointers))
        body = params if request.media_type == FORM else pointers
        return places_looked_in(params, body, request, self.wants_body(request))

    def spans(self, request: SearchRequest) -> Sequence[QuerySpan]:
        """Return the spans in the query string and in the body."""
        if "/_" in request.path and _is_command(request.path):
            return ()
        query_string = request.query_string
        if len(query_string) <= _CACHED_LENGTH and query_string.count(b"&") < _CACHED_PARAMS:
            spans, skip = _cached(query_string, self.params, self._pages)
        elif has_too_many(query_string):
            return ()
        else:
            spans, skip = _found(query_string, self.params, self._pages)
        found = list(spans)
        if request.body and self.wants_body(request):
            if request.media_type == FORM:
                if has_too_many(request.body):
                    return ()
                found += _expanding(value_spans(Part.BODY, request.body, self.params))
                skip = _first(skip, _asked(request.body, self._pages))
            else:
                found += _expanding(self._json_spans(request.body))
                skip = _first(skip, self._json_asked(request.body) if found else None)
        if not found:
            return found
        signed = signed_parts(request)
        if len(found) > 1:
            found = limited(found)
        if not signed and skip is None:
            return found
        return [_skipped(span, span.part in signed, skip) for span in found]

    def _json_spans(self, body: bytes) -> list[QuerySpan]:
        strings = find(body, self._pointers.__contains__, self._above.__contains__)
        spans = (json_span(string, syntax=None) for string in strings)
        return [span for span in spans if span is not None]

    def _json_asked(self, body: bytes) -> Reason | None:
        names = self._pages | _SIZES
        if not self._pages or not any(name.encode() in body for name in names):
            return None
        try:
            members = read(body, lambda path: not path).members
        except MalformedError:
            return None
        return _reason(self._pages, ((name, value.value) for name, value in members))


_SEARCHES = frozenset({"_search", "_async_search", "_msearch"})
# Of a query string that is cached. They limit the cache to some ten mebibytes.
_CACHED_LENGTH = 256  # bytes
_CACHED_PARAMS = 8


def _is_command(path: str) -> bool:
    """Return whether a path ends in a command of a search API that is no search.

    Nobody may have named the API, and ``/_delete_by_query?q=`` deletes what ``q`` finds.
    """
    if "/_" not in path:
        return False
    last = path.rstrip("/").rpartition("/")[2]
    return last.startswith("_") and last not in _SEARCHES


def _found(
    query_string: bytes, params: frozenset[str], pages: frozenset[str]
) -> tuple[Sequence[QuerySpan], Reason | None]:
    """Return the spans of a query string, and the reason if it belongs to an earlier search."""
    spans = tuple(_expanding(value_spans(Part.QUERY_STRING, query_string, params)))
    return spans, _asked(query_string, pages)


# Repeated searches with a short query string are found in one step.
_cached = lru_cache(maxsize=2048)(_found)


def _asked(data: bytes, pages: frozenset[str]) -> Reason | None:
    found = values(data, pages | _SIZES) if pages else ()
    return _reason(pages, ((name, decode_value(data[at:stop])) for name, at, stop in found))


def _reason(pages: frozenset[str], named: Iterable[tuple[str, object]]) -> Reason | None:
    """Return the reason if named numbers ask for a later page, or for no hits."""
    reason = None
    for name, value in named:
        if name in pages and _is_past_first(name, value):
            return Reason.PAGED
        if name in _SIZES and is_zero(value):
            reason = Reason.RELATED
    return reason


def _first(*reasons: Reason | None) -> Reason | None:
    return Reason.PAGED if Reason.PAGED in reasons else next(filter(None, reasons), None)


def _is_past_first(name: str, value: object) -> bool:
    if not isinstance(value, str | int | float) or (isinstance(value, str) and len(value) > 99):
        return False
    try:
        return float(value or 0) > ("page" in name.lower())
    except (ValueError, OverflowError):
        return False


def _skipped(span: QuerySpan, signed: bool, skip: Reason | None) -> QuerySpan:
    if signed:
        return replace(span, skip=Reason.SIGNED)
    return replace(span, skip=skip) if span.skip is None else span


def _expanding(spans: list[QuerySpan]) -> list[QuerySpan]:
    """Set the expansion of each span: the text and the terms after it."""
    for span in spans:
        span.expansion = in_place(span, partial(_with_terms, span.encode))
    return spans


def _with_terms(encode: Callable[[str], bytes], text: str, added: tuple[str, ...]) -> bytes:
    return encode(f"{text} {' '.join(added)}")
