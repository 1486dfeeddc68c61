"""Locks that owners give to shared objects."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from middleware import (
    Memo,
    MemoKey,
    Mode,
    PaginationKey,
    PaginationMemory,
    RateLimiter,
    TypingAhead,
)
from middleware.core.guarded import Guarded

KEY = MemoKey("a", "engine", "policy", Mode.REPLACE, "")
PAGE = PaginationKey("", "me", "/", "a", True)


class CountingLock:
    """Counts how often it is taken."""

    def __init__(self) -> None:
        self.taken = 0

    def __enter__(self) -> None:
        """Take it."""
        self.taken += 1

    def __exit__(self, *error: object) -> None:
        """Give it back."""


@pytest.mark.parametrize(
    ("make", "call"),
    [
        (Memo, lambda memo: memo.get(KEY, 0.0)),
        (PaginationMemory, lambda pages: pages.first(PAGE, 0.0)),
        (TypingAhead, lambda typing: typing.is_typing("me", "a", 0.0)),
        (lambda: RateLimiter(1.0), lambda limiter: limiter.take("me", 0.0)),
    ],
    ids=["memo", "pages", "typing", "rate limit"],
)
def test_the_first_owners_lock_is_held_until_a_fork(
    make: Callable[[], Guarded], call: Callable[[Guarded], object]
) -> None:
    """It works without a lock; a second owner replaces none, a forked child does."""
    shared = make()
    call(shared)
    first, second, child = CountingLock(), CountingLock(), CountingLock()
    shared.guard(first)
    shared.guard(second)
    call(shared)
    assert (first.taken, second.taken) == (1, 0)
    shared.guard(child, after_fork=True)
    call(shared)
    assert (first.taken, child.taken) == (1, 1)


def test_objects_have_locks_of_their_own() -> None:
    one, other = Memo(), Memo()
    one.guard(threading.Lock())
    lock = CountingLock()
    other.guard(lock)
    one.get(KEY, 0.0)
    assert lock.taken == 0
