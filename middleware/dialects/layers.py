"""Data encoded inside of other data: JSON in a URL, URL parameters in JSON.

Spans of the inner data become spans of the outer bytes, so an edit touches no outer byte but
those of the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import accumulate
from urllib.parse import quote_from_bytes, unquote_to_bytes

from .base import Expansion, Part, QuerySpan
from .jsonspans import JsonValue, MalformedError, encode_json

_URL_UNIT = re.compile(rb"%[0-9A-Fa-f]{2}|[^%]")
# The two escapes of a surrogate pair are one unit: one character, four bytes of UTF-8.
_JSON_UNIT = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Layer:
    """Decoded data, the position of each of its bytes in the outer bytes, and its encoder.

    ``starts`` has one position for each byte of ``data`` and one for the end.
    """

    data: bytes
    starts: tuple[int, ...]
    encode: Callable[[bytes], bytes]

    def to_outer(self, span: QuerySpan, part: Part) -> QuerySpan:
        """Return the span of the outer bytes, in ``part``, for a span of ``data``."""
        outer, inner, expansion = self.encode, span.encode, span.expansion
        return replace(
            span,
            part=part,
            start=self.starts[span.start],
            stop=self.starts[span.stop],
            encode=lambda text: outer(inner(text)),
            expansion=None if expansion is None else self._expansion_to_outer(expansion),
        )

    def _expansion_to_outer(self, expansion: Expansion) -> Expansion:
        outer, inner = self.encode, expansion.encode
        return Expansion(
            self.starts[expansion.start],
            self.starts[expansion.stop],
            lambda text, added: outer(inner(text, added)),
        )


def url_layer(outer: bytes, start: int, stop: int) -> Layer:
    """Return the layer inside of the URL-encoded value ``outer[start:stop]``.

    Errors: ``MalformedError`` for a broken escape.
    """
    raw = outer[start:stop]
    units = _URL_UNIT.findall(raw.replace(b"+", b" "))
    if sum(map(len, units)) != len(raw):
        raise MalformedError("a percent sign is no escape")
    blank = b"+" if b"+" in raw else b"%20"
    return Layer(
        unquote_to_bytes(b"".join(units)),
        tuple(accumulate(map(len, units), initial=start)),
        lambda data: quote_from_bytes(data, safe="").encode("ascii").replace(b"%20", blank),
    )


def json_layer(outer: bytes, string: JsonValue) -> Layer:
    """Return the layer inside of a JSON string in ``outer``.

    Errors: ``MalformedError`` if the string has no bytes in UTF-8.
    """
    start, stop = string.start + 1, string.stop - 1
    raw = outer[start:stop]
    if b"\\" not in raw:
        return Layer(raw, tuple(range(start, stop + 1)), _encode_in_string)
    parts: list[bytes] = []
    starts: list[int] = []
    at = start
    try:
        for unit in _JSON_UNIT.findall(raw):
            decoded = json.loads(b'"%s"' % unit).encode() if unit[:1] == b"\\" else unit
            parts.append(decoded)
            starts += [at] * len(decoded)
            at += len(unit)
    except UnicodeEncodeError:
        raise MalformedError("a string is no text") from None
    return Layer(b"".join(parts), (*starts, at), _encode_in_string)


def _encode_in_string(data: bytes) -> bytes:
    return encode_json(data.decode("utf-8"))[1:-1]
