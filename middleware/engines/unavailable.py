"""A placeholder for an engine that could not be made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import EngineError, MissingExtraError
from .base import Answer


class UnavailableEngine:
    """Raises, on loading, the error with which the engine called ``name`` could not be made.

    With it a server starts without rewriting, and its readiness page shows the error.
    """

    revision = "unavailable"

    def __init__(self, name: str, error: EngineError | MissingExtraError) -> None:
        self.name = name
        self._error = error

    def load(self) -> None:
        """Raise the error."""
        raise self._error

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Raise the error; never called, as the engine cannot be loaded."""
        raise self._error
