"""Revisions derived from code and constants, for keys that must change when either does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum, EnumType
from functools import cached_property, lru_cache
from hashlib import sha256
from types import CodeType, FunctionType, ModuleType
from typing import Any


def revision_of(decider: object) -> str:
    """Return a digest of what an object decides by: its attributes and ``code_revision``.

    ``revision`` itself, as a method or an attribute, does not count.
    """
    kind: Any = type(decider)  # mypy takes no class for hashable
    state = {name: value for name, value in vars(decider).items() if name != "revision"}
    return _short("\n".join([code_revision(kind), *_Walk(kind).definitions(state)]))


@lru_cache(maxsize=64)
def code_revision(root: type | FunctionType) -> str:
    """Return a digest of the code of a class or function: 16 hexadecimal digits.

    It covers the functions, classes and constants (word lists, patterns, numbers) that this code
    names, in every module of the same package, and those that these name in turn. Objects of
    other packages, and what is imported inside a function, count by their names only. Docstrings
    and comments do not count.

    Equal for equal files in all processes of one version of Python; another version compiles
    other code. The first call takes some milliseconds, later ones return the same text.
    """
    return _short("\n".join(_Walk(root).definitions(root)))


def _short(text: str) -> str:
    return sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


class _Walk:
    """Writes values down in a form that is equal for equal values in every process."""

    def __init__(self, root: Any) -> None:
        origins = root.__mro__[:-1] if isinstance(root, type) else (root,)
        self._packages = {origin.__module__.partition(".")[0] for origin in origins}
        self._found: dict[int, Any] = {}  # functions and classes of these packages, in order
        self._written: dict[int, tuple[object, str]] = {}  # with the object, so that ids stay taken

    def definitions(self, value: Any) -> Iterator[str]:
        """Yield a value in writing, then the definition of all that it leads to."""
        yield self.text(value)
        done = 0
        while done < len(self._found):
            defined = list(self._found.values())[done]
            done += 1
            write = self._class if isinstance(defined, type) else self._function
            yield f"{self._name(defined)} = {write(defined)}"

    def text(self, value: Any) -> str:
        """Return a value in writing; functions and classes by name, for ``definitions``."""
        if type(value) is str:  # nearly all are
            return repr(value)
        if isinstance(value, Enum):
            return f"{self._name(type(value))}.{value.name}"
        if value is None or value is ... or isinstance(value, str | bytes | int | float | complex):
            return repr(value)
        if isinstance(value, frozenset | set | dict | tuple | list):
            if id(value) not in self._written:
                self._written[id(value)] = (value, _short(self._container(value)))
            return self._written[id(value)][1]
        if isinstance(value, re.Pattern):
            return f"re {value.pattern!r} {value.flags}"
        if isinstance(value, CodeType):
            return self._code(value)
        if isinstance(value, ModuleType):
            return value.__name__
        inner = _inner(value)
        if inner is not None:
            return f"{type(value).__name__} {self.text(inner)}"
        if isinstance(value, FunctionType | type) and self._is_own(value):
            self._found.setdefault(id(value), value)
        return self._name(value if hasattr(value, "__qualname__") else type(value))

    def _container(self, value: Any) -> str:
        if isinstance(value, dict):
            parts = sorted(f"{self.text(key)}: {self.text(value[key])}" for key in value)
        else:
            parts = list(map(self.text, value))
            if isinstance(value, frozenset | set):
                parts.sort()
        return f"{type(value).__name__} {', '.join(parts)}"

    def _is_own(self, value: Any) -> bool:
        return (value.__module__ or "").partition(".")[0] in self._packages

    def _name(self, value: Any) -> str:
        package, _, module = (getattr(value, "__module__", None) or "").partition(".")
        # The package may be imported under two names.
        return f"{'' if package in self._packages else package}.{module}.{value.__qualname__}"

    def _class(self, kind: type) -> str:
        if isinstance(kind, EnumType):
            members: dict[str, Enum] = dict(kind.__members__)
            return self.text({name: member.value for name, member in members.items()})
        parts = [self.text(kind.__bases__)]
        for name, value in sorted(vars(kind).items()):
            special = name.startswith("__") and not isinstance(value, FunctionType)
            if not special and name != "revision":
                parts.append(f"{name} {self.text(value)}")
        return "; ".join(parts)

    def _function(self, function: FunctionType) -> str:
        code = function.__code__
        if code.co_consts and code.co_consts[0] == function.__doc__:
            code = code.replace(co_consts=(None, *code.co_consts[1:]))
        closure = [cell.cell_contents for cell in function.__closure__ or ()]
        parts = [function.__defaults__, function.__kwdefaults__, closure, code]
        named = [name for name in dict.fromkeys(_names(code)) if name in function.__globals__]
        written = [f"{name} {self.text(function.__globals__[name])}" for name in named]
        return "; ".join([*map(self.text, parts), *written])

    def _code(self, code: CodeType) -> str:
        return f"{code.co_code.hex()} {code.co_names} {self.text(list(code.co_consts))}"


def _inner(value: Any) -> Callable[..., Any] | None:
    """Return the function that a decorator such as ``property`` or ``lru_cache`` holds."""
    if isinstance(value, property):
        return value.fget
    if isinstance(value, cached_property):
        return value.func
    inner: Callable[..., Any] | None = None
    if not isinstance(value, FunctionType):
        inner = getattr(value, "__wrapped__", None)
    return inner


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names that a function's code uses, those of inner functions included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
