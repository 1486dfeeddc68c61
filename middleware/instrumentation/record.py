"""The record of a decision, from which headers, logs and metrics are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..core.outcome import Mode
from ..core.reformulation import Reformulation


@dataclass(frozen=True, slots=True)
class Record:
    """A decision, and the mode and the engine with which it was made.

    In ``shadow`` mode, ``reformulation`` is the one that would have been sent.
    """

    reformulation: Reformulation
    mode: Mode
    engine: str


Observer = Callable[[Record], None]
"""Receives each record: on any thread, and quickly. Its exceptions are logged and dropped."""
