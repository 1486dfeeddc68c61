"""The content of a request without its texts, to compare it before and after an edit."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

TEXT = object()
_PACKED = ("params", "source")


class Pairs(list[tuple[str, Any]]):
    """An object's members, in order, doubled ones included."""


def outline(query_string: bytes, body: bytes, texts: frozenset[str]) -> Any:
    """Return the content of a request, with a mark in place of each of ``texts``."""
    return _params(query_string, texts), [_line(line, texts) for line in body.split(b"\n")]


def _params(data: bytes, texts: frozenset[str]) -> Any:
    return [
        (name, _packed(value, texts) if name in _PACKED else _mark(value, texts))
        for name, value in parse_qsl(data.decode("latin-1"), True, encoding="utf-8")
    ]


def _packed(value: str, texts: frozenset[str]) -> Any:
    return _line(value.encode("utf-8", "surrogatepass"), texts)


def _line(line: bytes, texts: frozenset[str]) -> Any:
    try:
        said = json.loads(line, object_pairs_hook=Pairs, parse_float=str, parse_int=str)
    except ValueError:
        return _params(line, texts)
    return _json(said, texts)


def _json(value: Any, texts: frozenset[str]) -> Any:
    if isinstance(value, Pairs):
        return Pairs(
            (key, _params(said.encode(), texts))
            if key == "params" and isinstance(said, str)
            else (key, _json(said, texts))
            for key, said in value
        )
    if isinstance(value, list):
        return [_json(item, texts) for item in value]
    return _mark(value, texts)


def _mark(value: Any, texts: frozenset[str]) -> Any:
    return TEXT if isinstance(value, str) and value in texts else value
