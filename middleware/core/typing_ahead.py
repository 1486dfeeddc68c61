"""Detection of texts that are still being typed, for pages that search at every key."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Hashable

from ..errors import ConfigurationError
from .arguments import checked
from .guarded import Guarded
from .key_hash import new_key_hash, written

# Bytes of an entry without its text, measured on CPython 3.11 with tracemalloc and rounded up.
_ENTRY_OVERHEAD = 300


class TypingAhead(Guarded):
    """Tells unfinished texts from finished ones by the client's previous text.

    A text is unfinished if the same client sent, within ``window`` seconds, another text that it
    begins with (a key was pressed) or that begins with it (one was deleted). The same text again is
    finished: somebody pressed Enter. So is a text without a previous one, or after a pause. As the
    next text is not known, the first text of a series counts as finished, the last one as
    unfinished.

    ``client`` is a key per client and place of search; two people with one key are mixed up. Each
    call is passed the time. Texts of more than ``max_chars`` characters are finished and not
    stored. Invariants: at most ``max_entries`` clients, of which only hashes are kept, with at most
    ``max_bytes`` bytes, and none of them silent for longer than the window. Concurrency: safe from
    any thread after ``guard``; each call holds the lock for a microsecond. Errors:
    ``ConfigurationError`` from the constructor.
    """

    @checked
    def __init__(
        self,
        *,
        window: float = 1.0,
        max_entries: int = 10_000,
        max_chars: int = 256,
        max_bytes: int = 8 * 2**20,
    ) -> None:
        if not window > 0:
            raise ConfigurationError(f"typing: window ({window}) is in seconds, above 0")
        bounds = {"max_entries": max_entries, "max_chars": max_chars, "max_bytes": max_bytes}
        for name, bound in bounds.items():
            if not bound >= 1:
                raise ConfigurationError(f"typing: {name} ({bound}) must be at least 1")
        self.window = window
        self.max_entries = max_entries
        self.max_chars = max_chars
        self.max_bytes = max_bytes
        self._hash = new_key_hash()
        self._last: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._bytes = 0

    def is_typing(self, client: Hashable, text: str, now: float) -> bool:
        """Record a client's text, and return whether it is still being typed."""
        digest: bytes = self._hash(written(client).encode()).digest()
        with self._lock:
            before = self._forget(digest)
            if len(text) <= self.max_chars:
                self._last[digest] = (now, text)
                self._bytes += _ENTRY_OVERHEAD + sys.getsizeof(text)
            while self._last:  # the first one is the least recent
                oldest = next(iter(self._last))
                full = len(self._last) > self.max_entries or self._bytes > self.max_bytes
                if now - self._last[oldest][0] <= self.window and not full:
                    break
                self._forget(oldest)
        if before is None or now - before[0] > self.window or len(text) > self.max_chars:
            return False
        last = before[1]
        # Nothing is known yet of the first letter in an empty field.
        return bool(last) and last != text and (text.startswith(last) or last.startswith(text))

    def _forget(self, digest: bytes) -> tuple[float, str] | None:
        before = self._last.pop(digest, None)
        if before is not None:
            self._bytes -= _ENTRY_OVERHEAD + sys.getsizeof(before[1])
        return before

    def __len__(self) -> int:
        return len(self._last)
