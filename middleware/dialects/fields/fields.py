"""Which fields of a search hold prose."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate

from ...core.arguments import checked
from ...errors import ConfigurationError
from .names import MAX_NAME, looks_exact
from .schemas import Place, Schemas


class Fields:
    """Tells which fields hold prose, so that a text in others is an exact value and stays.

    ``prose`` and ``exact`` are globs of names that settle it; ``exact`` wins. For other names,
    ``schemas`` has what the upstream told, if it is given. What that does not know is judged by
    the name.

    Errors: ``ConfigurationError`` for an empty glob, and for a text in place of a list.
    Concurrency: that of ``schemas``.
    """

    @checked
    def __init__(
        self,
        prose: Iterable[str] = (),
        exact: Iterable[str] = (),
        schemas: Schemas | None = None,
    ) -> None:
        self._prose = _compiled(prose)
        self._exact = _compiled(exact)
        self._schemas = schemas

    def of(
        self, place: Place | None = None, looks: Callable[[str], bool] = looks_exact
    ) -> Callable[[str], bool]:
        """Return a function that tells whether a field of ``place`` holds prose.

        ``looks`` tells whether a name is that of a field with exact values.
        """
        known = None
        if self._schemas is not None and place is not None:
            known = self._schemas.known(place)

        def holds_prose(name: str) -> bool:
            if len(name) > MAX_NAME:
                return False
            if self._exact is not None and self._exact.match(name):
                return False
            if self._prose is not None and self._prose.match(name):
                return True
            told = None if known is None else known.holds_prose(name)
            return not looks(name) if told is None else told

        return holds_prose


def _compiled(globs: Iterable[str]) -> re.Pattern[str] | None:
    patterns = tuple(globs)
    if not all(patterns):
        raise ConfigurationError("a field's name must not be empty; write it like title or *.text")
    return re.compile("|".join(map(translate, patterns))) if patterns else None
