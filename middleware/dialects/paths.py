"""Globs for canonical paths.

``*`` matches a segment or any part of one, ``**`` any number of segments, including none:
``/**/_search`` matches ``/_search`` and ``/a/b/_search``, ``/a*`` matches ``/a`` and ``/ab``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from ..errors import ConfigurationError


class PathGlobs:
    """Matches paths against a set of globs; a slash at the end of a path does not matter.

    Errors: ``ConfigurationError`` for a glob that does not start with a slash, or that has
    ``**`` beside other characters in a segment. Concurrency: immutable.
    """

    def __init__(self, globs: Iterable[str]) -> None:
        self.match = _compiled(tuple(globs)).fullmatch
        """Return a match, or ``None`` if no glob matches a canonical path."""


@lru_cache(maxsize=256)
def _compiled(globs: tuple[str, ...]) -> re.Pattern[str]:
    patterns = list(map(_pattern, globs)) or [r"(?!)"]
    return re.compile(f"(?:{'|'.join(patterns)})/*", re.DOTALL)


def _pattern(glob: str) -> str:
    if not glob.startswith("/"):
        raise ConfigurationError(f"path {glob!r} must start with '/'; write it like '/search'")
    return "".join(_segment(segment, glob) for segment in glob.rstrip("/").split("/")[1:])


def _segment(segment: str, glob: str) -> str:
    if segment == "**":
        return r"(?:/[^/]*)*"
    if "**" in segment:
        raise ConfigurationError(
            f"path {glob!r}: '**' stands for whole segments; write it like '/a/**/b'"
        )
    if segment == "*":
        return r"/[^/]+"
    return "/" + r"[^/]*".join(map(re.escape, segment.split("*")))
