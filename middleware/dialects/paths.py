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
    """Return a pattern that needs no second try of what it passed over.

    The first match of what stands between two ``**`` is as good as any later one, so it is final
    (an atomic group). Only what follows the last ``**`` must be at the end of the path.
    """
    if not glob.startswith("/"):
        raise ConfigurationError(f"path {glob!r} must start with '/'; write it like '/search'")
    if unmatched := _UNMATCHED.search(glob):
        raise ConfigurationError(
            f"path {glob!r} has {unmatched[0]!r}, and would match no path: paths are compared "
            "without query string, decoded, and with '.', '..' and repeated slashes resolved"
        )
    first, *others = "".join(
        _segment(segment, glob) for segment in glob.rstrip("/").split("/")[1:]
    ).split(_ANY_SEGMENTS)
    if not others:
        return first
    inner = [rf"(?>{_SKIPPED}{part}(?=/|\Z))" for part in others[:-1] if part]
    last = rf"{_SKIPPED}{others[-1]}(?=/*\Z)" if others[-1] else "(?:/[^/]*+)*+"
    return "".join([first, *inner, last])


_ANY_SEGMENTS = "\0"  # in no path
_UNMATCHED = re.compile(r"[?#\0]|%[0-9A-Fa-f]{2}|//|/\.\.?(?=/|\Z)")
_SKIPPED = r"(?:/[^/]*+)*?"


def _segment(segment: str, glob: str) -> str:
    if segment == "**":
        return _ANY_SEGMENTS
    if "**" in segment:
        raise ConfigurationError(
            f"path {glob!r}: '**' stands for whole segments; write it like '/a/**/b'"
        )
    if segment == "*":
        return r"/[^/]++"
    first, *parts = map(re.escape, segment.split("*"))
    if not parts:
        return f"/{first}"
    inner = "".join(f"(?>[^/]*?{part})" for part in parts[:-1] if part)
    return rf"/{first}{inner}[^/]*{parts[-1]}(?=/|\Z)" if parts[-1] else f"/{first}{inner}[^/]*+"
