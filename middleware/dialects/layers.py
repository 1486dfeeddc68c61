"""Data encoded inside of other data: JSON in a URL, URL parameters in JSON.

Spans of the inner data become spans of the outer bytes, so an edit touches no outer byte but
those of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from urllib.parse import quote_from_bytes

from .base import Expansion, Part, QuerySpan
from .jsonspans import JsonValue, MalformedError, encode_json
from .urlencoded import BROKEN_ESCAPE, unescaped

_MAX_ESCAPES = 8000
"""The most escapes of a layer; one with more is taken for malformed."""

# The two escapes of a surrogate pair are one unit: one character, four bytes of UTF-8.
_JSON_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Layer:
    """Decoded data, the position of each of its bytes in the outer bytes, and its encoder.

    Both count alike between two escapes: ``inner`` has the positions in ``data`` from which they
    do so anew, and ``outer`` the same in the outer bytes.
    """

    data: bytes
    inner: Sequence[int]
    outer: Sequence[int]
    encode: Callable[[bytes], bytes]

    def position(self, at: int) -> int:
        """Return the position in the outer bytes of a position in ``data``, or of its end."""
        last = bisect_right(self.inner, at) - 1
        return self.outer[last] + at - self.inner[last]

    def to_outer(self, span: QuerySpan, part: Part) -> QuerySpan:
        """Return the span of the outer bytes, in ``part``, for a span of ``data``."""
        outer, inner, expansion = self.encode, span.encode, span.expansion
        return replace(
            span,
            part=part,
            start=self.position(span.start),
            stop=self.position(span.stop),
            encode=lambda text: outer(inner(text)),
            expansion=None if expansion is None else self._expansion_to_outer(expansion),
        )

    def _expansion_to_outer(self, expansion: Expansion) -> Expansion:
        outer, inner = self.encode, expansion.encode
        return Expansion(
            self.position(expansion.start),
            self.position(expansion.stop),
            lambda text, added: outer(inner(text, added)),
        )


def url_layer(outer: bytes, start: int, stop: int) -> Layer:
    """Return the layer inside of the URL-encoded value ``outer[start:stop]``.

    Errors: ``MalformedError`` for a broken escape, and for too many.
    """
    raw = outer[start:stop]
    parts = raw.split(b"%")
    if len(parts) > _MAX_ESCAPES or BROKEN_ESCAPE.search(raw):
        raise MalformedError("a percent sign is no escape, or there are too many")
    passed = list(accumulate(map(len, parts)))[:-1]  # bytes before each percent sign but such signs
    blank = b"+" if b"+" in raw else b"%20"
    return Layer(
        unescaped(raw.replace(b"+", b" ")),
        [0, *(size - number + 1 for number, size in enumerate(passed))],
        [start, *(start + size + number + 3 for number, size in enumerate(passed))],
        lambda data: quote_from_bytes(data, safe="").encode("ascii").replace(b"%20", blank),
    )


def json_layer(outer: bytes, string: JsonValue) -> Layer:
    """Return the layer inside of a JSON string in ``outer``.

    Errors: ``MalformedError`` if the string has no bytes in UTF-8, or too many escapes.
    """
    start, stop = string.start + 1, string.stop - 1
    raw = outer[start:stop]
    if raw.count(b"\\") > _MAX_ESCAPES:
        raise MalformedError("too many escapes")
    try:
        data = (string.text or "").encode()
    except UnicodeEncodeError:
        raise MalformedError("a string is no text") from None
    inner, outside, shorter = [0], [start], 0  # data is so many bytes shorter than raw
    for escape in _JSON_ESCAPE.finditer(raw):
        unit, end = escape[0], escape.end()
        shorter += len(unit) - _size(unit)
        inner.append(end - shorter)
        outside.append(start + end)
    return Layer(data, inner, outside, _encode_in_string)


def _size(escape: bytes) -> int:
    """Return how many bytes of UTF-8 a JSON escape stands for."""
    if len(escape) != 6:
        return 1 if len(escape) == 2 else 4
    code = int(escape[2:], 16)
    return 1 if code < 0x80 else 2 if code < 0x800 else 3


def _encode_in_string(data: bytes) -> bytes:
    return encode_json(data.decode("utf-8"))[1:-1]
