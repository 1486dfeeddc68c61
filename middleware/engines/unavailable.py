"""An engine that stands in for one that cannot be had, and says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import EngineError, MissingExtraError
from .base import Answer

__all__ = ["UnavailableEngine"]


class UnavailableEngine:
    """Fails to load with the error that kept the engine called ``name`` from being made.

    With it, requests pass with their original texts, and readiness pages tell the error.
    """

    revision = "unavailable"

    def __init__(self, name: str, error: EngineError | MissingExtraError) -> None:
        self.name = name
        self._error = error

    def load(self) -> None:
        """Raise the error."""
        raise self._error

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Raise the error; texts never come here, as the engine is never loaded."""
        raise self._error
