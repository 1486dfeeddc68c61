"""Finds the parts of a search in the query DSL that may repeat a text."""

from __future__ import annotations

import json

from .comparisons import Comparisons
from .jsonspans import JsonValue, Path, Reader, encode_json

CONTAINING = ("wildcard", "regexp", "query_string", "simple_query_string")
"""Queries whose text may contain another text among operators."""
_CONTAINERS = [f'{kind}"' for kind in CONTAINING]
_MOST_IN_PARTS = 4_000_000  # comparisons
# For each character that is looked through: a text within quotation marks is compared up to the
# next quotation mark, so that this takes no longer however a part is made.
_OF_QUOTED = 8
_MOST_ESCAPED = 16 * 1024  # characters of parts with escapes that are compared in plain spelling
NEVER_ENTERED = frozenset(
    {"_source", "docvalue_fields", "fields", "ids", "indices_boost", "query_vector"}
    | {"runtime_mappings", "script", "script_fields", "search_after", "sort", "stored_fields"}
    | {"vector"}
)
"""Keys of what holds no query text, and may be large."""


class Repeated:
    """The texts whose other places are looked for, and what may hold them."""

    def __init__(self, texts: frozenset[str]) -> None:
        self.texts = texts
        self._written = [encode_json(text).decode("latin-1") for text in texts]
        self._spelled = [json.dumps(text, ensure_ascii=False) for text in texts]
        self._left = _MOST_ESCAPED
        self._in_parts = Comparisons(_MOST_IN_PARTS)
        self._in_escaped = Comparisons()
        self.in_values = Comparisons()

    def holds_only(self, data: bytes, decided: list[tuple[int, int]]) -> bool:
        """Return whether only places with these bounds can hold a text; never wrongly so."""
        rest, at = [], 0
        for start, stop in sorted(decided):
            rest.append(data[at:start])
            at = stop
        return not self._may_hold((b"".join(rest) + data[at:]).decode("latin-1"), parsed=False)

    def opened(self, reader: Reader, value: JsonValue) -> JsonValue:
        """Return a value with its members, if it was not entered and may hold a text."""
        return reader.open(value, _enter_all, self._may_hold)

    def _may_hold(self, part: str, parsed: bool = True) -> bool:
        """Return whether JSON, read as Latin-1, may hold a text as a string; never wrongly not.

        If it has escapes, it is ``parsed`` to see what they spell.
        """
        if "\\" not in part:
            if any(each in part for each in _CONTAINERS):
                return True
            allowed = self._in_parts.spend(len(part) * len(self._written) * _OF_QUOTED)
            return not allowed or any(each in part for each in self._written)
        if not parsed:
            return True
        self._left -= len(part)
        if self._left < 0:
            return True
        spelled = json.dumps(json.loads(part.encode("latin-1")), ensure_ascii=False)
        return any(each in spelled for each in _CONTAINERS) or any(
            self._in_escaped.may_hold(spelled, each) for each in self._spelled
        )


def _enter_all(path: Path) -> bool | None:
    if not path or path[-1] in NEVER_ENTERED:
        return not path or path[-2:-1] == ("highlight",)
    # Lists of values are long; each is looked through once.
    return None if path[-1] == "terms" and "terms" not in path[:-1] else True
