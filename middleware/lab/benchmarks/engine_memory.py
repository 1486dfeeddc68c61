"""Measure the T5 engine's memory, and whether it grows with the number of queries.

One process prepares the weights. A second process loads them from the cache, as a restarted
service does, and decodes inputs of 3 to 64 tokens.
"""

from __future__ import annotations

import multiprocessing
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...errors import EngineError
from .engines_under_test import ENGINES_UNDER_TEST
from .machine import resident_mb
from .models import shape_of

__all__ = ["measure_memory"]

_LENGTHS = 3, 64
_TOKENS = 4  # per output, short to save time


def measure_memory(folder: Path, *, threads: int, queries: int, batch: int) -> dict[str, float]:
    """Return the resident MiB at the start, after a tenth of the queries, and at the end.

    Errors: ``EngineError`` if a process dies.
    """
    with TemporaryDirectory(prefix="querylift-bench-") as cache:
        arguments = folder, cache, threads, batch
        (first,) = _measured(*arguments, [])
        marks = [max(1, queries // 10), queries]
        start, early, end = _measured(*arguments, marks)
    return {
        "first_start_mb": first,
        "start_mb": start,
        f"after_{marks[0]}_mb": early,
        f"after_{marks[1]}_mb": end,
    }


def _measured(*arguments: Any) -> list[float]:
    """Return the memory of a new process at its start and after each number of queries."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure_in_process, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        return [float(ours.recv()) for _ in range(1 + len(arguments[-1]))]
    except EOFError:
        raise EngineError("the engine's process ended during the measurement") from None
    finally:
        ours.close()
        process.join()


def _measure_in_process(
    pipe: Any,
    folder: Path,
    cache: str,
    threads: int,
    batch: int,
    marks: list[int],
) -> None:
    engine = ENGINES_UNDER_TEST["t5"](folder, threads, (), cache_dir=cache)
    pipe.send(resident_mb())
    rng, shape = random.Random(0), shape_of(folder)
    pieces = range(3, shape.vocabulary)
    for done in range(1, max(marks, default=0) + 1):
        inputs = [
            [*rng.choices(pieces, k=rng.randint(*_LENGTHS) - 1), shape.end] for _ in range(batch)
        ]
        engine.time_call(inputs, _TOKENS, forced=True)
        if done in marks:
            pipe.send(resident_mb())
