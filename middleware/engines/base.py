"""The contract between the worker thread and whatever runs a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..core.outcome import Reason


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a text that the engine will not rewrite, with the reason.

    The usual reasons are ``unencodable`` (the text has characters outside the vocabulary),
    ``too_long`` (it has more tokens than the model takes) and ``rejected_unknown_token`` (the
    rewrite has unknown tokens).
    """

    reason: Reason


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The answer to a text that was stopped because ``cancelled`` returned true for it."""


@dataclass(frozen=True, slots=True)
class Truncated:
    """The answer to a text whose rewrite did not end within the limit of tokens."""


Answer = str | Refusal | Cancelled | Truncated
"""What an engine returns for one text; a ``str`` is a complete rewrite.

An engine may cut a rewrite that repeats itself at the third repetition and return it as
complete: acceptance rejects the repetition and may still use the edits before it.
"""


class Engine(Protocol):
    """Reformulates texts; small enough to write by hand in a test.

    ``name`` and ``revision`` are part of the memo's key: ``revision`` must change whenever the
    same text could get another answer (other weights, other decoding parameters).

    Concurrency: owned by one thread. A reformulator's worker claims the engine, loads it and
    calls it; a second worker that starts while the first one runs is refused.
    """

    @property
    def name(self) -> str:
        """The engine's name, one word."""
        ...

    @property
    def revision(self) -> str:
        """Identifies the model and all parameters that its answers depend on."""
        ...

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Return one answer per text, in order; blocks.

        ``cancelled(i)`` returns true once nobody waits for text ``i``. Ask it between decoding
        steps; then stop that text and answer ``Cancelled()``. Raise for a fault of the engine:
        the fault is counted and logged, and the search requests go on with their original
        queries (``engine_error``).
        """
        ...


@runtime_checkable
class Loadable(Protocol):
    """An engine that has to load something before its first call."""

    def load(self) -> None:
        """Load and warm up; called on the worker thread before the first ``generate``.

        Errors: ``EngineError`` that says what is wrong and how to mend it.
        """
        ...


@runtime_checkable
class Restartable(Loadable, Protocol):
    """An engine in a process that may end, or that has to be ended as it hangs."""

    @property
    def lost(self) -> bool:
        """Whether the process ended during a call; ``load`` starts another."""
        ...

    @property
    def hangs(self) -> bool:
        """Whether the process is known to hang or to be stopped, so that it may never end."""
        ...

    def abandon(self) -> None:
        """End the process, as this one is about to end; any thread may call it, also in a call.

        A process that others use is left to them, unless it hangs.
        """
        ...
