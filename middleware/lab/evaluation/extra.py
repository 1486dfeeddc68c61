"""Import the libraries of the ``eval`` extra."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ...errors import MissingExtraError


def require(module: str) -> Any:
    """Return a module of the ``eval`` extra. Errors: ``MissingExtraError`` if it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtraError("querylift eval", "eval") from error
