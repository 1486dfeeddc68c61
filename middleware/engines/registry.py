"""Makes engines by name, without importing the libraries that they run on."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

from ..errors import ConfigurationError, MissingExtraError
from .base import Engine

DEFAULT_ENGINE = "t5"
ENTRY_POINTS = "querylift.engines"
"""The entry point group under which other packages offer engines."""

# name -> (module and class, extra that installs its dependencies)
_ENGINES: dict[str, tuple[str, str | None]] = {
    "t5": (".t5:T5Engine", None),
    "transformers": (".transformers:TransformersEngine", None),
}


def engine_names() -> list[str]:
    """Return the names that ``load_engine`` knows."""
    return sorted({*_ENGINES, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def load_engine(
    name: str = DEFAULT_ENGINE, model: str | os.PathLike[str] | None = None, **options: Any
) -> Engine:
    """Return the engine called ``name`` for ``model``: the bundled one, a folder or a hub id.

    The model's files are checked here, in milliseconds; the worker thread loads the weights later.
    ``options`` go to the engine's constructor. Errors: ``ConfigurationError`` for an unknown name
    or option, ``ModelError`` for wrong files, ``MissingExtraError`` if an optional dependency is
    not installed.
    """
    factory = _factory(name)
    try:
        return cast(Engine, factory(model, **options))
    except TypeError as error:
        raise ConfigurationError(f"engine {name}: {error}") from error


def _factory(name: str) -> Any:
    if name in _ENGINES:
        target, extra = _ENGINES[name]
        module, _, attribute = target.partition(":")
        try:
            return getattr(import_module(module, __package__), attribute)
        except ImportError as error:
            if extra is None:
                raise
            raise MissingExtraError(f"engine {name}", extra) from error
    for point in entry_points(group=ENTRY_POINTS, name=name):
        return point.load()
    raise ConfigurationError(
        f"no engine is called {name!r}; known engines: {', '.join(engine_names())}"
    )
