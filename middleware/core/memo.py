"""The memo: a cache of verdicts, limited in entries, bytes and time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from cachetools import Cache, TLRUCache

from ..errors import ConfigurationError
from .arguments import checked
from .guarded import Guarded
from .outcome import Mode, Reason
from .reformulation import Verdict

# Bytes of a key, an entry and cachetools' bookkeeping without the texts, measured on CPython 3.11
# with tracemalloc over 100,000 entries and rounded up.
ENTRY_OVERHEAD = 900


class MemoKey(NamedTuple):
    """What a verdict depends on.

    ``text`` is the normalized text, ``engine`` the engine's name and revision, ``policy`` the
    policy's revision, ``scope`` the tenant or index that shares verdicts.
    """

    text: str
    engine: str
    policy: str
    mode: Mode
    scope: str


# Plain tuples of texts and numbers, because the garbage collector skips these: scanning 50,000
# entries made of objects would stop the process for a tenth of a second.
_Key = tuple[str, str, str, str, str]
_Entry = tuple[str | None, str | None, int, float]
"""Rewrite and reason of the verdict, its size in bytes, and when it expires."""
_REASONS: dict[str | None, Reason | None] = {None: None} | {r.value: r for r in Reason}


@dataclass(frozen=True, slots=True)
class MemoStats:
    """The memo's entries and bytes at one moment, and its hits and misses since the start."""

    entries: int
    bytes: int
    hits: int
    misses: int


class Memo(Guarded):
    """A cache of verdicts that drops the least recently used, each with its own time to live.

    ``ttl`` is for accepted rewrites and unchanged texts, ``rejection_ttl`` for rejected rewrites,
    both in seconds. Each call is passed the time as ``now``. Timeouts, overload and engine errors
    are never stored.

    Invariants: ``entries <= max_entries`` and ``bytes <= max_bytes``; an expired entry is never
    returned. Concurrency: safe from any thread after ``guard``; each call holds the lock for
    microseconds. Errors: ``ConfigurationError`` from the constructor.
    """

    @checked
    def __init__(
        self,
        *,
        max_entries: int = 50_000,
        max_bytes: int = 64 * 2**20,
        ttl: float = 24 * 3600.0,
        rejection_ttl: float = 60.0,
    ) -> None:
        for name, value in (
            ("max_entries", max_entries),
            ("max_bytes", max_bytes),
            ("ttl", ttl),
            ("rejection_ttl", rejection_ttl),
        ):
            if not value > 0:
                raise ConfigurationError(f"memo: {name} ({value}) must be above 0")
        if max_bytes < ENTRY_OVERHEAD:
            raise ConfigurationError(
                f"memo: max_bytes ({max_bytes}) is less than one entry takes ({ENTRY_OVERHEAD})"
            )
        self.ttl = ttl
        self.rejection_ttl = rejection_ttl
        self._now = 0.0
        self._hits = self._misses = 0
        self._changing = False
        # Counting each entry as at least its share of the bytes limits their number too.
        self._floor = max(1, max_bytes // max_entries)
        self._max_size = min(max_bytes, self._floor * max_entries)
        self._cache = self._empty()

    def _empty(self) -> TLRUCache[_Key, _Entry]:
        return TLRUCache(
            maxsize=self._max_size,
            ttu=self._expiry,
            timer=partial(getattr, self, "_now"),  # without a call in Python, as lookups are hot
            getsizeof=self._charge,
        )

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Hold the lock, and mark the cache as incomplete for a fork in the meantime."""
        with self._lock:
            self._changing = True
            try:
                yield
            finally:
                self._changing = False

    def _expiry(self, key: _Key, value: _Entry, now: float) -> float:
        return value[3]

    def _charge(self, value: _Entry) -> int:
        return max(self._floor, value[2])

    def get(self, key: MemoKey, now: float) -> Verdict | None:
        """Return the verdict stored for ``key`` at ``now``, or ``None``."""
        with self._lock:
            self._now = max(self._now, now)
            # Enum members equal their texts, so that the key finds its plain tuple.
            try:
                entry = self._cache[key]  # ``get`` would look it up twice
            except KeyError:
                self._misses += 1
                return None
            self._hits += 1
        rewrite, reason, _, _ = entry
        return Verdict(rewrite, _REASONS[reason])

    def put(self, key: MemoKey, verdict: Verdict, now: float, *, left: float | None = None) -> None:
        """Store a verdict, unless it is larger than the whole memo.

        ``left`` limits its time to live in seconds, for verdicts from a snapshot.
        """
        life = self.ttl if verdict.reason is None else self.rejection_ttl
        if left is not None:
            if left <= 0:
                return
            life = min(life, left)
        size = ENTRY_OVERHEAD + sys.getsizeof(key.text) + sys.getsizeof(key.scope)
        size += sys.getsizeof(verdict.rewrite)
        bare = (key.text, key.engine, key.policy, key.mode.value, key.scope)
        reason = None if verdict.reason is None else verdict.reason.value
        with self._change():
            self._now = max(self._now, now)
            try:
                self._cache[bare] = (verdict.rewrite, reason, size, self._now + life)
            except ValueError:  # larger than the memo
                self._cache.pop(bare, None)

    def purge(self, matches: Callable[[MemoKey], bool] = lambda key: True) -> int:
        """Remove the entries whose key ``matches``, and return how many there were."""
        with self._change():
            doomed = [key for key in list(self._cache) if matches(_key_of(key))]
            for key in doomed:
                self._cache.pop(key, None)
            return len(doomed)

    def measure(self, matches: Callable[[MemoKey], bool]) -> tuple[int, int]:
        """Return the number and the bytes of the entries whose key ``matches``; marks none used."""
        with self._lock:
            found = [key for key in list(self._cache) if matches(_key_of(key))]
            return len(found), sum(self._charge(Cache.__getitem__(self._cache, k)) for k in found)

    def entries(self, now: float) -> list[tuple[MemoKey, Verdict, float]]:
        """Return keys, verdicts and the seconds they have left, in the order they were stored.

        This marks all as used in that order, so call it only at the memo's end.
        """
        with self._change():
            self._now = max(self._now, now)
            self._cache.expire(self._now)
            found: list[tuple[MemoKey, Verdict, float]] = []
            for key in list(self._cache):
                rewrite, reason, _, until = self._cache[key]
                found.append((_key_of(key), Verdict(rewrite, _REASONS[reason]), until - self._now))
            return found

    def expire(self, now: float) -> None:
        """Remove what has expired by ``now``."""
        with self._change():
            self._now = max(self._now, now)
            self._cache.expire(self._now)

    def guard(self, lock: AbstractContextManager[Any], *, after_fork: bool = False) -> None:
        """Hold ``lock`` during each call, as ``Guarded`` says.

        If the fork came in the middle of a change, no thread of the child completes it, so the
        child's memo starts empty.
        """
        super().guard(lock, after_fork=after_fork)
        if after_fork and self._changing:
            self._changing = False
            self._cache = self._empty()

    def stats(self) -> MemoStats:
        """Return the present counts."""
        with self._lock:
            return MemoStats(len(self._cache), int(self._cache.currsize), self._hits, self._misses)

    def __len__(self) -> int:
        with self._lock:
            return len(self._cache)


def _key_of(bare: _Key) -> MemoKey:
    text, engine, policy, mode, scope = bare
    return MemoKey(text, engine, policy, Mode(mode), scope)
