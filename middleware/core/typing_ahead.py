"""Detection of texts that are still being typed, for pages that search at every key."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from ..errors import ConfigurationError
from .guarded import Guarded


class TypingAhead(Guarded):
    """Tells unfinished texts from finished ones by the client's previous text.

    A text is unfinished if the same client sent, within ``window`` seconds, another text that it
    begins with (a key was pressed) or that begins with it (one was deleted). The same text again is
    finished: somebody pressed Enter. So is a text without a previous one, or after a pause. As the
    next text is not known, the first text of a series counts as finished, the last one as
    unfinished.

    ``client`` is a key per client and place of search; two people with one key are mixed up. Each
    call is passed the time. Texts of more than ``max_chars`` characters are finished and not
    stored. Invariants: at most ``max_entries`` clients, none of them silent for longer than the
    window. Concurrency: safe from any thread after ``guard``; each call holds the lock for a
    microsecond. Errors: ``ConfigurationError`` from the constructor.
    """

    def __init__(
        self, *, window: float = 1.0, max_entries: int = 10_000, max_chars: int = 256
    ) -> None:
        if not window > 0:
            raise ConfigurationError(f"typing: window ({window}) is in seconds, above 0")
        if max_entries < 1:
            raise ConfigurationError(f"typing: max_entries ({max_entries}) must be at least 1")
        if max_chars < 1:
            raise ConfigurationError(f"typing: max_chars ({max_chars}) must be at least 1")
        self.window = window
        self.max_entries = max_entries
        self.max_chars = max_chars
        self._last: OrderedDict[Hashable, tuple[float, str]] = OrderedDict()

    def is_typing(self, client: Hashable, text: str, now: float) -> bool:
        """Record a client's text, and return whether it is still being typed."""
        with self._lock:
            before = self._last.pop(client, None)
            if len(text) <= self.max_chars:
                self._last[client] = (now, text)
            while self._last:  # the first one is the least recent
                since, _ = self._last[next(iter(self._last))]
                if now - since <= self.window and len(self._last) <= self.max_entries:
                    break
                self._last.popitem(last=False)
        if before is None or now - before[0] > self.window or len(text) > self.max_chars:
            return False
        last = before[1]
        # Nothing is known yet of the first letter in an empty field.
        return bool(last) and last != text and (text.startswith(last) or last.startswith(text))

    def __len__(self) -> int:
        return len(self._last)
