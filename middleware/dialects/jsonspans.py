"""Spans of the values in JSON text (RFC 8259), found without parsing the whole document.

A rewrite replaces the bytes of one string. The rest is never parsed and printed again, so big
integers, duplicate keys, the digits of floats, white space, key order and escapes stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from types import EllipsisType
from typing import Any, NamedTuple, NoReturn

from ..errors import ConfigurationError, QueryliftError

Path = tuple[str, ...]
MAX_DEPTH = 64
"""The deepest nesting of a body that is read; a deeper one is malformed."""
MAX_VALUES = 1000
"""The most values of a body that are read one by one; one with more is taken for malformed."""
MAX_TOKENS = 20_000
"""The most commas, opening brackets and, counted twice as objects cost the scanner most, colons."""

_MOST_OPENED = 500  # values of a document that are read in parts that were not entered at first
_SPACE = re.compile(r"[ \t\n\r]*")
_BLANKS = " \t\n\r"
# An array of nothing but numbers is usually a vector. It holds no text.
_NUMBERS = re.compile(r"\[[ \t\n\r]{0,64}+[-0-9][-+0-9.eE, \t\n\r]*+\]")
_TOKENS = (b",", b"[", b"{", b":", b":")
_STARTS = (b"{", b"[", b" ", b"\t", b"\n", b"\r")


class MalformedError(QueryliftError, ValueError):
    """A request that must not be edited; no dialect lets this exception out."""


class JsonValue(NamedTuple):
    """A value and the bounds of its bytes, including quotation marks and braces.

    ``value`` is that of a scalar, and ``...`` for an object or array. ``members`` and ``items``
    are empty if the object or array was not entered.
    """

    start: int
    stop: int
    value: str | int | float | bool | EllipsisType | None
    members: tuple[tuple[str, JsonValue], ...] = ()
    items: tuple[JsonValue, ...] = ()

    @property
    def text(self) -> str | None:
        """The value if it is a string, or ``None``."""
        return self.value if isinstance(self.value, str) else None

    def get(self, key: str) -> JsonValue:
        """Return the member called ``key``, or ``MISSING`` (a null) if there is none.

        Errors: ``MalformedError`` if there are two, because parsers differ in which one counts.
        """
        if not self.members:
            return MISSING
        found = [value for name, value in self.members if name == key]
        if len(found) > 1:
            raise MalformedError(f"{key!r} occurs twice")
        return found[0] if found else MISSING

    def named(self) -> Iterator[tuple[str, JsonValue]]:
        """Yield the members. Errors: ``MalformedError`` if a key occurs twice."""
        if len(self.members) > 1 and len(dict(self.members)) < len(self.members):
            raise MalformedError("a key occurs twice")
        yield from self.members


MISSING = JsonValue(0, 0, None)


def items_of(value: JsonValue) -> tuple[JsonValue, ...]:
    """Return the items of an array; any other value is returned as the only item."""
    return value.items or (value,)


def parse_pointer(pointer: str) -> Path:
    """Return the reference tokens of a JSON pointer (RFC 6901).

    Errors: ``ConfigurationError`` if it does not start with a slash or misuses ``~``.
    """
    if not pointer.startswith("/") or re.search(r"~(?![01])", pointer):
        raise ConfigurationError(
            f"JSON pointer {pointer!r} must start with '/' and use '~' only as '~0' or '~1'; "
            "for the key 'query' at the top write '/query'"
        )
    return tuple(t.replace("~1", "/").replace("~0", "~") for t in pointer[1:].split("/"))


def allowance() -> Iterator[int]:
    """Return an iterator of which ``read`` takes one item for each value, ``MAX_VALUES`` in all."""
    return iter(range(MAX_VALUES))


def read(
    data: bytes, enter: Callable[[Path], bool | None], allowed: Iterator[int] | None = None
) -> JsonValue:
    """Return the document in ``data`` with the bounds of its values, as deep as ``enter`` allows.

    Takes the arguments of ``Reader``, and raises what it raises.
    """
    return Reader(data, enter, allowed).document


def find(
    data: bytes, wanted: Callable[[Path], bool], enter: Callable[[Path], bool]
) -> Sequence[JsonValue]:
    """Return the string values whose path is ``wanted``, in the document's order.

    A path holds the keys and positions from the root; ``enter`` is that of ``read``. Returns
    nothing for a malformed document, or if a key on the way to a wanted string occurs twice.
    """
    try:
        return list(_strings(read(data, enter), (), wanted))
    except MalformedError:
        return ()


def encode_json(text: str) -> bytes:
    """Return a text as a JSON string, with no more escapes than JSON requires.

    A lone surrogate, which has no bytes in UTF-8, becomes a question mark.
    """
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")


def _strings(value: JsonValue, path: Path, wanted: Callable[[Path], bool]) -> Iterator[JsonValue]:
    if value.text is not None and wanted(path):
        yield value
    for position, item in enumerate(value.items):
        yield from _strings(item, (*path, str(position)), wanted)
    seen: dict[str, bool] = {}
    for key, member in value.members:
        inner = list(_strings(member, (*path, key), wanted))
        if key in seen and (inner or seen[key]):
            raise MalformedError(f"{key!r} occurs twice")
        seen[key] = bool(inner) or seen.get(key, False)
        yield from inner


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"{name} is not JSON")


# The standard library's scanner: reads one value and returns where it ends. It raises
# ``StopIteration`` if there is none. An integer of thousands of digits takes longer than a float.
_decoder = json.JSONDecoder(parse_int=float, parse_constant=_refuse_constant)
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]


class Reader:
    """Reads the document in ``data``, as deep as ``enter`` allows; ``document`` has its values.

    ``enter`` takes the path of an object or array and returns whether to read its members; ``None``
    asks ``holds``, which takes JSON read as Latin-1. The standard library's scanner, written in C,
    passes over the others. ``allowed`` is an ``allowance`` that several documents of a request
    share, and ``most`` how many tokens this one may have.

    Errors: ``MalformedError`` if it is nested too deeply, has too many values, or is not JSON in
    UTF-8. ``NaN`` and a byte order mark are not JSON.
    """

    def __init__(
        self,
        data: bytes,
        enter: Callable[[Path], bool | None],
        allowed: Iterator[int] | None = None,
        *,
        most: int = MAX_TOKENS,
    ) -> None:
        if not data.startswith(_STARTS):
            raise MalformedError("neither an object nor an array")
        if sum(map(data.count, _TOKENS)) > most:
            raise MalformedError("too many values")
        self.data = data
        self._opened = False
        self._enter = enter
        self._holds: Callable[[str], bool] = lambda part: False
        self._allowed = allowance() if allowed is None else allowed
        try:
            data.decode("utf-8")
            # In Latin-1 the position of a character is the position of a byte. JSON's punctuation
            # is ASCII, which never occurs within a longer UTF-8 sequence.
            self._text = data.decode("latin-1")
            self.document = self._read(self.skip_space(0))
            if self.skip_space(self.document.stop) != len(data):
                raise MalformedError("something follows the document")
        except ValueError as error:
            raise MalformedError(str(error)) from None

    def open(
        self, value: JsonValue, enter: Callable[[Path], bool | None], holds: Callable[[str], bool]
    ) -> JsonValue:
        """Return a value that was not entered, read anew, or as it is unless ``holds`` says so.

        ``enter`` takes paths from that value on. Errors: ``MalformedError``.
        """
        if value.value is not ... or value.members or value.items:
            return value
        if not holds(self._text[value.start : value.stop]):
            return value
        if not self._opened:
            self._opened, self._allowed = True, islice(self._allowed, _MOST_OPENED)
        self._enter, self._holds = enter, holds
        return self._read(value.start)

    def _read(self, at: int) -> JsonValue:
        try:
            return self.value(at, ())
        except StopIteration:
            raise MalformedError("no value, or too many") from None
        except (ValueError, IndexError, RecursionError) as error:
            raise MalformedError(str(error)) from None

    def value(self, at: int, path: Path) -> JsonValue:
        """Return the value that starts at ``at``; ``StopIteration`` if there may be no more."""
        next(self._allowed)
        first = self._text[at]
        if first == "{":
            if self._enters(at, path):
                return self._object(at, path)
        elif first == "[" and not _NUMBERS.match(self._text, at) and self._enters(at, path):
            return self._array(at, path)
        value, end = _scan(self._text, at)
        if first in "{[":
            value = ...
        elif first == '"':
            value = self._string(at, end, value)
        return JsonValue(at, end, value)

    def _enters(self, at: int, path: Path) -> bool:
        wanted = self._enter(path)
        return self._holds(self._text[at : _scan(self._text, at)[1]]) if wanted is None else wanted

    def skip_space(self, at: int) -> int:
        """Return the position of the next character that is no white space."""
        if self._text[at : at + 1] not in _BLANKS:
            return at
        match = _SPACE.match(self._text, at)
        return match.end() if match else at

    def _object(self, start: int, path: Path) -> JsonValue:
        members: list[tuple[str, JsonValue]] = []
        at = self._inside(start, path)
        while self._text[at] != "}" or members:
            if self._text[at] != '"':
                raise MalformedError("a key is no string")
            raw_key, end = _scan(self._text, at)
            key = self._string(at, end, raw_key)
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
        at = self._inside(start, path)
        while self._text[at] != "]" or items:
            item = self.value(at, (*path, str(len(items))))
            items.append(item)
            at = self.skip_space(item.stop)
            if self._text[at] == "]":
                break
            at = self._comma(at)
        return JsonValue(start, at + 1, ..., (), tuple(items))

    def _inside(self, start: int, path: Path) -> int:
        if len(path) >= MAX_DEPTH:
            raise MalformedError("nested too deeply")
        return self.skip_space(start + 1)

    def _comma(self, at: int) -> int:
        if self._text[at] != ",":
            raise MalformedError("a comma is missing")
        return self.skip_space(at + 1)

    def _string(self, start: int, stop: int, latin: str) -> str:
        """Return the string in UTF-8; ASCII is the same in Latin-1 and UTF-8."""
        if latin.isascii():
            return latin
        raw = self._text[start:stop].encode("latin-1").decode("utf-8")
        return str(_scan(raw, 0)[0]) if "\\" in raw else raw[1:-1]
