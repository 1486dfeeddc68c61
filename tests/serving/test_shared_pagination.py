"""The pagination memory that several processes share."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware import PaginationKey, PaginationMemory, SentQuery
from middleware.serving.shared_pagination import SharedPaginationMemory


def key(text: str, client: str = "c") -> PaginationKey:
    """Return the key of a search."""
    return PaginationKey("", client, "/search", text, False)


@pytest.mark.parametrize("kind", [PaginationMemory, SharedPaginationMemory])
def test_an_entry_is_found_until_it_expires_or_is_removed(
    kind: type[PaginationMemory],
) -> None:
    """The shared memory behaves like the local one."""
    pages = kind(ttl=10.0)
    pages.note(key("a"), SentQuery("b é \ud800", ("x", "y")), 0.0)
    assert pages.first(key("a"), 9.0) == SentQuery("b é \ud800", ("x", "y"))
    assert pages.first(key("a"), 18.0) is not None, "each use renews it"
    assert pages.first(key("a", "other"), 18.0) is None
    assert pages.first(key("a"), 28.5) is None
    pages.note(key("a"), SentQuery("b"), 30.0)
    pages.note(key("a"), None, 31.0)
    assert pages.first(key("a"), 31.0) is None
    assert len(pages) in (0, 1)


def test_keys_in_one_slot_are_not_mixed_up() -> None:
    """With one slot, the last key has it; removing another key does not clear it."""
    pages = SharedPaginationMemory(max_entries=1)
    pages.note(key("a"), SentQuery("A"), 0.0)
    pages.note(key("b"), SentQuery("B"), 0.0)
    assert pages.first(key("a"), 0.0) is None
    pages.note(key("a"), None, 0.0)
    assert pages.first(key("b"), 0.0) == SentQuery("B")


def test_an_entry_that_does_not_fit_is_not_kept() -> None:
    pages = SharedPaginationMemory(max_entries=2)
    pages.note(key("a"), SentQuery("x" * 600), 0.0)
    assert pages.first(key("a"), 0.0) is None
    pages.note(key("a"), SentQuery("x" * 300), 0.0)
    assert pages.first(key("a"), 0.0) == SentQuery("x" * 300)


@given(st.integers(0, 511), st.integers(1, 255))
def test_a_torn_write_counts_as_empty(at: int, bits: int) -> None:
    """Any changed byte is noticed."""
    pages = SharedPaginationMemory(max_entries=1)
    pages.note(key("a"), SentQuery("some query", ("more",)), 0.0)
    pages._memory[at] ^= bits
    assert pages.first(key("a"), 0.0) in (None, SentQuery("some query", ("more",)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_process_finds_an_entry() -> None:
    pages = SharedPaginationMemory()
    child = os.fork()
    if child == 0:
        pages.note(key("a"), SentQuery("b"), 0.0)
        os._exit(0)
    os.waitpid(child, 0)
    assert pages.first(key("a"), 1.0) == SentQuery("b")
