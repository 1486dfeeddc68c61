"""The contract of a dialect, and the one place that edits a request.

A dialect only *finds* texts: it gives the span of bytes that spells each text and a
function that spells another text in that place. The edit itself is the same for all, so
that no dialect can change a byte outside of the spans it gave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from ..core.outcome import Reason

__all__ = ["Dialect", "Expansion", "Part", "QuerySpan", "SearchRequest", "apply_edits"]

MAX_SPANS = 16
"""Texts of one request that are looked at; a dialect gives no more."""


class Part(StrEnum):
    """The part of a request that a span of bytes lies in."""

    QUERY_STRING = "query_string"
    BODY = "body"


@dataclass(slots=True)
class SearchRequest:
    """What a dialect sees of a request.

    ``path`` is canonical (decoded, dot segments resolved, without a mount's prefix);
    ``headers`` have lower-case names; ``body`` is ``None`` while it was not read.
    """

    method: str
    path: str
    query_string: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes | None = None

    def header(self, name: bytes) -> bytes:
        """Return a header's value, the last one of several, or ``b""``."""
        return next((value for key, value in reversed(self.headers) if key == name), b"")

    @property
    def media_type(self) -> str:
        """The media type without its parameters, in lower case; ``""`` where none is given."""
        return self.header(b"content-type").split(b";", 1)[0].strip().lower().decode("latin-1")


@dataclass(slots=True)
class Expansion:
    """How an API says a text together with further terms that weigh less.

    ``start`` and ``stop`` bound the bytes that are replaced; they hold the slot's own
    span and no other slot's. ``encode`` is given the slot's text and the added terms.
    """

    start: int
    stop: int
    encode: Callable[[str, tuple[str, ...]], bytes]


@dataclass(slots=True)
class QuerySpan:
    """A place that holds the text of a query.

    ``start`` and ``stop`` bound the bytes in ``part`` that spell ``text``; ``encode`` gives
    the bytes that spell another text there. ``skip`` is set where the request itself says
    that the text must stay (operators, a signature, a later page). ``expansion`` is set
    where the API can say further terms of lower weight; where it is not, ``expand`` mode
    has to replace the text instead.

    A later page (``skip`` is ``PAGED``) may still be
    given the very query that was *sent* for its first page; nothing else fits to it.
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
        """Whether added terms can be said beside the text."""
        return self.expansion is not None

    def expanding(self, added: tuple[str, ...]) -> QuerySpan:
        """Return the slot whose edit keeps the text and says the added terms beside it.

        What text that slot is told to spell does not matter: it spells this one's own.
        Returns the slot itself where nothing is added or the API has no way to say it.
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


class Dialect(Protocol):
    """Knows where a search API keeps its texts.

    Neither method may raise; what is malformed has no slots. A class may also have
    ``paths``, globs of the paths that are searches when nobody says otherwise (see
    ``paths``), ``pages = False`` where it can tell no later page from a first one, so that
    nothing is remembered of first pages, and ``writes_by_get = True`` where other requests of its
    API by GET may change something, so that none is sent twice. Concurrency: immutable.
    """

    @property
    def name(self) -> str:
        """The word by which settings name the dialect."""
        ...

    def wants_body(self, request: SearchRequest) -> bool:
        """Tell, before the body is read, whether it may hold a text."""
        ...

    def spans(self, request: SearchRequest) -> Sequence[QuerySpan]:
        """Return the texts of a request, most important first; spans do not overlap."""
        ...


def apply_edits(
    request: SearchRequest, edits: Iterable[tuple[QuerySpan, str]]
) -> tuple[bytes, bytes]:
    """Return the query string and the body with each slot's bytes spelling the text given.

    Every byte outside of the slots is kept.
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
