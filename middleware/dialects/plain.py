"""The plain dialect: a text in a URL parameter, a form field, or at a JSON pointer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from middleware.core.outcome import Reason
from middleware.errors import ConfigurationError

from .base import MAX_SLOTS, Part, SearchRequest, Slot
from .jsonspans import find, parse_pointer, spell_json
from .urlencoded import value_slots

__all__ = ["PlainDialect"]

_FORM = "application/x-www-form-urlencoded"


class PlainDialect:
    """Finds texts by name: any API that says its query as ``?q=``, in a form or in JSON.

    ``params`` are names of URL parameters and form fields, ``pointers`` are JSON pointers
    (RFC 6901) into bodies of a JSON media type. Where a name occurs more than once, each
    value is a text of its own. Bodies with a ``Content-Encoding`` are left alone.

    Errors: :class:`ConfigurationError` for a malformed pointer, and when neither is given.
    """

    name = "plain"

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
        if request.header(b"content-encoding").strip().lower() not in (b"", b"identity"):
            return False
        kind = request.media_type
        if kind == _FORM:
            return bool(self.params)
        return bool(self._pointers) and _is_json(kind)

    def slots(self, request: SearchRequest) -> Sequence[Slot]:
        """Return the texts in the query string and in the body."""
        found = value_slots(Part.QUERY_STRING, request.query_string, self.params)
        if request.body and self.wants_body(request):
            if request.media_type == _FORM:
                found += value_slots(Part.BODY, request.body, self.params)
            else:
                found += self._json_slots(request.body)
        return found[:MAX_SLOTS]

    def _json_slots(self, body: bytes) -> list[Slot]:
        return [
            Slot(Part.BODY, s.start, s.stop, s.text, spell_json, _skip(s.text))
            for s in find(body, self._pointers.__contains__, self._above.__contains__)
        ]


def _is_json(media_type: str) -> bool:
    return media_type in ("application/json", "text/json") or media_type.endswith("+json")


def _skip(text: str) -> Reason | None:
    """A lone surrogate can be said in JSON but is no text, and has no bytes in UTF-8."""
    return Reason.UNENCODABLE if any("\ud800" <= char <= "\udfff" for char in text) else None
