"""The query that a search's first page was sent with, for its later pages."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

from ..errors import ConfigurationError
from .guarded import Guarded


class PaginationKey(NamedTuple):
    """What two requests have in common if they are about one search.

    ``scope`` is the tenant, ``client`` a key per client, ``path`` the canonical path or the name of
    what is searched, ``text`` the text that the client sent. ``expands`` tells whether the API can
    add terms at the text's place. It belongs to the key because ``expand`` mode sends the same text
    differently where terms can be added and where they cannot.
    """

    scope: str
    client: Hashable
    path: str
    text: str
    expands: bool


class SentQuery(NamedTuple):
    """A query that was sent in place of a text, and the terms that it added in ``expand`` mode."""

    query: str
    added: tuple[str, ...] = ()


class PaginationMemory(Guarded):
    """The rewrites that first pages were sent with, for ``ttl`` seconds after the last page.

    A first page that was sent unchanged has no entry, and removes that of an earlier first page,
    because later pages belong to the one that the client saw last. Each call is passed the time.

    Invariants: at most ``max_entries`` entries, the least recently used is dropped first; an
    expired one is never returned. Concurrency: safe from any thread after ``guard``; each call
    holds the lock for a microsecond. Errors: ``ConfigurationError`` from the constructor.
    """

    def __init__(self, *, max_entries: int = 10_000, ttl: float = 900.0) -> None:
        if max_entries < 1:
            raise ConfigurationError(f"pages: max_entries ({max_entries}) must be at least 1")
        if not ttl > 0:
            raise ConfigurationError(f"pages: ttl ({ttl}) is in seconds and must be above 0")
        self.max_entries = max_entries
        self.ttl = ttl
        # Every use moves an entry to the end, so that the order is that of expiry as well.
        self._entries: OrderedDict[PaginationKey, tuple[float, SentQuery]] = OrderedDict()
        self._due = 0.0  # no entry expires earlier

    def note(self, key: PaginationKey, sent: SentQuery | None, now: float) -> None:
        """Store what a first page was sent with; ``None`` if it was sent unchanged."""
        with self._lock:
            if now >= self._due:
                self._expire(now)
            self._entries.pop(key, None)
            if sent is not None:
                self._entries[key] = (now + self.ttl, sent)
                if len(self._entries) > self.max_entries:
                    self._entries.popitem(last=False)

    def first(self, key: PaginationKey, now: float) -> SentQuery | None:
        """Return what the first page was sent with, or ``None`` if it was sent unchanged."""
        with self._lock:
            if now >= self._due:
                self._expire(now)
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries[key] = (now + self.ttl, entry[1])
            self._entries.move_to_end(key)
            return entry[1]

    def __len__(self) -> int:
        return len(self._entries)

    def _expire(self, now: float) -> None:
        self._due = now + self.ttl  # new entries expire no earlier
        while self._entries:
            key, (until, _) = next(iter(self._entries.items()))
            if until > now:
                self._due = until
                return
            del self._entries[key]
