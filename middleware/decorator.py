"""The decorator: reformulates an argument of a Python search handler."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, get_type_hints

from middleware.core.outcome import Mode
from middleware.core.reformulation import Reformulation
from middleware.errors import ConfigurationError
from middleware.runtime.reformulator import Reformulator

__all__ = ["reformulated"]

P = ParamSpec("P")
R = TypeVar("R")


def reformulated(
    reformulator: Reformulator,
    *,
    param: str = "query",
    budget: float | None = None,
    mode: Mode | str | None = None,
    scope: str = "",
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that rewrites the argument ``param`` before the handler runs.

    Handlers may be functions or methods, sync or async, and get the text however it is
    passed: positionally, by keyword, or as the parameter's default. What is no ``str`` goes on
    as it is. A parameter annotated :class:`Reformulation` receives the decision; it is not
    part of the decorated function's signature, and callers do not pass it.

    Errors: :class:`ConfigurationError` where the handler has no such parameter.
    """
    chosen = None if mode is None else Mode.parse(mode)

    def decorate(handler: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(handler)
        receiver = _receiver(handler, signature)
        _check(handler, signature, param)
        public = signature.replace(
            parameters=[p for name, p in signature.parameters.items() if name != receiver]
        )

        def text_of(bound: inspect.BoundArguments) -> str | None:
            if param in bound.arguments:
                value = bound.arguments[param]
            else:
                value = signature.parameters[param].default
            return value if isinstance(value, str) else None

        def put(bound: inspect.BoundArguments, result: Reformulation) -> None:
            if result.changed:
                bound.arguments[param] = result.query
            if receiver is not None:
                bound.arguments[receiver] = result

        def bind(args: Any, kwargs: Any) -> inspect.BoundArguments:
            # Bound to what is public, then called by the handler's own order of parameters.
            bound = public.bind(*args, **kwargs)
            whole = inspect.BoundArguments(signature, bound.arguments)
            if receiver is not None:
                whole.arguments[receiver] = None
            return whole

        options: dict[str, Any] = {"budget": budget, "mode": chosen, "scope": scope}
        if inspect.iscoroutinefunction(handler):

            @functools.wraps(handler)
            async def asynchronous(*args: Any, **kwargs: Any) -> Any:
                bound = bind(args, kwargs)
                if (text := text_of(bound)) is not None:
                    put(bound, await reformulator.reformulate(text, **options))
                return await handler(*bound.args, **bound.kwargs)

            wrapper: Any = asynchronous
        elif inspect.isasyncgenfunction(handler):

            @functools.wraps(handler)
            async def streaming(*args: Any, **kwargs: Any) -> Any:
                bound = bind(args, kwargs)
                if (text := text_of(bound)) is not None:
                    put(bound, await reformulator.reformulate(text, **options))
                async for item in handler(*bound.args, **bound.kwargs):
                    yield item

            wrapper = streaming
        else:

            @functools.wraps(handler)
            def synchronous(*args: Any, **kwargs: Any) -> Any:
                bound = bind(args, kwargs)
                if (text := text_of(bound)) is not None:
                    put(bound, reformulator.reformulate_sync(text, **options))
                return handler(*bound.args, **bound.kwargs)

            wrapper = synchronous
        wrapper.__signature__ = public
        if receiver is not None:
            # Frameworks read annotations beside the signature: the receiver is in neither.
            wrapper.__annotations__ = {
                name: hint for name, hint in handler.__annotations__.items() if name != receiver
            }
        return wrapper  # type: ignore[no-any-return]

    return decorate


def _receiver(handler: Callable[..., Any], signature: inspect.Signature) -> str | None:
    """Return the name of the parameter that takes the decision, if the handler has one."""
    try:
        hints = get_type_hints(handler)
    except Exception:  # names that only a type checker knows
        hints = {name: p.annotation for name, p in signature.parameters.items()}
    return next(
        (
            name
            for name in signature.parameters
            if hints.get(name) in (Reformulation, "Reformulation", Reformulation | None)
        ),
        None,
    )


def _check(handler: Callable[..., Any], signature: inspect.Signature, param: str) -> None:
    name = getattr(handler, "__qualname__", repr(handler))
    parameter = signature.parameters.get(param)
    if parameter is None or parameter.kind in (
        inspect.Parameter.VAR_POSITIONAL,
        inspect.Parameter.VAR_KEYWORD,
    ):
        known = ", ".join(signature.parameters) or "none"
        raise ConfigurationError(
            f"{name} has no parameter {param!r} to reformulate (it has: {known}); "
            "name one with reformulated(..., param=...)"
        )
