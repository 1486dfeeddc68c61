"""Loads dialects by name."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ..errors import ConfigurationError
from .base import Dialect

ENTRY_POINTS = "querylift.dialects"
"""The entry point group in which other packages register dialects: classes or functions."""

_DIALECTS = {
    "algolia": "AlgoliaDialect",
    "elasticsearch": "ElasticsearchDialect",
    "groonga": "GroongaDialect",
    "meilisearch": "MeilisearchDialect",
    "opensearch": "OpenSearchDialect",
    "plain": "PlainDialect",
    "solr": "SolrDialect",
    "typesense": "TypesenseDialect",
}


def dialect_names() -> list[str]:
    """Return the names that ``load_dialect`` accepts."""
    return sorted({*_DIALECTS, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def load_dialect(name: str, **options: Any) -> Dialect:
    """Return the dialect called ``name``, constructed with ``options``.

    Errors: ``ConfigurationError`` for an unknown name, for options that the dialect does not
    take, and for an entry point that returns no ``Dialect``.
    """
    factory = _factory(name)
    try:
        dialect = factory(**options)
    except TypeError as error:
        raise ConfigurationError(f"dialect {name}: {error}") from error
    if not isinstance(dialect, Dialect):
        raise ConfigurationError(
            f"dialect {name}: {type(dialect).__name__} is not a subclass of Dialect"
        )
    return dialect


def _factory(name: str) -> Any:
    if name in _DIALECTS:
        return getattr(import_module(f".{name}", __package__), _DIALECTS[name])
    for point in entry_points(group=ENTRY_POINTS, name=name):
        return point.load()
    raise ConfigurationError(f"no dialect is called {name!r}; known: {', '.join(dialect_names())}")
