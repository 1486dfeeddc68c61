"""The plain dialect: a text in a URL parameter, a form field, or at a JSON pointer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache, partial

from middleware.core.outcome import Reason
from middleware.errors import ConfigurationError

from .base import MAX_SLOTS, Part, SearchRequest, Slot
from .expansion import respelled
from .jsonspans import JsonValue, find, parse_pointer
from .search_api import is_encoded, is_form, is_json, json_slot
from .signing import signed_parts
from .urlencoded import FORM, value_slots

__all__ = ["PlainDialect"]


class PlainDialect:
    """Finds texts by name: any API that says its query as ``?q=``, in a form or in JSON.

    ``params`` are names of URL parameters and form fields, ``pointers`` are JSON pointers
    (RFC 6901) into bodies of a JSON media type. Where a name occurs more than once, each
    value is a text of its own. Bodies with a ``Content-Encoding``, and parts of a request
    that a signature covers, are left alone.

    Errors: :class:`ConfigurationError` for a malformed pointer, and when neither is given.
    """

    name = "plain"
    paths = ("/**",)
    pages = False

    def __init__(self, params: Iterable[str] = ("q",), pointers: Iterable[str] = ()) -> None:
        self.params = frozenset(params)
        self._pointers = frozenset(parse_pointer(pointer) for pointer in pointers)
        self._above = {p[:depth] for p in self._pointers for depth in range(len(p))}
        if not self.params and not self._pointers:
            raise ConfigurationError(
                "the plain dialect needs the name of a parameter or a JSON pointer"
            )

    def wants_body(self, request: SearchRequest) -> bool:
        """Tell whether the media type is one in which a text is looked for."""
        if is_encoded(request):
            return False
        if request.media_type == FORM:
            return bool(self.params) and is_form(request)
        return bool(self._pointers) and is_json(request.media_type)

    def slots(self, request: SearchRequest) -> Sequence[Slot]:
        """Return the texts in the query string and in the body."""
        found = list(self._in_query_string(request.query_string))
        if request.body and self.wants_body(request):
            if request.media_type == FORM:
                found += _expanding(value_slots(Part.BODY, request.body, self.params))
            else:
                found += _expanding(self._json_slots(request.body))
        if not found:
            return found
        signed = signed_parts(request)
        if not signed:
            return found[:MAX_SLOTS]
        return [
            replace(slot, skip=Reason.SIGNED) if slot.part in signed else slot
            for slot in found[:MAX_SLOTS]
        ]

    def _in_query_string(self, query_string: bytes) -> Sequence[Slot]:
        if len(query_string) > _REMEMBERED_LENGTH:
            return _expanding(value_slots(Part.QUERY_STRING, query_string, self.params))
        return _remembered(query_string, self.params)

    def _json_slots(self, body: bytes) -> list[Slot]:
        strings = find(body, self._pointers.__contains__, self._above.__contains__)
        slots = (json_slot(JsonValue(s.start, s.stop, s.text), language=None) for s in strings)
        return [slot for slot in slots if slot is not None]


_REMEMBERED_LENGTH = 256  # bytes


@lru_cache(maxsize=2048)
def _remembered(query_string: bytes, params: frozenset[str]) -> tuple[Slot, ...]:
    """Return the slots of a short query string: searches that repeat are found in one step."""
    return tuple(_expanding(value_slots(Part.QUERY_STRING, query_string, params)))


def _expanding(slots: list[Slot]) -> list[Slot]:
    """Give each slot the expansion of this dialect: the text and the terms after it."""
    for slot in slots:
        slot.expansion = respelled(slot, partial(_after, slot.spell))
    return slots


def _after(spell: Callable[[str], bytes], text: str, added: tuple[str, ...]) -> bytes:
    return spell(f"{text} {' '.join(added)}")
