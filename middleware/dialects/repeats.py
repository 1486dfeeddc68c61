"""Finds a text again inside of other queries: alone, quoted, in groups, with local parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator

from ..core.outcome import Reason
from .base import MAX_TEXT, Part, QuerySpan
from .comparisons import Comparisons
from .jsonspans import JsonValue, encode_json
from .layers import Layer
from .operators import LUCENE

_MOST = 8  # places of a text in one value; further ones are taken for places where it must stay
_SHORTEST = 3  # characters of a text that is looked for within others
_LOCAL = re.compile(r"\{!([^{}]*)\}\s*")
_PARSER = re.compile(r"(?:type=)?(\w*)(?:\s|$)")
_PARSERS = ("", "lucene", "dismax", "edismax")
_DELIMITERS = ('""', "()", "''")
_BREAKS = re.compile(r"[\s()+!-]")


def occurrences(
    value: str, text: str, holds_prose: Callable[[str], bool], compared: Comparisons
) -> Iterator[tuple[int, int] | None]:
    """Yield where a query of Solr holds a text, so that another text may stand there.

    ``None`` stands for a place where the text must stay: an exact value, or a part of something
    else. ``holds_prose`` tells whether a field holds prose. A text that ``compared`` does not allow
    to look for is taken for one that must stay.
    """
    if not compared.allow(value, text):
        yield None
        return
    at = value.find(text) if len(text) >= _SHORTEST or value == text else -1
    for _ in range(_MOST):
        if at < 0:
            return
        stop = at + len(text)
        if not (_is_word(value[at - 1 : at]) or _is_word(value[stop : stop + 1])):
            yield (at, stop) if _is_whole(value, at, stop, holds_prose) else None
        at = value.find(text, stop)
    yield None


def kept_by(filters: Iterable[str | None], texts: frozenset[str]) -> Iterator[QuerySpan]:
    """Yield a span that keeps a text for each text that a filter holds as a value of its own."""
    compared = Comparisons()
    for value in filters:
        for text in texts if value else ():
            if any(True for _ in occurrences(value or "", text, bool, compared)):
                yield kept(text)


def spelled(data: bytes, value: JsonValue) -> str:
    """Return a value's JSON with no more escapes than it needs, if it has some and is short."""
    part = data[value.start : value.stop].decode("utf-8", "replace")
    if "\\" not in part or len(part) > MAX_TEXT:
        return part
    return json.dumps(json.loads(part), ensure_ascii=False)


def following(
    part: Part, layer: Layer, text: str, bounds: tuple[int, int], value: str
) -> QuerySpan:
    """Return the span that follows a text at ``bounds`` of ``value``, the text of ``layer``."""
    start, stop = (len(value[:bound].encode()) for bound in bounds)
    encode = LUCENE.neutralizing(str.encode, text)
    return layer.to_outer(QuerySpan(part, start, stop, text, encode, follows=True), part)


def kept(text: str) -> QuerySpan:
    """Return a span of no bytes that keeps a text in all places."""
    return QuerySpan(Part.BODY, 0, 0, text, encode_json, Reason.FIXED, follows=True)


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def _is_whole(value: str, at: int, stop: int, holds_prose: Callable[[str], bool]) -> bool:
    """Return whether what stands at these bounds is a query by words of its own."""
    before, after = value[:at], value[stop:].lstrip()
    local = _LOCAL.match(before)
    if local is not None:
        parser = _PARSER.match(local[1])
        if parser is None or parser[1] not in _PARSERS:
            return False
        before = before[local.end() :]
    before = before.rstrip()
    if not before and not after:
        return True
    delimited = False
    while f"{before[-1:]}{after[:1]}" in _DELIMITERS:
        delimited, before, after = True, before[:-1], after[1:]
    if not delimited:
        return False
    return not before.endswith(":") or holds_prose(_BREAKS.split(before[-260:-1])[-1])
