"""The decorator: rewrites an argument of a Python search handler."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast, get_type_hints

from .core.arguments import check_arguments
from .core.deadline import check_budget
from .core.outcome import Mode
from .core.reformulation import Reformulation, no_text
from .core.text_place import TextPlace, fields_of
from .errors import ConfigurationError
from .runtime.reformulator import Reformulator

__all__ = ["reformulated"]

P = ParamSpec("P")
R = TypeVar("R")

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_DECISIONS = (Reformulation, Reformulation | None)
# The same annotations as text, for handlers whose other annotations cannot be evaluated.
_NAMED = re.compile(r"(?:\w++\.)*+(?:Optional\[(?:\w++\.)*+)?Reformulation\]?(?:\s*\|\s*None)?")


def reformulated(
    reformulator: Reformulator,
    *,
    param: str = "query",
    budget: float | None = None,
    mode: Mode | str | None = None,
    scope: str = "",
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that rewrites the argument ``param`` before the handler runs.

    Handlers may be functions, methods or generators, sync or async. The text may be passed by
    position, by keyword, or be the parameter's default; a value that is not a ``str`` is left
    alone. ``param`` may lead into a body model: with ``body.query``, the handler receives a copy of
    the argument ``body`` whose field ``query`` is rewritten.

    A parameter annotated ``Reformulation`` receives the decision; without a text that is
    ``skipped`` for ``no_text``. It is not part of the decorated function's signature.

    Concurrency: blocks the thread of a sync handler for the budget at most.
    Errors: ``ConfigurationError`` if the handler has no such parameter or it holds no text, for an
    unknown mode, and for a budget (seconds) that is not above 0 and below 60.
    """
    if not callable(getattr(reformulator, "reformulate_sync", None)):
        raise ConfigurationError(
            f"reformulated needs a reformulator, not {reformulator!r}; write "
            "@reformulated(reformulator) above a handler, with parentheses"
        )
    given = {"param": param, "budget": budget, "mode": mode, "scope": scope}
    check_arguments(reformulated, (reformulator,), given)
    chosen = None if mode is None else Mode.parse(mode)
    if budget is not None:
        check_budget(budget)
    options: dict[str, Any] = {"budget": budget, "mode": chosen, "scope": scope}

    def decorate(handler: Callable[P, R]) -> Callable[P, R]:
        if isinstance(handler, classmethod | staticmethod):
            return type(handler)(decorate(handler.__func__))
        if not callable(handler) or isinstance(handler, type):
            raise ConfigurationError(
                f"reformulated decorates a function or a method, not {handler!r}"
            )
        call = _Call(handler, param)
        code = _code_of(handler)
        wrapper: Any
        if inspect.iscoroutinefunction(code):

            @functools.wraps(handler)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                bound = call.bind(args, kwargs)
                if (text := call.text(bound)) is not None:
                    call.put(bound, await reformulator.reformulate(text, **options))
                return await call.handler(*bound.args, **bound.kwargs)

        elif inspect.isasyncgenfunction(code):

            @functools.wraps(handler)
            async def wrapper(*args: Any, **kwargs: Any) -> Any:
                bound = call.bind(args, kwargs)
                if (text := call.text(bound)) is not None:
                    call.put(bound, await reformulator.reformulate(text, **options))
                stream = call.handler(*bound.args, **bound.kwargs)
                step = anext(stream)
                while True:  # `yield from`, which async generators do not have
                    try:
                        item = await step
                    except StopAsyncIteration:
                        return
                    try:
                        step = stream.asend((yield item))
                    except GeneratorExit:
                        await stream.aclose()
                        raise
                    except BaseException as error:
                        step = stream.athrow(error)

        elif inspect.isgeneratorfunction(code):

            @functools.wraps(handler)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                bound = call.bind(args, kwargs)
                if (text := call.text(bound)) is not None:
                    call.put(bound, reformulator.reformulate_sync(text, **options))
                return (yield from call.handler(*bound.args, **bound.kwargs))

        else:

            @functools.wraps(handler)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                bound = call.bind(args, kwargs)
                if (text := call.text(bound)) is not None:
                    call.put(bound, reformulator.reformulate_sync(text, **options))
                return call.handler(*bound.args, **bound.kwargs)

        wrapper.__signature__ = call.public
        if call.receiver is not None:
            # Frameworks also read the annotations: the receiver must be in neither.
            annotations = getattr(handler, "__annotations__", {})
            wrapper.__annotations__ = {
                name: hint for name, hint in annotations.items() if name != call.receiver
            }
        return wrapper  # type: ignore[no-any-return]

    return decorate


class _Call:
    """How a handler is called: its public signature, and where the text and the decision go."""

    def __init__(self, handler: Callable[..., Any], param: str) -> None:
        self.handler: Any = handler
        signature = inspect.signature(handler)
        self.receiver = _receiver(handler, signature)
        self.public = signature.replace(
            parameters=[p for name, p in signature.parameters.items() if name != self.receiver]
        )
        self._param, *fields = param.split(".")
        self._place = TextPlace(fields)
        _check(handler, self.public, self._param, self._place)
        self._no_text = no_text(f"the argument {param}")
        self._default = self.public.parameters[self._param].default
        self._signature = signature
        self._defaults_first = self.receiver is not None and (
            signature.parameters[self.receiver].kind is inspect.Parameter.POSITIONAL_ONLY
        )

    def bind(self, args: Any, kwargs: Any) -> inspect.BoundArguments:
        """Bind to the public signature, in the order of the handler's own parameters."""
        bound = self.public.bind(*args, **kwargs)
        whole = inspect.BoundArguments(self._signature, bound.arguments)
        if self.receiver is not None:
            whole.arguments[self.receiver] = self._no_text
            if self._defaults_first:  # parameters before it can only be passed by position
                whole.apply_defaults()
        return whole

    def text(self, bound: inspect.BoundArguments) -> str | None:
        return self._place.get(bound.arguments.get(self._param, self._default))

    def put(self, bound: inspect.BoundArguments, result: Reformulation) -> None:
        if result.changed:
            argument = bound.arguments.get(self._param, self._default)
            bound.arguments[self._param] = self._place.put(argument, result.query)
        if self.receiver is not None:
            bound.arguments[self.receiver] = result


def _code_of(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that runs when a handler is called; of an object, its ``__call__``."""
    if inspect.isroutine(handler) or isinstance(handler, functools.partial):
        return handler
    return cast("Callable[..., Any]", handler.__call__)  # type: ignore[operator]


def _receiver(handler: Callable[..., Any], signature: inspect.Signature) -> str | None:
    """Return the name of the parameter that receives the decision, or ``None``."""
    hints = _hints(handler)
    for name, parameter in signature.parameters.items():
        hint = hints.get(name, parameter.annotation)
        named = isinstance(hint, str) and _NAMED.fullmatch(hint)
        if parameter.kind not in _VARIADIC and (named or hint in _DECISIONS):
            return name
    return None


def _hints(handler: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(_code_of(handler))
    except Exception:  # names that only exist for a type checker
        return {}


def _check(
    handler: Callable[..., Any], signature: inspect.Signature, param: str, place: TextPlace
) -> None:
    name = getattr(handler, "__qualname__", repr(handler))
    parameter = signature.parameters.get(param)
    hints = _hints(handler)
    if parameter is None or parameter.kind in _VARIADIC:
        single = [p.name for p in signature.parameters.values() if p.kind not in _VARIADIC]
        known = ", ".join(single) or "none"
        inside = [f"{each}.{param}" for each in hints if param in (fields_of(hints[each]) or ())]
        raise ConfigurationError(
            f"{name} has no parameter {param!r} to reformulate (it has: {known}); name one with "
            f"reformulated(..., param={repr(inside[0]) if inside else '...'})"
        )
    place.check(hints.get(param, Any), name, param)
