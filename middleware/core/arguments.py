"""Checks the arguments of public constructors against their annotations."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import ConfigurationError

P = ParamSpec("P")
R = TypeVar("R")

_NUMBERS: dict[Any, type] = {int: Integral, float: Real}
_NAMES: dict[Any, str] = {
    bool: "True or False",
    bytes: "bytes",
    float: "a number",
    int: "a whole number",
    str: "a text",
    type(None): "None",
}
_FUNCTION = get_origin(Callable[[], None])
_LISTS = (list, tuple, set, frozenset)


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Return a constructor with a check of its arguments.

    A value whose type contradicts its annotation raises ``ConfigurationError``, which names the
    argument and what is right, in place of Python's own error from somewhere within. Annotations of
    protocols, and of what cannot be told apart at run time, take everything.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        check_arguments(function, args, kwargs)
        return function(*args, **kwargs)

    return call


def check_arguments(function: Callable[..., Any], args: Any, kwargs: Any) -> None:
    """Raise ``ConfigurationError`` for the first argument that its annotation does not allow."""
    try:
        given = _signature(function).bind(*args, **kwargs).arguments
    except TypeError:
        return  # Python's own error follows, and names the argument
    _check(function.__qualname__.removesuffix(".__init__"), given, _hints(function))


def check_fields(made: object) -> None:
    """Do the same as ``checked`` for the fields of a dataclass, from its ``__post_init__``."""
    kind: Any = type(made)  # mypy takes no class for hashable
    hints = _hints(kind)
    _check(kind.__qualname__, {name: getattr(made, name) for name in hints}, hints)


def _check(owner: str, given: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name in hints and not _allows(hints[name], value):
            shown = repr(value)
            shown = shown if len(shown) <= 80 else f"{shown[:80]}…"
            raise ConfigurationError(f"{owner}: {name} must be {_named(hints[name])}, not {shown}")


@functools.lru_cache(maxsize=256)
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


@functools.lru_cache(maxsize=256)
def _hints(annotated: Any) -> dict[str, Any]:
    try:
        hints = get_type_hints(annotated)
    except Exception:  # names that only exist for a type checker
        return {}
    if isinstance(annotated, type):
        return hints
    parameters = _signature(annotated).parameters
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        name: hint
        for name, hint in hints.items()
        if name in parameters and parameters[name].kind not in several
    }


def _allows(hint: Any, value: Any) -> bool:
    """Return whether an annotation allows a value."""
    kind = get_origin(hint) or hint
    if kind in (Union, types.UnionType):
        return any(_allows(each, value) for each in get_args(hint))
    if kind in _NUMBERS:
        return isinstance(value, _NUMBERS[kind]) and not isinstance(value, bool)
    if kind is _FUNCTION:
        return callable(value)
    if kind is Any or not isinstance(kind, type) or getattr(kind, "_is_protocol", False):
        return True
    if kind.__module__ != "collections.abc":
        return isinstance(value, kind)
    # A text is a list of its letters, too, which nobody means.
    inner = get_args(hint)[:1]
    if not isinstance(value, _LISTS) or inner != (str,):
        return not isinstance(value, str | bytes | Real | None)
    return all(isinstance(item, str) for item in value)


def _named(hint: Any) -> str:
    """Return an annotation in words."""
    kind = get_origin(hint) or hint
    if kind in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_named, get_args(hint))))
    if kind is _FUNCTION:
        return "a function"
    if kind in _NAMES:
        return _NAMES[kind]
    if getattr(kind, "__module__", "") == "collections.abc":
        return "a list of texts" if get_args(hint)[:1] == (str,) else "a list"
    return f"a {kind.__name__}" if isinstance(kind, type) else str(hint)
