"""A bound on the work of looking for texts inside of other texts."""

from __future__ import annotations

_MOST = 1_000_000  # comparisons of one character with another, half a millisecond
_LONG = 30_000  # characters from which on every search of the interpreter is linear
_OF_LONG = 10  # comparisons for each character of so long a value


class Comparisons:
    """Counts what a request makes the interpreter compare when it looks for texts in values.

    ``in`` may compare each character of a short value with each of the text: that of a text
    ``aaaabaaaa`` in many values ``aaaaaaaaaa`` is quadratic. ``most`` is how many comparisons there
    may be; a search beyond is not made, and what it looks for must be taken for found.

    Concurrency: owned by one request.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._left = most

    def spend(self, comparisons: int) -> bool:
        """Count comparisons; return whether there may be so many."""
        self._left -= comparisons
        return self._left >= 0

    def allow(self, value: str, text: str) -> bool:
        """Count a search for ``text`` in ``value``; return whether it may be made."""
        if len(text) > len(value):
            return self.spend(0)
        return self.spend(len(value) * (len(text) if len(value) < _LONG else _OF_LONG))

    def may_hold(self, value: str, text: str) -> bool:
        """Return whether ``value`` holds ``text``; true as well if that would take too long."""
        return not self.allow(value, text) or text in value
