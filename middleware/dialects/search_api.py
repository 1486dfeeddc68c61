"""What the dialects of search APIs share: paths, methods, signatures and broken requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from ..core.outcome import Reason
from .base import MAX_SPANS, Part, QuerySpan, SearchRequest
from .jsonspans import JsonValue, MalformedError, encode_json
from .operators import WORDS, Language
from .paths import PathGlobs
from .signing import signed_parts
from .urlencoded import FORM, Params, value_slot

__all__ = ["SearchApi", "is_encoded", "is_form", "is_json", "is_later", "json_slot", "param_slot"]

_METHODS = frozenset({"GET", "POST"})


class SearchApi(ABC):
    """A dialect of one API: gives no slots but for its searches, and never raises.

    ``paths`` are globs of the paths that are searches; other ones can be given to the
    constructor for a search behind a gateway that names it otherwise. A subclass writes
    ``texts``, which may raise ``MalformedError`` at any point.

    Concurrency: immutable. Errors: ``ConfigurationError`` from the
    constructor for a malformed glob.
    """

    name: str
    paths: tuple[str, ...]

    def __init__(self, paths: Iterable[str] | None = None) -> None:
        self.renamed = paths is not None
        if paths is not None:
            self.paths = (paths,) if isinstance(paths, str) else tuple(paths)
        self._globs = PathGlobs(self.paths)

    def searches(self, request: SearchRequest) -> bool:
        """Tell whether a request's method and path are those of a search."""
        return request.method in _METHODS and self._globs.match(request.path)

    def reads(self, request: SearchRequest) -> bool:
        """Tell whether a search's body is of a kind in which texts are looked for."""
        return is_json(request.media_type)

    @abstractmethod
    def texts(self, request: SearchRequest, params: Params, body: bytes) -> Iterator[QuerySpan]:
        """Yield the slots of a search, most important first; ``body`` is empty if unread.

        ``params`` are those of the query string.
        """

    def wants_body(self, request: SearchRequest) -> bool:
        """Tell, before the body is read, whether it may hold a text."""
        return self.searches(request) and not is_encoded(request) and self.reads(request)

    def spans(self, request: SearchRequest) -> Sequence[QuerySpan]:
        """Return the texts of a request; none where any part of it is malformed."""
        if not self.searches(request):
            return ()
        body = request.body or b""
        if body and (is_encoded(request) or not self.reads(request)):
            body = b""
        try:
            found = list(islice(self.texts(request, Params(request.query_string), body), MAX_SPANS))
        except (MalformedError, RecursionError):
            return ()
        signed = signed_parts(request) if found else frozenset()
        return [
            replace(span, skip=Reason.SIGNED) if span.part in signed else span for span in found
        ]


def is_json(media_type: str) -> bool:
    """Tell whether a media type is JSON, a vendor's included (RFC 6839)."""
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")


def is_form(request: SearchRequest) -> bool:
    """Tell whether a body is a form, in UTF-8 as far as is said."""
    if request.media_type != FORM:
        return False
    _, _, parameters = request.header(b"content-type").lower().partition(b";")
    return b"charset" not in parameters or b"utf-8" in parameters


def is_encoded(request: SearchRequest) -> bool:
    """Tell whether a body is compressed."""
    return request.header(b"content-encoding").strip().lower() not in (b"", b"identity")


def is_later(said: object, first: int = 0) -> bool:
    """Tell whether a page's number or offset is past the first one; what is odd counts as that."""
    if said is None or said == "":
        return False
    if not isinstance(said, str | int | float):
        return True
    try:
        return not 0 <= float(said) <= first
    except (ValueError, OverflowError):
        return True


def json_slot(
    value: JsonValue, *, later: bool = False, language: Language | None = WORDS
) -> QuerySpan | None:
    """Return the slot of a JSON string in a body; ``None`` where the value is no string."""
    text = value.text
    if text is None:
        return None
    # A lone surrogate can be said in JSON but is no text, and has no bytes in UTF-8.
    broken = not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)
    skip = Reason.UNENCODABLE if broken else None
    return _settled(
        QuerySpan(Part.BODY, value.start, value.stop, text, encode_json, skip), later, language
    )


def param_slot(
    part: Part,
    params: Params,
    name: str,
    *,
    later: bool = False,
    language: Language | None = WORDS,
) -> QuerySpan | None:
    """Return the slot of a parameter's value; ``None`` where there is none."""
    span = params.span(name)
    if span is None:
        return None
    return _settled(value_slot(part, params.data, *span), later, language)


def _settled(span: QuerySpan, later: bool, language: Language | None) -> QuerySpan:
    encode: Callable[[str], bytes] = span.encode
    skip = span.skip
    if language is not None:
        encode = language.wrap(encode, span.text)
        if skip is None and language.holds(span.text):
            skip = Reason.SYNTAX
    if skip is None and later:
        skip = Reason.PAGED
    return replace(span, encode=encode, skip=skip)
