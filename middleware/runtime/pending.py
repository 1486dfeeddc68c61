"""A lookup that the memo could not answer."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.deadline import Deadline
from ..core.memo import MemoKey
from ..core.outcome import Mode


@dataclass(slots=True)
class PendingLookup:
    """A text that may be rewritten, for ``Reformulator.resolve`` or ``Reformulator.refuse``.

    ``started`` is when the lookup began and ``budget`` how long it may take, in seconds.
    ``cached`` and ``stored``: the memo may be asked and filled. ``flights_closed`` is how many
    flights had closed before the memo was asked.
    """

    text: str
    key: MemoKey
    mode: Mode
    started: float
    budget: float
    cached: bool
    stored: bool
    flights_closed: int

    @property
    def deadline(self) -> Deadline:
        """The time by which the decision has to be made."""
        return Deadline.after(self.started, self.budget)
