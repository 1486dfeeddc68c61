"""Spans of the values in ``application/x-www-form-urlencoded`` bytes (WHATWG URL, section 5).

For query strings and form bodies alike. Everything but the values of the wanted names is kept:
other names, order, duplicates, names without a value and broken escapes.
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import Callable, Collection, Iterator
from urllib.parse import quote, quote_plus

from ..core.outcome import Reason
from .base import MAX_SPANS, MAX_TEXT, Part, QuerySpan
from .jsonspans import MalformedError

FORM = "application/x-www-form-urlencoded"
MAX_PARAMS = 1000
"""The most parameters of a query string or form, as in most servers; more are not looked at."""
_MAX_NAME = 256  # bytes, encoded

BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
# Characters that are never escaped (RFC 3986, 2.3), and blanks.
_UNRESERVED = re.compile(r"[A-Za-z0-9._~ -]*")


class Params:
    """The parameters of a query string or form, by decoded name.

    Looking up a name that occurs more than once raises ``MalformedError``, because servers
    differ in which one they use. Errors: ``MalformedError`` for more than ``MAX_PARAMS``.
    """

    def __init__(self, data: bytes) -> None:
        if has_too_many(data):
            raise MalformedError("too many parameters")
        self.data = data
        self._bounds: dict[str, list[tuple[int, int]]] = {}
        for name, start, stop in _pairs(data):
            self._bounds.setdefault(name, []).append((start, stop))

    def __contains__(self, name: str) -> bool:
        return name in self._bounds

    def named(self) -> Iterator[tuple[str, int, int]]:
        """Yield name, start and stop of each value."""
        for name, bounds in self._bounds.items():
            for start, stop in bounds:
                yield name, start, stop

    def bounds(self, name: str) -> tuple[int, int] | None:
        """Return start and stop of the value of ``name``, or ``None`` if there is none."""
        bounds = self._bounds.get(name, ())
        if len(bounds) > 1:
            raise MalformedError(f"{name!r} occurs twice")
        return bounds[0] if bounds else None

    def get(self, name: str) -> str | None:
        """Return the value of ``name``; ``None`` if it is missing or not UTF-8."""
        bounds = self.bounds(name)
        return None if bounds is None else decode_value(self.data[slice(*bounds)])


def has_too_many(data: bytes) -> bool:
    """Return whether a query string or form has more than ``MAX_PARAMS`` parameters."""
    return len(data) > MAX_PARAMS and data.count(b"&") >= MAX_PARAMS


def values(data: bytes, names: Collection[str]) -> Iterator[tuple[str, int, int]]:
    """Yield name, start and stop of each value whose decoded name is one of ``names``."""
    return ((name, start, stop) for name, start, stop in _pairs(data) if name in names)


def value_spans(part: Part, data: bytes, names: Collection[str]) -> list[QuerySpan]:
    """Return a span for each value of the parameters ``names``, up to one above ``MAX_SPANS``."""
    found: list[QuerySpan] = []
    position = 0
    for pair in data.split(b"&"):  # not through _pairs: every search runs through this loop
        raw_name, equals, _ = pair.partition(b"=")
        if equals and _name(raw_name) in names:
            start = position + len(raw_name) + 1
            found.append(value_span(part, data, start, position + len(pair)))
            if len(found) > MAX_SPANS:
                break
        position += len(pair) + 1
    return found


def value_span(part: Part, data: bytes, start: int, stop: int) -> QuerySpan:
    """Return the span of one value; one that is no text is skipped as ``UNENCODABLE``."""
    raw = data[start:stop]
    if len(raw) > MAX_TEXT:
        return QuerySpan(part, start, stop, "", url_encoder(raw), Reason.TOO_LONG)
    text = decode_value(raw)
    skip = Reason.UNENCODABLE if text is None else None
    return QuerySpan(part, start, stop, text or "", url_encoder(raw), skip)


def url_encoder(raw: bytes) -> Callable[[str], bytes]:
    """Return an encoder that writes blanks as ``raw`` does: as ``+`` or as ``%20``.

    It writes ``%20`` if ``raw`` has no ``+``, because every server reads that as a blank.
    """
    plus = b"+" in raw
    blank = "+" if plus else "%20"
    quoted = quote_plus if plus else quote

    def encode(text: str) -> bytes:
        if _UNRESERVED.fullmatch(text):  # the usual case, ten times as fast
            return text.replace(" ", blank).encode("ascii")
        return quoted(text, safe="", errors="replace").encode("ascii")

    return encode


def decode_value(raw: bytes) -> str | None:
    """Return the text of an encoded value.

    ``None`` if it is not UTF-8, has a broken escape, which servers read differently, or is longer
    than ``MAX_TEXT``.
    """
    if len(raw) > MAX_TEXT:
        return None
    text = raw.replace(b"+", b" ")
    try:
        if b"%" not in raw:
            return text.decode("utf-8")
        return None if BROKEN_ESCAPE.search(raw) else unescaped(text).decode("utf-8")
    except UnicodeDecodeError:
        return None


def unescaped(raw: bytes) -> bytes:
    """Return bytes with their percent escapes decoded, of which none may be broken.

    Quoted-printable is the same but for its escape sign, and has a decoder in C.
    """
    return a2b_qp(raw.replace(b"=", b"=3D").replace(b"%", b"="))


def _pairs(data: bytes) -> Iterator[tuple[str, int, int]]:
    position = 0
    for pair in data.split(b"&"):
        raw_name, equals, _ = pair.partition(b"=")
        if equals:
            name = _name(raw_name)
            yield name, position + len(raw_name) + 1, position + len(pair)
        position += len(pair) + 1


def _name(raw: bytes) -> str:
    if raw.isalnum() and len(raw) <= _MAX_NAME:
        return raw.decode("ascii")
    # A name in Latin-1, with a broken escape or of any length is still a name. It is never edited.
    whole = raw[:_MAX_NAME].replace(b"+", b" ")
    return (whole if BROKEN_ESCAPE.search(whole) else unescaped(whole)).decode("utf-8", "replace")
