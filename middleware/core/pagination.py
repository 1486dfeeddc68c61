"""The query that a search's first page was sent with, for its later pages."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

from ..errors import ConfigurationError
from .arguments import checked
from .guarded import Guarded
from .key_hash import new_key_hash, written

# Bytes of an entry without its texts, measured on CPython 3.11 with tracemalloc and rounded up.
_ENTRY_OVERHEAD = 450


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

    Invariants: at most ``max_entries`` entries of at most ``max_bytes`` bytes, the least recently
    used is dropped first; an expired one is never returned. Of keys, only hashes are kept.
    Concurrency: safe from any thread after ``guard``; each call holds the lock for a microsecond.
    Errors: ``ConfigurationError`` from the constructor.
    """

    @checked
    def __init__(
        self, *, max_entries: int = 10_000, max_bytes: int = 16 * 2**20, ttl: float = 900.0
    ) -> None:
        for name, least in (("max_entries", max_entries), ("max_bytes", max_bytes)):
            if not least >= 1:
                raise ConfigurationError(f"pages: {name} ({least}) must be at least 1")
        if not ttl > 0:
            raise ConfigurationError(f"pages: ttl ({ttl}) is in seconds and must be above 0")
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.ttl = ttl
        self._hash = new_key_hash()
        # Every use moves an entry to the end, so that the order is that of expiry as well.
        self._entries: OrderedDict[bytes, tuple[float, SentQuery, int]] = OrderedDict()
        self._bytes = 0
        self._due = 0.0  # no entry expires earlier

    def note(self, key: PaginationKey, sent: SentQuery | None, now: float) -> None:
        """Store what a first page was sent with; ``None`` if it was sent unchanged."""
        # The same as ``_digest``, as a first page calls no function that it can do without.
        scope, client, path, text, expands = key
        client = repr(client) if type(client) is str else written(client)
        data = f"{len(scope)} {len(path)} {len(text)} {expands} {scope}{path}{text}{client}"
        digest: bytes = self._hash(data.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            if now >= self._due:
                self._expire(now)
            before = self._entries.pop(digest, None)
            if before is not None:
                self._bytes -= before[2]
            if sent is not None:
                if before is not None and before[1] == sent:
                    size = before[2]
                else:
                    terms = sum(map(sys.getsizeof, sent.added)) if sent.added else 0
                    size = _ENTRY_OVERHEAD + sys.getsizeof(sent.query) + terms
                self._entries[digest] = (now + self.ttl, sent, size)
                self._bytes += size
                while len(self._entries) > self.max_entries or self._bytes > self.max_bytes:
                    self._bytes -= self._entries.popitem(last=False)[1][2]

    def first(self, key: PaginationKey, now: float) -> SentQuery | None:
        """Return what the first page was sent with, or ``None`` if it was sent unchanged."""
        digest = self._digest(key)
        with self._lock:
            if now >= self._due:
                self._expire(now)
            entry = self._entries.get(digest)
            if entry is None:
                return None
            self._entries[digest] = (now + self.ttl, *entry[1:])
            self._entries.move_to_end(digest)
            return entry[1]

    def __len__(self) -> int:
        return len(self._entries)

    def _digest(self, key: PaginationKey) -> bytes:
        scope, client, path, text, expands = key
        data = f"{len(scope)} {len(path)} {len(text)} {expands} {scope}{path}{text}"
        digest: bytes = self._hash(
            (data + written(client)).encode("utf-8", "surrogatepass")
        ).digest()
        return digest

    def _expire(self, now: float) -> None:
        self._due = now + self.ttl  # new entries expire no earlier
        while self._entries:
            digest, (until, _, size) = next(iter(self._entries.items()))
            if until > now:
                self._due = until
                return
            del self._entries[digest]
            self._bytes -= size
