"""A limit on the new texts that one client gives the engine."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from ..errors import ConfigurationError
from .arguments import checked
from .guarded import Guarded
from .key_hash import new_key_hash, written


class RateLimiter(Guarded):
    """A token bucket for each client: ``rate`` texts a second, ``burst`` at once.

    It limits a client's share of the engine's time, and the number of new keys that it puts into
    the memo. Beyond ``max_entries`` clients the least recent one is forgotten, which refills its
    bucket. Of clients, only hashes are kept, which take some 300 bytes each. Each call is passed
    the time. Concurrency: safe from any thread after ``guard``; each call holds the lock for a
    microsecond. Errors: ``ConfigurationError`` from the constructor.
    """

    @checked
    def __init__(self, rate: float, *, burst: float = 20.0, max_entries: int = 10_000) -> None:
        if not rate > 0 or not burst >= 1 or max_entries < 1:
            raise ConfigurationError(
                f"rate limit: rate ({rate}) must be above 0, burst ({burst}) and max_entries "
                f"({max_entries}) at least 1"
            )
        self.rate = rate
        self.burst = burst
        self.max_entries = max_entries
        self._hash = new_key_hash()
        self._buckets: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def take(self, client: Hashable, now: float) -> bool:
        """Take one text from a client's bucket, and return ``False`` if it is empty."""
        digest: bytes = self._hash(written(client).encode()).digest()
        with self._lock:
            left, since = self._buckets.pop(digest, (self.burst, now))
            left = min(self.burst, left + self.rate * max(0.0, now - since))
            allowed = left >= 1
            self._buckets[digest] = (left - allowed, max(now, since))
            if len(self._buckets) > self.max_entries:
                self._buckets.popitem(last=False)
            return allowed

    def __len__(self) -> int:
        return len(self._buckets)
