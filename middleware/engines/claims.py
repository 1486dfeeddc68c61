"""Who uses an engine: one worker at a time, and one thread at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from threading import get_ident
from typing import Concatenate, ParamSpec, TypeVar

from ..errors import EngineError
from .base import Engine

E = TypeVar("E", bound=Engine)
P = ParamSpec("P")
R = TypeVar("R")

# By process and engine, so that a forked child may use its copy. A worker holds its engine, so
# that no other engine gets the same id.
_workers: dict[tuple[int, int], object] = {}
_threads: dict[tuple[int, int], int] = {}


def claim(engine: Engine, worker: object) -> None:
    """Reserve an engine for a worker until ``release``; a worker may claim it again.

    Errors: ``EngineError`` if another worker of this process has claimed it.
    """
    if _workers.setdefault((os.getpid(), id(engine)), worker) is not worker:
        raise EngineError(
            f"engine {engine.name} is in use by another reformulator, and can serve one at a "
            "time: share that reformulator, close it first, or make an engine for each"
        )


def release(engine: Engine, worker: object) -> None:
    """Give an engine back that the worker has claimed."""
    key = os.getpid(), id(engine)
    if _workers.get(key) is worker:
        del _workers[key]


def one_thread(
    method: Callable[Concatenate[E, P], R],
) -> Callable[Concatenate[E, P], R]:
    """Return an engine's method, which refuses a second thread while one is in it.

    Errors: ``EngineError``; a model's tokenizer and buffers would mix up the texts of both.
    """

    @wraps(method)
    def guarded(engine: E, /, *args: P.args, **kwargs: P.kwargs) -> R:
        key = os.getpid(), id(engine)
        if _threads.setdefault(key, get_ident()) != get_ident():
            raise EngineError(
                f"engine {engine.name} is called by two threads at once, and can serve one: give "
                "it to a Reformulator, which any thread may call, or make an engine for each"
            )
        try:
            return method(engine, *args, **kwargs)
        finally:
            _threads.pop(key, None)

    return guarded
