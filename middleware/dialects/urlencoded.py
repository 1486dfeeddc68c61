"""Spans of the values in ``application/x-www-form-urlencoded`` bytes (WHATWG URL, section 5).

Used for query strings and form bodies alike. What is not a value that is asked for is
not even decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from urllib.parse import quote, quote_plus, unquote_to_bytes

from middleware.core.outcome import Reason

from .base import Part, Slot

__all__ = ["speller", "value_slots", "values"]


def values(data: bytes, names: Collection[str]) -> Iterator[tuple[str, int, int]]:
    """Yield name, start and stop of each value whose decoded name is one of ``names``."""
    position = 0
    for pair in data.split(b"&"):
        raw_name, equals, _ = pair.partition(b"=")
        if equals:
            name = _decode(raw_name)
            if name is not None and name in names:
                yield name, position + len(raw_name) + 1, position + len(pair)
        position += len(pair) + 1


def value_slots(part: Part, data: bytes, names: Collection[str]) -> list[Slot]:
    """Return a slot for each value of the parameters ``names`` in ``data``."""
    found = []
    for _, start, stop in values(data, names):
        raw = data[start:stop]
        text = _decode(raw)
        # What is not UTF-8 has no text; the slot stays so that the skip is told.
        skip = Reason.UNENCODABLE if text is None else None
        found.append(Slot(part, start, stop, text or "", speller(raw), skip))
    return found


def speller(raw: bytes) -> Callable[[str], bytes]:
    """Return the function that encodes a text as ``raw`` was: blanks as ``%20`` or as ``+``."""
    encode = quote if b"%20" in raw and b"+" not in raw else quote_plus
    return lambda text: encode(text, safe="").encode("ascii")


def _decode(raw: bytes) -> str | None:
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        return None
