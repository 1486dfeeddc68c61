"""Byte spans of strings in JSON text (RFC 8259), found without building the document.

A rewrite replaces one string's bytes; big integers, duplicate keys, float spellings,
white space, key order and escapes elsewhere are never parsed and printed again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

from middleware.errors import ConfigurationError

__all__ = ["JsonString", "find", "parse_pointer", "spell_json"]

_SPACE = re.compile(r"[ \t\n\r]*")
# The standard library's scanner, in C: reads one value and tells where it ends.
_read = json.JSONDecoder().raw_decode
MAX_DEPTH = 64
"""Nesting beyond which a body is left alone."""


@dataclass(frozen=True, slots=True)
class JsonString:
    """A string value: ``start`` and ``stop`` bound its bytes, quotation marks included.

    ``path`` are the keys and positions that lead to it, from the root.
    """

    path: tuple[str, ...]
    start: int
    stop: int
    text: str


def parse_pointer(pointer: str) -> tuple[str, ...]:
    """Return the reference tokens of a JSON pointer (RFC 6901).

    Errors: :class:`ConfigurationError` where it does not start with a slash or misuses ``~``.
    """
    if not pointer.startswith("/") or re.search(r"~(?![01])", pointer):
        raise ConfigurationError(
            f"JSON pointer {pointer!r} must start with '/' and use '~' only as '~0' or '~1'; "
            "for the key 'query' at the top write '/query'"
        )
    return tuple(t.replace("~1", "/").replace("~0", "~") for t in pointer[1:].split("/"))


Path = tuple[str, ...]


def find(
    data: bytes, wanted: Callable[[Path], bool], enter: Callable[[Path], bool]
) -> Sequence[JsonString]:
    """Return the string values whose path is ``wanted``, in the order they stand.

    ``enter`` tells whether a wanted string may lie below a path; the rest is passed over
    at the speed of the standard library's scanner. Gives nothing for what is no JSON in
    UTF-8, is nested too deeply, or says one of the keys on the way to a wanted string
    twice (readers differ in which one counts).
    """
    if data[:1] not in (b"{", b"[", b" ", b"\t", b"\n", b"\r"):
        return ()
    # Read as Latin-1, a position in characters is a position in bytes; the marks of JSON
    # are ASCII, which no part of a longer UTF-8 sequence can be mistaken for.
    text = data.decode("latin-1")
    walk = _Walk(text, wanted, enter)
    try:
        data.decode("utf-8")
        end = walk.skip_space(walk.value(walk.skip_space(0), ()))
    except (ValueError, IndexError, RecursionError):
        return ()
    return walk.found if end == len(text) else ()


def spell_json(text: str) -> bytes:
    """Return a text as a JSON string; only what must be escaped is."""
    return json.dumps(text, ensure_ascii=False).encode("utf-8")


class _MalformedError(ValueError):
    """The text is no JSON, or no JSON that may be edited."""


class _Walk:
    """One pass over a document."""

    def __init__(
        self, text: str, wanted: Callable[[Path], bool], enter: Callable[[Path], bool]
    ) -> None:
        self._text = text
        self._wanted = wanted
        self._enter = enter
        self.found: list[JsonString] = []

    def value(self, at: int, path: Path) -> int:
        """Read the value at ``at`` and return where it ends."""
        mark = self._text[at]
        if mark in "{[" and self._enter(path):
            if len(path) >= MAX_DEPTH:
                raise _MalformedError
            return self._object(at + 1, path) if mark == "{" else self._array(at + 1, path)
        _, end = _read(self._text, at)
        if mark == '"' and self._wanted(path):
            self.found.append(JsonString(path, at, end, _decoded(self._text[at:end])))
        return end

    def skip_space(self, at: int) -> int:
        """Return the position of the first mark that is no white space."""
        match = _SPACE.match(self._text, at)
        return match.end() if match else at

    def _object(self, at: int, path: Path) -> int:
        at = self.skip_space(at)
        if self._text[at] == "}":
            return at + 1
        seen: dict[str, int] = {}
        while True:
            if self._text[at] != '"':
                raise _MalformedError
            _, end = _read(self._text, at)
            key = _decoded(self._text[at:end])
            at = self.skip_space(end)
            if self._text[at] != ":":
                raise _MalformedError
            before = len(self.found)
            at = self.skip_space(self.value(self.skip_space(at + 1), (*path, key)))
            held = len(self.found) - before
            if key in seen and (seen[key] or held):
                raise _MalformedError
            seen[key] = seen.get(key, 0) + held
            if self._text[at] == "}":
                return at + 1
            at = self._comma(at)

    def _array(self, at: int, path: Path) -> int:
        at = self.skip_space(at)
        if self._text[at] == "]":
            return at + 1
        for position in count():
            at = self.skip_space(self.value(at, (*path, str(position))))
            if self._text[at] == "]":
                break
            at = self._comma(at)
        return at + 1

    def _comma(self, at: int) -> int:
        if self._text[at] != ",":
            raise _MalformedError
        return self.skip_space(at + 1)


def _decoded(raw: str) -> str:
    """Return what a JSON string, read as Latin-1, says."""
    return str(json.loads(raw.encode("latin-1").decode("utf-8")))
