"""Reads a schema's JSON on a thread of its own, without holding up the event loop's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from ..jsonspans import JsonValue, MalformedError, Path, Reader

MAX_ANSWER = 1024 * 1024
"""The most bytes of an answer; a longer one is not read."""
_MOST_VALUES = 150_000
_STEP = 64  # values that are read between two pauses
_PAUSE = 0.0002  # seconds


def document(data: bytes, enter: Callable[[Path], bool] = lambda path: True) -> JsonValue | None:
    """Return the document in ``data``, or ``None`` if it is cut off or no JSON; blocks.

    ``enter`` is that of ``Reader``.
    """
    try:
        return Reader(data, enter, _unhurried(), most=MAX_ANSWER).document
    except MalformedError:
        return None


def _unhurried() -> Iterator[int]:
    """Yield as many items as values may be read, and let other threads run in between.

    The standard library's parser would hold the interpreter's lock for the whole document.
    """
    for number in range(_MOST_VALUES):
        if number % _STEP == 0:
            time.sleep(_PAUSE)
        yield number
