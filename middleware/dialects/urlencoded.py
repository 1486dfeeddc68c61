"""Spans of the values in ``application/x-www-form-urlencoded`` bytes (WHATWG URL, section 5).

Used for query strings and form bodies alike. What is not a value that is asked for is
kept as it is, and so are names, order, duplicates, valueless names and broken escapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from urllib.parse import quote, quote_plus, unquote_to_bytes

from ..core.outcome import Reason
from .base import Part, QuerySpan
from .jsonspans import MalformedError

__all__ = ["FORM", "Params", "speller", "url_text", "value_slot", "value_slots", "values"]

FORM = "application/x-www-form-urlencoded"
_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# What stands for itself in every encoding (RFC 3986, 2.3), and blanks.
_UNRESERVED = re.compile(r"[A-Za-z0-9._~ -]*")


class Params:
    """The parameters of a query string or form, by decoded name.

    A name that is asked for and said more than once is ``MalformedError``: servers
    differ in which one counts.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._spans: dict[str, list[tuple[int, int]]] = {}
        for name, start, stop in _pairs(data):
            self._spans.setdefault(name, []).append((start, stop))

    def __contains__(self, name: str) -> bool:
        return name in self._spans

    def span(self, name: str) -> tuple[int, int] | None:
        """Return where the value of ``name`` stands, or ``None``."""
        spans = self._spans.get(name, ())
        if len(spans) > 1:
            raise MalformedError(f"{name!r} is said twice")
        return spans[0] if spans else None

    def get(self, name: str) -> str | None:
        """Return the value of ``name``; ``None`` where there is none, or none in UTF-8."""
        span = self.span(name)
        return None if span is None else url_text(self.data[slice(*span)])


def values(data: bytes, names: Collection[str]) -> Iterator[tuple[str, int, int]]:
    """Yield name, start and stop of each value whose decoded name is one of ``names``."""
    return ((name, start, stop) for name, start, stop in _pairs(data) if name in names)


def value_slots(part: Part, data: bytes, names: Collection[str]) -> list[QuerySpan]:
    """Return a slot for each value of the parameters ``names`` in ``data``."""
    found = []
    position = 0
    for pair in data.split(b"&"):  # not through _pairs: this is on every search's way
        raw_name, equals, _ = pair.partition(b"=")
        if equals and _name(raw_name) in names:
            start = position + len(raw_name) + 1
            found.append(value_slot(part, data, start, position + len(pair)))
        position += len(pair) + 1
    return found


def value_slot(part: Part, data: bytes, start: int, stop: int) -> QuerySpan:
    """Return the slot of one value; where it is no text, it is there with the reason."""
    raw = data[start:stop]
    text = url_text(raw)
    skip = Reason.UNENCODABLE if text is None else None
    return QuerySpan(part, start, stop, text or "", speller(raw), skip)


def speller(raw: bytes) -> Callable[[str], bytes]:
    """Return the function that encodes a text as ``raw`` was: blanks as ``%20`` or as ``+``.

    ``%20`` where it holds neither, since that is a blank to every reader.
    """
    plus = b"+" in raw
    blank = "+" if plus else "%20"
    quoted = quote_plus if plus else quote

    def encode(text: str) -> bytes:
        if _UNRESERVED.fullmatch(text):  # the usual case, ten times as quick
            return text.replace(" ", blank).encode("ascii")
        return quoted(text, safe="", errors="replace").encode("ascii")

    return encode


def url_text(raw: bytes) -> str | None:
    """Return what an encoded value says; ``None`` for bytes not UTF-8 and broken escapes.

    Readers differ in what a per cent sign without two hex digits says, so it is no text.
    """
    text = raw.replace(b"+", b" ")
    try:
        if b"%" not in raw:
            return text.decode("utf-8")
        return None if _BROKEN.search(raw) else unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _pairs(data: bytes) -> Iterator[tuple[str, int, int]]:
    position = 0
    for pair in data.split(b"&"):
        raw_name, equals, _ = pair.partition(b"=")
        if equals:
            name = _name(raw_name)
            yield name, position + len(raw_name) + 1, position + len(pair)
        position += len(pair) + 1


def _name(raw: bytes) -> str:
    if raw.isalnum():
        return raw.decode("ascii")
    # A name in Latin-1 or with a broken escape is still a name; it is never edited.
    return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8", "replace")
