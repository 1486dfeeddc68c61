"""The one record that headers, logs and metrics are fed from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..core.outcome import Mode
from ..core.reformulation import Reformulation

__all__ = ["Observer", "Record"]


@dataclass(frozen=True, slots=True)
class Record:
    """A decision: the reformulation, and the mode and engine it was made with.

    In ``shadow`` mode the reformulation is the one that would have been sent.
    """

    reformulation: Reformulation
    mode: Mode
    engine: str


Observer = Callable[[Record], None]
"""Takes note of a record; quick, from any thread, and what it raises is logged and dropped."""
