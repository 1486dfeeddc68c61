"""The ``Dialect`` base class, and the only code that edits a request.

A dialect only *finds* texts. For each text it gives the bytes that hold it and a function that
encodes another text for the same place. ``apply_edits`` makes the edits of all dialects, so no
dialect can change a byte outside of the spans that it gave.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ..core.outcome import Reason

MAX_TEXTS = 16
"""The most different texts of one request that are rewritten."""
MAX_SPANS = 128
"""The most places of one request that hold texts; a request with more is left alone."""
MAX_TEXT = 4096
"""The most bytes that hold a text; a longer one is skipped as ``TOO_LONG`` without being read."""


class Part(StrEnum):
    """The part of a request that a span lies in."""

    QUERY_STRING = "query_string"
    BODY = "body"


@dataclass(slots=True)
class SearchRequest:
    """What a dialect sees of a request.

    ``path`` is canonical: decoded, dot segments resolved, without a mount's prefix. ``headers``
    have lower-case names. ``body`` is ``None`` until it has been read.
    """

    method: str
    path: str
    query_string: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes | None = None

    def header(self, name: bytes) -> bytes:
        """Return a header's last value, or ``b""`` if it is missing."""
        return next((value for key, value in reversed(self.headers) if key == name), b"")

    @property
    def media_type(self) -> str:
        """The media type in lower case, without parameters; ``""`` if it is missing."""
        return self.header(b"content-type").split(b";", 1)[0].strip().lower().decode("latin-1")


@dataclass(slots=True)
class Expansion:
    """How an API expresses a text together with further terms that weigh less.

    ``start`` and ``stop`` bound the bytes to replace. They contain the text's own span and no
    other span. ``encode`` takes the text and the added terms.
    """

    start: int
    stop: int
    encode: Callable[[str, tuple[str, ...]], bytes]


@dataclass(slots=True)
class QuerySpan:
    """The bytes of a request that hold the text of a query.

    ``start`` and ``stop`` bound the bytes of ``part`` that hold ``text``. ``encode`` returns the
    bytes of another text for this place. ``skip`` is the reason why the text must stay, if the
    request itself gives one: operators, a signature, a later page. ``expansion`` is set if the
    API can add terms of lower weight; without it, ``expand`` mode replaces the text.

    ``follows`` is set for a place that repeats a text and does not decide about it, such as a
    filter: it gets what the text's other places get, and stays if it is alone. Its ``skip`` keeps
    the text in all places, so that no two places of a request say different things.

    A text skipped as ``PAGED`` or ``RELATED`` may still be replaced by the query that was sent for
    its first page or for the search that it belongs to; any other query would not fit.

    ``places`` names what is searched, such as an index, where requests with several paths are
    about one search. Without names it is the request's path.
    """

    part: Part
    start: int
    stop: int
    text: str
    encode: Callable[[str], bytes]
    skip: Reason | None = None
    expansion: Expansion | None = None
    follows: bool = False
    places: tuple[str, ...] = ()

    @property
    def expands(self) -> bool:
        """Whether the API can add terms to the text."""
        return self.expansion is not None

    def expanding(self, added: tuple[str, ...]) -> QuerySpan:
        """Return a span whose edit keeps this text and adds terms to it.

        The returned span's ``encode`` ignores its argument. Returns this span itself if there is
        nothing to add or the API cannot add terms.
        """
        expansion, text = self.expansion, self.text
        if expansion is None or not added:
            return self
        return replace(
            self,
            start=expansion.start,
            stop=expansion.stop,
            encode=lambda _: expansion.encode(text, added),
            expansion=None,
        )


class Dialect(ABC):
    """Finds the query texts in the requests of one search API; subclass it for your own.

    Only ``spans`` is required. No method may raise: a malformed request has no spans.

    Concurrency: immutable, so that any number of requests may use it.
    """

    name: str = "custom"
    """The name shown in logs and on ``/readyz``, and by which settings select the dialect."""
    paths: tuple[str, ...] = ("/**",)
    """Globs of the paths that are searches, unless the settings name others.

    ``*`` stands for anything within a segment, ``**`` for any number of segments.
    """
    pages: bool = True
    """Whether it tells a later page from a first one. If not, first pages are not remembered."""
    writes_by_get: bool = False
    """Whether other GET requests of the API may change data. If so, none is sent twice."""

    def wants_body(self, request: SearchRequest) -> bool:
        """Return whether the body may hold a text; asked before the body is read."""
        return False

    @abstractmethod
    def spans(self, request: SearchRequest) -> Sequence[QuerySpan]:
        """Return the spans of a request's texts, most important first; they do not overlap."""

    def looked_in(self, request: SearchRequest) -> str:
        """Return in which places of a request ``spans`` looks; asked if it has found nothing."""
        return places_looked_in("any text", "any text", request, self.wants_body(request))


_OF_BODIES = (b"content-encoding", b"content-length", b"transfer-encoding")


def places_looked_in(url: str, body: str, request: SearchRequest, reads: bool) -> str:
    """Return a phrase for the places that were looked at.

    ``url`` and ``body`` name what is looked for in them, ``reads`` tells whether the dialect reads
    a body of this type at all.
    """
    named = f"{url} in the URL" if url else ""
    if request.body is not None and reads:
        return f"{named}, {body} in the body" if named else f"{body} in the body"
    if not any(name in _OF_BODIES for name, _ in request.headers):
        return named or "nothing, as there is no body"
    kind = request.media_type or "none"
    why = "it is too long" if reads else f"type {kind[:64]}"
    if request.header(b"content-encoding"):
        why = "it is compressed"
    return f"{named}, not in the body ({why})" if named else f"nothing: not in the body ({why})"


def limited(spans: Iterable[QuerySpan], found: list[QuerySpan] | None = None) -> list[QuerySpan]:
    """Return the spans of the first ``MAX_TEXTS`` different texts, wherever they are.

    Returns none of more than ``MAX_SPANS``: the places of a text would not all be known. If
    ``found`` is given, it is filled one by one, and returned.
    """
    found = [] if found is None else found
    texts: set[str] = set()
    for count, span in enumerate(spans):
        if count == MAX_SPANS:
            found.clear()
            break
        if span.text in texts or len(texts) < MAX_TEXTS:
            texts.add(span.text)
            found.append(span)
    return found


_LAST = {Reason.PAGED: 1, Reason.RELATED: 2}


def one_each(spans: Sequence[QuerySpan]) -> list[QuerySpan]:
    """Return one span for each text to decide about; the decision holds for all of its places.

    The first place stands for all. It has the first ``skip`` of any place, but ``PAGED`` only if
    there is no other, ``RELATED`` only if all have it, and an expansion if any place has one. A
    text that only followers hold is nobody's.
    """
    groups: dict[str, list[QuerySpan]] = {}
    for span in spans:
        groups.setdefault(span.text, []).append(span)
    found = []
    for places in groups.values():
        first = next((span for span in places if not span.follows), None)
        if first is not None:
            skips = [span.skip for span in places if span.skip is not None]
            skip = min(skips, key=lambda each: _LAST.get(each, 0), default=None)
            if skip is Reason.RELATED and any(not p.follows and p.skip is None for p in places):
                skip = None  # the search that it belongs to is in the same request
            expansion = next((e for span in places if (e := span.expansion) is not None), None)
            searched = tuple(dict.fromkeys(name for span in places for name in span.places))
            found.append(replace(first, skip=skip, expansion=expansion, places=searched))
    return found


def apply_edits(
    request: SearchRequest, edits: Iterable[tuple[QuerySpan, str]]
) -> tuple[bytes, bytes]:
    """Return the query string and the body with each span's bytes replaced by its new text.

    Every byte outside of the spans is kept.
    """
    edits = list(edits)
    query_string, body = request.query_string, request.body or b""
    if len(edits) == 1:  # as nearly always
        [(span, text)] = edits
        if span.part is Part.QUERY_STRING:
            query_string = (
                query_string[: span.start] + span.encode(text) + query_string[span.stop :]
            )
        else:
            body = body[: span.start] + span.encode(text) + body[span.stop :]
        return query_string, body
    return (
        _edited(query_string, [edit for edit in edits if edit[0].part is Part.QUERY_STRING]),
        _edited(body, [edit for edit in edits if edit[0].part is Part.BODY]),
    )


def _edited(data: bytes, edits: list[tuple[QuerySpan, str]]) -> bytes:
    """Return data with all spans replaced, in one pass."""
    edits.sort(key=lambda edit: edit[0].start)
    pieces: list[bytes] = []
    kept = 0
    for span, text in edits:
        pieces += (data[kept : span.start], span.encode(text))
        kept = span.stop
    return b"".join([*pieces, data[kept:]])
