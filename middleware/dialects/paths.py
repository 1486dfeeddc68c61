"""Globs over canonical paths: which requests are searches.

``*`` stands for one segment or a part of one, ``**`` for any number of segments, none
included: ``/**/_search`` matches ``/_search`` and ``/a/b/_search``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from middleware.errors import ConfigurationError

__all__ = ["PathGlobs"]

_TOKEN = re.compile(r"/\*\*(?=/|$)|\*|[^*/]+|/")


class PathGlobs:
    """A set of globs that paths are matched against; a slash at a path's end does not count.

    Errors: :class:`ConfigurationError` for a glob that does not start with a slash, or
    with ``**`` beside other characters in a segment. Concurrency: immutable.
    """

    def __init__(self, globs: Iterable[str]) -> None:
        self.globs = tuple(globs)
        self._match = _compiled(self.globs).fullmatch

    def match(self, path: str) -> bool:
        """Tell whether one of the globs matches a canonical path."""
        return self._match(path.rstrip("/") or "/") is not None


@lru_cache(maxsize=256)
def _compiled(globs: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(_pattern, globs)) or r"(?!)", re.DOTALL)


def _pattern(glob: str) -> str:
    if not glob.startswith("/"):
        raise ConfigurationError(f"path {glob!r} must start with '/'; write it like '/search'")
    parts: list[str] = []
    for token in _TOKEN.findall(glob.rstrip("/") or "/"):
        if token == "/**":
            parts.append(r"(?:/[^/]*)*")
        elif token == "*":
            if parts and parts[-1] == r"[^/]+":
                raise ConfigurationError(
                    f"path {glob!r}: '**' stands for whole segments; write it like '/a/**/b'"
                )
            parts.append(r"[^/]+")
        else:
            parts.append(re.escape(token))
    return "".join(parts)
