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

MAX_SPANS = 16
"""The most texts of one request that are rewritten; a dialect returns no more."""
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

    A text skipped as ``PAGED`` may still be replaced by the query that was sent for its first
    page; any other query would not fit that page.
    """

    part: Part
    start: int
    stop: int
    text: str
    encode: Callable[[str], bytes]
    skip: Reason | None = None
    expansion: Expansion | None = None

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


def apply_edits(
    request: SearchRequest, edits: Iterable[tuple[QuerySpan, str]]
) -> tuple[bytes, bytes]:
    """Return the query string and the body with each span's bytes replaced by its new text.

    Every byte outside of the spans is kept.
    """
    query_string, body = request.query_string, request.body or b""
    edits = list(edits)
    if len(edits) > 1:
        edits.sort(key=lambda edit: edit[0].start, reverse=True)
    for span, text in edits:
        if span.part is Part.QUERY_STRING:
            query_string = (
                query_string[: span.start] + span.encode(text) + query_string[span.stop :]
            )
        else:
            body = body[: span.start] + span.encode(text) + body[span.stop :]
    return query_string, body
