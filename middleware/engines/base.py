"""The contract between the worker thread and whatever runs a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..core.outcome import Reason

__all__ = ["Answer", "Engine", "Loadable", "Refusal"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An engine's answer to a text that it can tell it should not rewrite, with the reason.

    ``unencodable`` (pieces outside the vocabulary), ``too_long`` (more tokens than the
    model takes) and ``rejected_unknown_token`` (unknown pieces in the answer) are the usual ones.
    """

    reason: Reason


Answer = str | Refusal | None
"""A complete rewrite, a refusal, or ``None``: stopped early, or no end of sequence was produced.

A rewrite that repeats itself without end may be given up to its third time, which acceptance
refuses as a whole.
"""


class Engine(Protocol):
    """Something that reformulates texts; small enough to write by hand in a test.

    ``name`` and ``revision`` (weights and decoding parameters) become part of the memo's
    key: change ``revision`` whenever the same text could get another answer.

    Concurrency: called from one worker thread at a time.
    """

    @property
    def name(self) -> str:
        """The engine's name, a word."""
        ...

    @property
    def revision(self) -> str:
        """What tells its answers from those of another model or other parameters."""
        ...

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Return one answer for each text, in order; blocks.

        ``cancelled(i)`` tells whether nobody wants text ``i`` any more; ask between
        decoding steps, and answer ``None`` for it. Raise for a fault of the engine: it is
        counted, logged and becomes ``engine_error``, never an error to a search request.
        """
        ...


@runtime_checkable
class Loadable(Protocol):
    """An engine with something heavy to load before its first text."""

    def load(self) -> None:
        """Load and warm up; called once, on the worker thread, before ``generate``.

        Errors: ``EngineError`` with what is wrong and how to mend it.
        """
        ...
