"""Byte spans of values in JSON text (RFC 8259), found without building the document.

A rewrite replaces one string's bytes; big integers, duplicate keys, float spellings,
white space, key order and escapes elsewhere are never parsed and printed again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import NamedTuple, NoReturn

from ..errors import ConfigurationError

__all__ = [
    "JsonString",
    "JsonValue",
    "MalformedError",
    "encode_json",
    "find",
    "parse_pointer",
    "read",
]

Path = tuple[str, ...]
MAX_DEPTH = 64
"""Nesting beyond which a body is left alone."""

_SPACE = re.compile(r"[ \t\n\r]*")
_BLANKS = " \t\n\r"
# An array of numbers alone, a vector most of the time: nothing that is looked for is in it.
_NUMBERS = re.compile(r"\[[ \t\n\r]*[-0-9][-+0-9.eE, \t\n\r]*\]")
_STARTS = (b"{", b"[", b" ", b"\t", b"\n", b"\r")


class MalformedError(ValueError):
    """The text is no JSON, or none that may be edited; never leaves a dialect."""


class JsonValue(NamedTuple):
    """A value and the span of its bytes, quotation marks and braces included.

    ``value`` is what a scalar says, and ``...`` for an object or array; ``members`` and
    ``items`` are empty for those that were passed over.
    """

    start: int
    stop: int
    value: str | int | float | bool | EllipsisType | None
    members: tuple[tuple[str, JsonValue], ...] = ()
    items: tuple[JsonValue, ...] = ()

    @property
    def text(self) -> str | None:
        """The string that the value is, or ``None``."""
        return self.value if isinstance(self.value, str) else None

    def get(self, key: str) -> JsonValue:
        """Return the member called ``key``, ``MISSING`` (a null) where there is none.

        Errors: ``MalformedError`` where there are two; readers differ in which counts.
        """
        if not self.members:
            return MISSING
        found = [value for name, value in self.members if name == key]
        if len(found) > 1:
            raise MalformedError(f"{key!r} is said twice")
        return found[0] if found else MISSING

    def named(self) -> Iterator[tuple[str, JsonValue]]:
        """Yield the members. Errors: ``MalformedError`` where a name is said twice."""
        if len(self.members) > 1 and len(dict(self.members)) < len(self.members):
            raise MalformedError("a key is said twice")
        yield from self.members


MISSING = JsonValue(0, 0, None)


@dataclass(frozen=True, slots=True)
class JsonString:
    """A string value: ``start`` and ``stop`` bound its bytes, quotation marks included.

    ``path`` are the keys and positions that lead to it, from the root.
    """

    path: Path
    start: int
    stop: int
    text: str


def parse_pointer(pointer: str) -> Path:
    """Return the reference tokens of a JSON pointer (RFC 6901).

    Errors: ``ConfigurationError`` where it does not start with a slash or misuses ``~``.
    """
    if not pointer.startswith("/") or re.search(r"~(?![01])", pointer):
        raise ConfigurationError(
            f"JSON pointer {pointer!r} must start with '/' and use '~' only as '~0' or '~1'; "
            "for the key 'query' at the top write '/query'"
        )
    return tuple(t.replace("~1", "/").replace("~0", "~") for t in pointer[1:].split("/"))


def read(data: bytes, enter: Callable[[Path], bool]) -> JsonValue:
    """Return the document in ``data``, with spans, as far down as ``enter`` goes.

    ``enter`` tells whether the members of the object or array at a path are wanted; the
    rest is passed over at the speed of the standard library's scanner.

    Errors: ``MalformedError`` for what is no JSON in UTF-8 (``NaN`` is none, nor is a
    byte order mark part of it), or is nested too deeply.
    """
    if not data.startswith(_STARTS):
        raise MalformedError("no object and no array")
    try:
        data.decode("utf-8")
        # Read as Latin-1, a position in characters is a position in bytes; the marks of
        # JSON are ASCII, which no part of a longer UTF-8 sequence can be mistaken for.
        walk = _Walk(data.decode("latin-1"), enter)
        found = walk.value(walk.skip_space(0), ())
        if walk.skip_space(found.stop) != len(data):
            raise MalformedError("something follows the document")
    except (ValueError, IndexError, RecursionError) as error:
        raise MalformedError(str(error)) from None
    return found


def find(
    data: bytes, wanted: Callable[[Path], bool], enter: Callable[[Path], bool]
) -> Sequence[JsonString]:
    """Return the string values whose path is ``wanted``, in the order they stand.

    ``enter`` is that of ``read``. Gives nothing for what ``read`` refuses, or where
    one of the keys on the way to a wanted string is said twice.
    """
    try:
        return list(_strings(read(data, enter), (), wanted))
    except MalformedError:
        return ()


def encode_json(text: str) -> bytes:
    """Return a text as a JSON string; only what must be escaped is.

    What has no bytes in UTF-8 (a lone surrogate) becomes a question mark.
    """
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")


def _strings(value: JsonValue, path: Path, wanted: Callable[[Path], bool]) -> Iterator[JsonString]:
    if value.text is not None and wanted(path):
        yield JsonString(path, value.start, value.stop, value.text)
    for position, item in enumerate(value.items):
        yield from _strings(item, (*path, str(position)), wanted)
    seen: dict[str, bool] = {}
    for key, member in value.members:
        held = list(_strings(member, (*path, key), wanted))
        if key in seen and (held or seen[key]):
            raise MalformedError(f"{key!r} is said twice")
        seen[key] = bool(held) or seen.get(key, False)
        yield from held


def _no_number(name: str) -> NoReturn:
    raise MalformedError(f"{name} is no JSON")


# The standard library's scanner, in C: reads one value and tells where it ends.
_scan = json.JSONDecoder(parse_constant=_no_number).raw_decode


class _Walk:
    """One pass over a document, read as Latin-1."""

    def __init__(self, text: str, enter: Callable[[Path], bool]) -> None:
        self._text = text
        self._enter = enter

    def value(self, at: int, path: Path) -> JsonValue:
        """Read the value at ``at``."""
        mark = self._text[at]
        if mark in "{[" and not _NUMBERS.match(self._text, at) and self._enter(path):
            if len(path) >= MAX_DEPTH:
                raise MalformedError("nested too deeply")
            return self._object(at, path) if mark == "{" else self._array(at, path)
        said, end = _scan(self._text, at)
        if mark in "{[":
            said = ...
        elif mark == '"':
            said = self._string(at, end, said)
        return JsonValue(at, end, said)

    def skip_space(self, at: int) -> int:
        """Return the position of the first mark that is no white space."""
        if self._text[at : at + 1] not in _BLANKS:
            return at
        match = _SPACE.match(self._text, at)
        return match.end() if match else at

    def _object(self, start: int, path: Path) -> JsonValue:
        members: list[tuple[str, JsonValue]] = []
        at = self.skip_space(start + 1)
        while self._text[at] != "}" or members:
            if self._text[at] != '"':
                raise MalformedError("a key is no string")
            said, end = _scan(self._text, at)
            key = self._string(at, end, said)
            at = self.skip_space(end)
            if self._text[at] != ":":
                raise MalformedError("a key has no value")
            member = self.value(self.skip_space(at + 1), (*path, key))
            members.append((key, member))
            at = self.skip_space(member.stop)
            if self._text[at] == "}":
                break
            at = self._comma(at)
        return JsonValue(start, at + 1, ..., tuple(members))

    def _array(self, start: int, path: Path) -> JsonValue:
        items: list[JsonValue] = []
        at = self.skip_space(start + 1)
        while self._text[at] != "]" or items:
            item = self.value(at, (*path, str(len(items))))
            items.append(item)
            at = self.skip_space(item.stop)
            if self._text[at] == "]":
                break
            at = self._comma(at)
        return JsonValue(start, at + 1, ..., (), tuple(items))

    def _comma(self, at: int) -> int:
        if self._text[at] != ",":
            raise MalformedError("a comma is missing")
        return self.skip_space(at + 1)

    def _string(self, start: int, stop: int, said: str) -> str:
        """Return what the string says; ASCII says the same in Latin-1 and UTF-8."""
        if said.isascii():
            return said
        return str(json.loads(self._text[start:stop].encode("latin-1").decode("utf-8")))
