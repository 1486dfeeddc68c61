"""Where the text is within an argument: the argument itself, or a field of a body model in it."""

from __future__ import annotations

import copy
import dataclasses
import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin, get_type_hints

from ..errors import ConfigurationError

_FIELDLESS = (str, bytes, int, float, bool, type(None), list, tuple, set, frozenset)


class TextPlace:
    """The names of fields that lead from an argument to the text; without names, it is the text.

    A field is an attribute (Pydantic models, dataclasses, named tuples, other objects) or a key of
    a mapping. Concurrency: immutable.
    """

    def __init__(self, fields: Sequence[str] = ()) -> None:
        self.fields = tuple(fields)

    def get(self, argument: Any) -> str | None:
        """Return the text in an argument, or ``None`` if there is none."""
        for field in self.fields:
            argument = _field(argument, field)
        return argument if isinstance(argument, str) else None

    def put(self, argument: Any, text: str) -> Any:
        """Return a copy of the argument with another text; the argument stays as it is."""
        return _put(argument, self.fields, text)

    def check(self, annotation: Any, owner: str, param: str) -> None:
        """Raise ``ConfigurationError`` if an annotation says that no text can be there."""
        if not all(self.fields):
            path = ".".join((param, *self.fields))
            raise ConfigurationError(
                f"{owner}: param={path!r} names an empty field; write it like 'body.query'"
            )
        for field in self.fields:
            fieldless = (get_origin(annotation) or annotation) in _FIELDLESS
            inner = {} if fieldless else fields_of(annotation)
            if inner is None:
                return
            if field not in inner:
                known = ", ".join(inner) or "none"
                raise ConfigurationError(
                    f"{owner}: {param} has no field {field!r} (it has: {known})"
                )
            param, annotation = f"{param}.{field}", inner[field]
        if not _may_be_text(annotation):
            texts = text_fields(annotation)
            hint = f"; name a field of it, such as param='{param}.{texts[0]}'" if texts else ""
            kind = getattr(annotation, "__name__", annotation)
            raise ConfigurationError(f"{owner}: {param} is of type {kind}, not a text{hint}")


def text_fields(annotation: Any) -> list[str]:
    """Return the names of the fields that an annotation declares as texts."""
    return [name for name, inner in (fields_of(annotation) or {}).items() if _may_be_text(inner)]


def fields_of(annotation: Any) -> dict[str, Any] | None:
    """Return the fields of a model with their annotations; ``None`` if it declares none."""
    kinds = [kind for kind in _alternatives(annotation) if kind is not type(None)]
    kind = kinds[0] if len(kinds) == 1 else None
    if not isinstance(kind, type):
        return None
    models: Mapping[str, Any] | None = getattr(kind, "model_fields", None)  # Pydantic's
    if isinstance(models, Mapping):
        return {name: getattr(field, "annotation", Any) for name, field in models.items()}
    declares = dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")
    if not declares and not hasattr(kind, "__total__"):  # of typed dictionaries
        return None
    try:
        return get_type_hints(kind)
    except Exception:  # names that only exist for a type checker
        return None


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return (
        get_args(annotation)
        if get_origin(annotation) in (Union, types.UnionType)
        else (annotation,)
    )


def _may_be_text(annotation: Any) -> bool:
    for kind in _alternatives(annotation):
        kind = get_origin(kind) or kind
        if kind is Any or not isinstance(kind, type) or getattr(kind, "_is_protocol", False):
            return True
        if issubclass(kind, str) or issubclass(str, kind):
            return True
    return False


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _put(value: Any, fields: tuple[str, ...], text: str) -> Any:
    if not fields:
        return text
    name, *rest = fields
    inner = _put(_field(value, name), tuple(rest), text)
    if isinstance(value, Mapping):
        return {**value, name: inner}
    if hasattr(value, "model_copy"):
        return value.model_copy(update={name: inner})
    if isinstance(value, tuple) and hasattr(value, "_replace"):
        return value._replace(**{name: inner})
    other = copy.copy(value)
    object.__setattr__(other, name, inner)  # also of a frozen dataclass
    return other
