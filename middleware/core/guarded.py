"""State that several threads share, with a lock that its owner provides."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any


class Guarded:
    """Base of the classes whose objects are shared between threads.

    An object works without a lock until its owner calls ``guard``. Subclasses hold
    ``self._lock`` during each access to their state.
    """

    _lock: AbstractContextManager[Any] = nullcontext()

    def guard(self, lock: AbstractContextManager[Any], *, after_fork: bool = False) -> None:
        """Hold ``lock`` during each call from now on; an object that has a lock keeps it.

        So two owners of one object share the first one's lock. ``after_fork`` replaces it: in
        a forked child, a thread that no longer exists may hold the old one.
        """
        if after_fork:
            self._lock = lock
        else:
            vars(self).setdefault("_lock", lock)  # one step, so that no two owners both win
