"""The exceptions that Querylift raises, all at start-up or at construction.

::

    QueryliftError
    ├── ConfigurationError (ValueError)   a setting, rule or URL is wrong
    ├── MissingExtraError (ImportError)   an optional dependency is not installed
    └── EngineError
        └── ModelError                    model files are missing, damaged or unsupported

None of them ever reaches a search request: past start-up every fault becomes a
``Reason`` and the original query goes on.
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "EngineError",
    "MissingExtraError",
    "ModelError",
    "QueryliftError",
]


class QueryliftError(Exception):
    """Root of every exception that the package raises on purpose."""


class ConfigurationError(QueryliftError, ValueError):
    """A setting is wrong; the message says which, why, and how to mend it."""


class MissingExtraError(QueryliftError, ImportError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs an extra: pip install 'querylift[{extra}]', "
            f"or from a clone pip install '.[{extra}]'"
        )
        self.extra = extra


class EngineError(QueryliftError):
    """An engine cannot be made or started."""


class ModelError(EngineError):
    """A model's files are missing, damaged or of an unsupported kind."""
