"""Makes engines by name, without importing the libraries that they run on."""

from __future__ import annotations

import difflib
import inspect
import os
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

from ..core.arguments import check_arguments
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
    _check_options(name, factory, model, options)
    try:
        return cast(Engine, factory(model, **options))
    except TypeError as error:
        raise ConfigurationError(f"engine {name}: {error}") from error


def _check_options(name: str, factory: Any, model: Any, options: dict[str, Any]) -> None:
    """Raise ``ConfigurationError`` for an option that the engine lacks, or of a wrong type."""
    try:
        parameters = list(inspect.signature(factory).parameters.values())[1:]
    except (TypeError, ValueError):  # without a signature, the call tells
        return
    known = [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]
    if len(known) == len(parameters):
        for option in options:
            if option not in known:
                near = difflib.get_close_matches(option, known, n=1)
                hint = (
                    f"did you mean {near[0]}?" if near else f"it has: {', '.join(known) or 'none'}"
                )
                raise ConfigurationError(f"engine {name}: there is no option {option!r}; {hint}")
    if inspect.isclass(factory):
        check_arguments(factory.__init__, (None, model), options)


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
