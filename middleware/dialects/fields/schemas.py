"""What an upstream has told about its fields, bounded and for some minutes; no I/O."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from .names import MAX_NAME, looks_exact

_MOST_PLACES = 128
_MOST_WANTED = 32
_MOST_NAMES = 20_000  # of all places together
_REFRESHED = 300.0  # seconds


class Place(NamedTuple):
    """Where fields are: the API, and the path of the index, collection or core, escaped."""

    api: str
    path: str


class Schema(NamedTuple):
    """Which fields hold prose: by name, and by patterns with one ``*`` at an end."""

    names: Mapping[str, bool]
    patterns: tuple[tuple[str, bool], ...] = ()

    def holds_prose(self, name: str) -> bool | None:
        """Return whether a field holds prose; ``None`` if that was not told."""
        told = self.names.get(name)
        if told is not None or not self.patterns:
            return told
        matching = [
            (len(pattern), holds)
            for pattern, holds in self.patterns
            if (
                name.endswith(pattern[1:])
                if pattern.startswith("*")
                else name.startswith(pattern[:-1])
            )
        ]
        return max(matching)[1] if matching else None


def condensed(told: Iterable[tuple[str, bool]]) -> dict[str, bool]:
    """Return what fields hold, without what their names say anyway."""
    return {
        name: holds for name, holds in told if len(name) <= MAX_NAME and holds is looks_exact(name)
    }


class Schemas:
    """The schemas of the places that were searched of late, each kept until it is told anew.

    A schema that is missing or old is wanted: ``wake`` is called, and whoever reads schemas takes
    the places from ``next_wanted`` and gives what was found to ``store``. An old one is used until
    then.

    Invariants: at most ``_MOST_PLACES`` places with ``_MOST_NAMES`` names, of which the least
    recently used leave first; at most ``_MOST_WANTED`` are wanted, and further ones are dropped.
    Concurrency: one event loop.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._told: OrderedDict[Place, tuple[float, Schema | None]] = OrderedDict()
        self._names = 0
        self._wanted: OrderedDict[Place, None] = OrderedDict()
        self.wake: Callable[[], None] = lambda: None

    def known(self, place: Place) -> Schema | None:
        """Return the schema of a place, or ``None`` if it is not known."""
        told = self._told.get(place)
        if told is None or told[0] <= self._now():
            if place not in self._wanted and len(self._wanted) < _MOST_WANTED:
                self._wanted[place] = None
                self.wake()
            if told is None:
                return None
        self._told.move_to_end(place)
        return told[1]

    def next_wanted(self) -> Place | None:
        """Return the place that has been wanted longest; it stays wanted until it is stored."""
        return next(iter(self._wanted), None)

    def store(self, place: Place, schema: Schema | None) -> None:
        """Store the schema of a place; ``None`` if it was not told, which is asked again later."""
        self._wanted.pop(place, None)
        self._drop(place)
        if schema is not None and _size(schema) > _MOST_NAMES:
            schema = None
        self._told[place] = (self._now() + _REFRESHED, schema)
        self._names += _size(schema)
        while len(self._told) > _MOST_PLACES or self._names > _MOST_NAMES:
            # First those of which nothing was told: anyone can name any index.
            unknown = (each for each, (_, told) in self._told.items() if told is None)
            self._drop(next(unknown, next(iter(self._told))))

    def _drop(self, place: Place) -> None:
        _, schema = self._told.pop(place, (0.0, None))
        self._names -= _size(schema)


def _size(schema: Schema | None) -> int:
    return 0 if schema is None else len(schema.names) + len(schema.patterns)
