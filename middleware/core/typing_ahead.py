"""Which texts are still being typed: pages that search at every key ask for each beginning."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from ..errors import ConfigurationError
from .guarded import Guarded

__all__ = ["TypingAhead"]


class TypingAhead(Guarded):
    """Tells a text that is under way from a finished one, by the one before it.

    A text is under way when the same client asked, within ``window`` seconds, for another text
    that it begins with (a key was pressed) or that begins with it (one was taken back). The
    same text again is finished: somebody pressed Enter, or looks at it still. So is
    a text with nothing before it, and one that came after a pause. What cannot be seen is the
    future: the first text of a row counts as finished, the last one of it as under way.

    ``client`` is whatever tells clients, and the places that one client searches, apart: two
    people that it takes for one type for each other. Time is given. Invariants: at most
    ``max_entries`` clients, and none that was quiet for longer than the window; a text of more than
    ``max_chars`` characters is nobody's typing, and is not kept. Concurrency: each call takes one
    lock for a microsecond; any thread.
    Errors: ``ConfigurationError`` from the constructor.
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

    def under_way(self, client: Hashable, text: str, now: float) -> bool:
        """Take note of a client's text, and tell whether it is still being typed."""
        with self._lock:
            before = self._last.pop(client, None)
            if len(text) <= self.max_chars:
                self._last[client] = (now, text)
            while self._last:  # the first was quiet for longest
                since, _ = self._last[next(iter(self._last))]
                if now - since <= self.window and len(self._last) <= self.max_entries:
                    break
                self._last.popitem(last=False)
        if before is None or now - before[0] > self.window or len(text) > self.max_chars:
            return False
        last = before[1]
        # An emptied field and the first letter in it are no row yet.
        return bool(last) and last != text and (text.startswith(last) or last.startswith(text))

    def __len__(self) -> int:
        return len(self._last)
