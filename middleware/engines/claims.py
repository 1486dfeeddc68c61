"""Which worker uses an engine: an engine is driven by one worker at a time."""

from __future__ import annotations

import os

from ..errors import EngineError
from .base import Engine

# By process and engine, so that a forked child may use its copy. A worker holds its engine, so
# that no other engine gets the same id.
_workers: dict[tuple[int, int], object] = {}


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
