"""What the tables keep of requests: hashes of their keys, within a bound of bytes."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Hashable
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import (
    Memo,
    MemoKey,
    Mode,
    PaginationKey,
    PaginationMemory,
    RateLimiter,
    SentQuery,
    TypingAhead,
    Verdict,
)
from middleware.core.key_hash import written
from middleware.serving.shared_pagination import SharedPaginationMemory
from tests.conftest import at_most

_LARGE = 30_000  # characters


class Kind(Enum):
    """A kind of client."""

    APP = "app"


def pagination(table: PaginationMemory, part: Callable[[int], str], step: int) -> None:
    key = PaginationKey(part(9), (part(30), part(5)), part(99), part(99), True)
    table.note(key, SentQuery(part(3), (part(1), part(1))), step / 1e6)
    table.first(key, step / 1e6)


def rate(table: RateLimiter, part: Callable[[int], str], step: int) -> None:
    table.take((part(50), part(50).encode("utf-8", "surrogatepass")), step / 1e6)


def typing(table: TypingAhead, part: Callable[[int], str], step: int) -> None:
    table.is_typing((part(50), part(50)), part(1), step / 1e6)


def memo(table: Memo, part: Callable[[int], str], step: int) -> None:
    key = MemoKey(part(2), "e", "p", Mode.REPLACE, part(20))
    table.put(key, Verdict(part(2)), step / 1e6)


TABLES: list[tuple[Callable[[], Any], Callable[[Any, Callable[[int], str], int], None], int]] = [
    (lambda: PaginationMemory(max_bytes=2**20), pagination, 2**20),
    (lambda: PaginationMemory(max_entries=50), pagination, 2**20),
    (lambda: SharedPaginationMemory(max_entries=100), pagination, 2**18),
    (lambda: RateLimiter(1.0, max_entries=500), rate, 2**18),
    (lambda: TypingAhead(max_bytes=2**18), typing, 2**19),
    (lambda: TypingAhead(max_entries=100), typing, 2**20),
    (lambda: Memo(max_bytes=2**20), memo, 2**21),
    (lambda: Memo(max_entries=500, max_bytes=2**20), memo, 2**21),
]


@pytest.mark.parametrize(("make", "put", "bound"), TABLES)
@pytest.mark.parametrize("letter", ["a", "é", "\N{LEFT-POINTING MAGNIFYING GLASS}", "\udc80"])
def test_each_is_bounded_in_bytes(
    make: Callable[[], Any],
    put: Callable[[Any, Callable[[int], str], int], None],
    bound: int,
    letter: str,
) -> None:
    """With keys of all sizes that were never there before, of one to four bytes a character."""
    draw = random.Random(7)
    number = 0

    def part(share: int) -> str:
        nonlocal number
        number += 1
        return f"{number} {letter * draw.randint(0, _LARGE * share // 100)}"

    table = make()
    put(table, part, 0)
    tracemalloc.start()
    try:
        for step in range(1, 500):
            put(table, part, step)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < bound


@pytest.mark.parametrize(("make", "put"), [(make, put) for make, put, _ in TABLES[:6]])
def test_no_key_is_kept(make: Callable[[], Any], put: Callable[..., None]) -> None:
    """Neither of a client nor of a path, and each table hashes with a key of its own."""
    tables = make(), make()
    for table in tables:
        put(table, lambda share: f"secret {share}" if share > 3 else f"kept {share}", 0)
    states = [repr(vars(table)) for table in tables]
    assert "secret" not in "".join(states)
    if not isinstance(tables[0], SharedPaginationMemory):
        first, second = (next(iter(content(table))) for table in tables)
        assert first != second
        assert len(first) == 16


def content(table: Any) -> Any:
    """Return the dictionary of a table."""
    return next(value for value in vars(table).values() if isinstance(value, dict) and value)


KEYS: st.SearchStrategy[Hashable] = st.recursive(
    st.text(max_size=4) | st.binary(max_size=4) | st.integers(-3, 3) | st.none(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=4,
)


@given(KEYS, KEYS)
def test_keys_are_written_alike_if_they_are_equal(one: Hashable, other: Hashable) -> None:
    assert (written(one) == written(other)) is (one == other)


@pytest.mark.parametrize(
    ("one", "equal", "other"),
    [
        (frozenset("abc"), frozenset("cba"), frozenset("ab")),
        (Kind.APP, Kind("app"), "app"),
        (("a", Kind.APP), ("a", Kind.APP), ("b", Kind.APP)),
        (-1, -1, -2),
        (("a", b"b"), ("a", b"b"), ("a", "b")),
        ("('a',)", "('a',)", ("a",)),
    ],
)
def test_other_keys_than_texts_stay_apart(one: Hashable, equal: Hashable, other: Hashable) -> None:
    """What a function of somebody's own may return for a client."""
    assert written(one) == written(equal) != written(other)
    for pages in (PaginationMemory(), SharedPaginationMemory()):
        search = PaginationKey("", one, "/", "a", True)
        pages.note(search, SentQuery("b"), 0.0)
        assert pages.first(search._replace(client=equal), 1.0) == SentQuery("b")
        assert pages.first(search._replace(client=other), 1.0) is None


@given(st.lists(st.text(max_size=3), min_size=8, max_size=8), st.booleans())
def test_parts_of_a_key_are_not_taken_for_each_other(parts: list[str], expands: bool) -> None:
    """Wherever one ends and the next begins."""
    pages = PaginationMemory()
    one = PaginationKey(parts[0], parts[1], parts[2], parts[3], expands)
    other = PaginationKey(parts[4], parts[5], parts[6], parts[7], expands)
    pages.note(one, SentQuery("b"), 0.0)
    assert (pages.first(other, 0.0) is None) is (one != other)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 600)), max_size=at_most(60)))
def test_the_bytes_that_are_counted_are_those_of_the_entries(
    steps: list[tuple[int, int]],
) -> None:
    """Whatever is stored, renewed, replaced and dropped."""
    pages = PaginationMemory(max_entries=6, max_bytes=3000, ttl=9.0)
    for now, (number, size) in enumerate(steps):
        key = PaginationKey("", "c", "/", str(number), False)
        pages.note(key, SentQuery("x" * size) if size % 3 else None, float(now))
        pages.first(key._replace(text=str(size % 10)), float(now))
        assert pages._bytes == sum(entry[2] for entry in pages._entries.values()) <= 3000
