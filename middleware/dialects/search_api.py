"""What the dialects of search APIs share: paths, methods, signatures and malformed requests."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from ..core.outcome import Reason
from .base import MAX_TEXT, Dialect, Part, QuerySpan, SearchRequest, limited, places_looked_in
from .fields.fields import Fields
from .jsonspans import JsonValue, MalformedError, encode_json
from .operators import WORDS, QuerySyntax
from .paths import PathGlobs
from .signing import signed_parts
from .urlencoded import FORM, Params, value_span

Texts = Callable[[], frozenset[str]]
"""Returns the texts of a request that may be rewritten."""

_METHODS = frozenset({"GET", "POST"})
_SENT_OTHERWISE = frozenset((None, Reason.PAGED, Reason.RELATED))


class SearchApi(Dialect):
    """The dialect of one API: returns spans for its searches only, and never raises.

    ``paths`` replaces the globs of the class, for an API behind a gateway that renames its paths.
    ``fields`` tells which fields hold prose; a text that is searched in none of them is an exact
    value. A subclass implements ``texts``, which may raise ``MalformedError`` at any point.

    Concurrency: that of ``fields``. Errors: ``ConfigurationError`` from the constructor for a
    malformed glob.
    """

    looks_for: tuple[str, str] = ("", "")
    """The names of what may hold a text in a URL, and in a body."""

    def __init__(self, paths: Iterable[str] | None = None, fields: Fields | None = None) -> None:
        self.fields = Fields() if fields is None else fields
        self.renamed = paths is not None
        if paths is not None:
            self.paths = (paths,) if isinstance(paths, str) else tuple(paths)
        self._globs = PathGlobs(self.paths)

    def searches(self, request: SearchRequest) -> bool:
        """Return whether the request's method and path are those of a search."""
        return request.method in _METHODS and self._globs.match(request.path) is not None

    def reads(self, request: SearchRequest) -> bool:
        """Return whether the body of a search has a media type that may hold texts."""
        return is_json(request.media_type)

    @abstractmethod
    def texts(
        self, request: SearchRequest, params: Params, body: bytes, repeated: Texts
    ) -> Iterator[QuerySpan]:
        """Yield the spans of a search, most important first, then the places that repeat a text.

        ``params`` are those of the query string. ``body`` is empty if it was not read. Once all
        other spans have been yielded, ``repeated`` returns the texts that may be rewritten.
        """

    def wants_body(self, request: SearchRequest) -> bool:
        """Return whether the body may hold a text; asked before the body is read."""
        return self.searches(request) and not is_compressed(request) and self.reads(request)

    def looked_in(self, request: SearchRequest) -> str:
        """Return in which places of a request there was no text."""
        if not self.searches(request):
            return f"nothing, as method and path are no search of {self.name}"
        places = places_looked_in(*self.looks_for, request, self.wants_body(request))
        # Whoever sees a text there has to learn why it is none.
        return f"{places}; only what is searched in fields of prose"

    def spans(self, request: SearchRequest) -> Sequence[QuerySpan]:
        """Return the spans of a request; none if any part of it is malformed."""
        if not self.searches(request):
            return ()
        body = request.body or b""
        if body and (is_compressed(request) or not self.reads(request)):
            body = b""
        found: list[QuerySpan] = []

        def repeated() -> frozenset[str]:
            return frozenset(span.text for span in found if span.skip in _SENT_OTHERWISE)

        try:
            limited(self.texts(request, Params(request.query_string), body, repeated), found)
        except (MalformedError, RecursionError):
            return ()
        signed = signed_parts(request) if found else frozenset()
        return [
            replace(span, skip=Reason.SIGNED) if span.part in signed else span for span in found
        ]


def is_json(media_type: str) -> bool:
    """Return whether a media type is JSON, including vendors' types (RFC 6839)."""
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")


def is_form(request: SearchRequest) -> bool:
    """Return whether the body is a form that declares no charset other than UTF-8."""
    if request.media_type != FORM:
        return False
    _, _, parameters = request.header(b"content-type").lower().partition(b";")
    return b"charset" not in parameters or b"utf-8" in parameters


def is_compressed(request: SearchRequest) -> bool:
    """Return whether the body has a ``Content-Encoding``."""
    return request.header(b"content-encoding").strip().lower() not in (b"", b"identity")


def is_past_first(value: object, first: int = 0) -> bool:
    """Return whether a page's number or offset is above ``first``.

    Nothing and ``""`` are the first page. Anything that is not a number counts as a later page.
    """
    if value is None or value == "":
        return False
    if not isinstance(value, str | int | float) or (isinstance(value, str) and len(value) > 99):
        return True
    try:
        return not 0 <= float(value) <= first
    except (ValueError, OverflowError):
        return True


def is_zero(value: object) -> bool:
    """Return whether a number of hits is 0; nothing, ``""`` and what is no number are not."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return False
    if not isinstance(value, str):
        return value == 0
    try:
        return len(value) < 100 and float(value) == 0
    except ValueError:
        return False


def about(
    spans: Iterable[QuerySpan | None], places: Iterable[str | None], *, counts: bool = False
) -> Iterator[QuerySpan]:
    """Yield the spans that are there, with the names of what they search.

    ``counts``: the request only asks how many hits there are, or of which values, so that its text
    is that of another search.
    """
    names = tuple(name for name in places if name)
    for span in spans:
        if span is not None:
            span.places = names
            if counts and span.skip is None:
                span.skip = Reason.RELATED
            yield span


def json_span(
    value: JsonValue, *, paged: bool = False, syntax: QuerySyntax | None = WORDS
) -> QuerySpan | None:
    """Return the span of a JSON string in a body; ``None`` if the value is no string.

    ``paged`` skips the text as one of a later page. ``syntax`` skips a text that uses operators
    and removes those of a rewrite; ``None`` keeps both as they are.
    """
    text, skip = value.text, None
    if text is None:
        return None
    if value.stop - value.start > MAX_TEXT:
        text, skip = "", Reason.TOO_LONG
    elif not _is_encodable(text):
        skip = Reason.UNENCODABLE
    span = QuerySpan(Part.BODY, value.start, value.stop, text, encode_json, skip)
    return _with_rules(span, paged, syntax)


def param_span(
    part: Part,
    params: Params,
    name: str,
    *,
    paged: bool = False,
    syntax: QuerySyntax | None = WORDS,
) -> QuerySpan | None:
    """Return the span of a parameter's value; ``None`` if there is no such parameter.

    ``paged`` and ``syntax`` are those of ``json_span``.
    """
    bounds = params.bounds(name)
    if bounds is None:
        return None
    return _with_rules(value_span(part, params.data, *bounds), paged, syntax)


def _is_encodable(text: str) -> bool:
    """Return whether a text has bytes in UTF-8; a lone surrogate has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_rules(span: QuerySpan, paged: bool, syntax: QuerySyntax | None) -> QuerySpan:
    if syntax is not None:
        if span.skip is None and syntax.is_used_in(span.text):
            span.skip = Reason.SYNTAX
        span.encode = syntax.neutralizing(span.encode, span.text)
    if span.skip is None and paged:
        span.skip = Reason.PAGED
    return span
