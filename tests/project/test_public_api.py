"""The public names: complete, documented, and enough to name every type in their signatures."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import middleware
from middleware import QueryliftError, errors

_PACKAGE = middleware.__name__
_APART = ("lab", "demo", "cli", "__main__", "serving")
"""Parts that are no library: commands and their errors."""


def _public() -> dict[str, Any]:
    return {name: getattr(middleware, name) for name in middleware.__all__}


def _functions(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what has a signature: a function, or a class's public methods and properties."""
    if inspect.isfunction(value):
        yield name, value
    elif inspect.isclass(value):
        for attribute, member in inspect.getmembers(value):
            if attribute.startswith("_") and attribute not in ("__init__", "__call__"):
                continue
            function = member.fget if isinstance(member, property) else member
            function = member.func if isinstance(member, cached_property) else function
            if inspect.isfunction(function) or inspect.ismethod(function):
                yield f"{name}.{attribute}", function


def _hints(of: Any) -> dict[str, Any]:
    """Return type hints; names under ``TYPE_CHECKING`` and dataclasses' own ``__init__`` too."""
    return typing.get_type_hints(of, localns={**vars(typing), **_public()})


def _classes(hint: Any) -> Iterator[type]:
    """Yield the package's classes in a hint, at any depth."""
    if inspect.isclass(hint) and hint.__module__.partition(".")[0] == _PACKAGE:
        yield hint
    for part in typing.get_args(hint):
        for each in part if isinstance(part, list) else [part]:
            yield from _classes(each)


def test_public_names() -> None:
    """``__all__`` is sorted, and each name can be had and is listed."""
    assert list(middleware.__all__) == sorted(set(middleware.__all__))
    assert set(middleware.__all__) <= set(dir(middleware))
    assert None not in _public().values()
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = middleware.no_such_name


@pytest.mark.parametrize("name", middleware.__all__)
def test_every_type_in_a_public_signature_is_public(name: str) -> None:
    """Constructors, public methods, properties and fields, protocols included."""
    value = _public()[name]
    found = {place: _hints(function) for place, function in _functions(name, value)}
    if inspect.isclass(value):
        found[name] = {
            field: hint for field, hint in _hints(value).items() if not field.startswith("_")
        }
    hidden = {
        f"{place}: {kind.__qualname__}"
        for place, hints in found.items()
        for hint in hints.values()
        for kind in _classes(hint)
        if kind.__name__ not in middleware.__all__ and kind is not value
    }
    assert not hidden


@pytest.mark.parametrize("name", middleware.__all__)
def test_every_public_class_and_function_says_what_it_is(name: str) -> None:
    """With a sentence, on the first line, that ends."""
    value = _public()[name]
    if inspect.isclass(value) or inspect.isfunction(value):
        first = (value.__doc__ or "").strip().split("\n\n")[0]
        assert first.endswith((".", ":", "``")), name


def _modules() -> Iterator[ModuleType]:
    root = Path(middleware.__file__).parent
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        if parts[0] not in _APART and parts[-1] != "__init__":
            try:
                yield importlib.import_module(".".join([_PACKAGE, *parts]))
            except ImportError:  # an engine whose libraries are not installed
                continue


@pytest.mark.model  # imports each module, and with some of them torch
def test_every_exception_stands_in_the_drawn_tree() -> None:
    """Also the other way round: the tree names no other, and draws each below its base."""
    raised = {
        kind
        for module in _modules()
        for kind in vars(module).values()
        if inspect.isclass(kind)
        and issubclass(kind, Exception)
        and kind.__module__.partition(".")[0] == _PACKAGE
        and not kind.__name__.startswith("_")
    }
    drawn = [
        line for line in (errors.__doc__ or "").splitlines() if "Error" in line and "─" in line
    ]
    assert {kind.__name__ for kind in raised} == {
        "QueryliftError",
        *(line.split("─ ")[1].split()[0] for line in drawn),
    }
    assert all(issubclass(kind, QueryliftError) for kind in raised)
    assert set(errors.__all__) <= set(middleware.__all__)
    depth = {line.split("─ ")[1].split()[0]: line.index("─") // 4 for line in drawn}
    for kind in raised - {QueryliftError}:
        base = next(base for base in kind.__bases__ if issubclass(base, QueryliftError))
        assert depth[kind.__name__] == depth.get(base.__name__, 0) + 1
