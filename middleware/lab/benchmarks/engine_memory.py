"""What the T5 engine takes of memory, and whether that grows with the queries.

A process of its own prepares the weights; another one, started anew, loads what was kept,
as a service that was started before does, and decodes inputs of 3 to 64 tokens.
"""

from __future__ import annotations

import multiprocessing
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...errors import EngineError
from .engines_under_test import CONTESTANTS
from .machine import resident_mb
from .models import shape_of

__all__ = ["measure_memory"]

_LENGTHS = 3, 64
_TOKENS = 4  # of an output: its length matters little here, and takes time


def measure_memory(folder: Path, *, threads: int, queries: int, batch: int) -> dict[str, float]:
    """Return resident megabytes at the start, after a tenth of the queries, and at the end.

    Errors: ``EngineError`` when a process ends before it is done.
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
    """Return what a new process tells at its start and at each mark."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        return [float(ours.recv()) for _ in range(1 + len(arguments[-1]))]
    except EOFError:
        raise EngineError("the engine's process ended before it had told its memory") from None
    finally:
        ours.close()
        process.join()


def _work(
    pipe: Any,
    folder: Path,
    cache: str,
    threads: int,
    batch: int,
    marks: list[int],
) -> None:
    contestant = CONTESTANTS["t5"](folder, threads, (), cache_dir=cache)
    pipe.send(resident_mb())
    source, shape = random.Random(0), shape_of(folder)
    pieces = range(3, shape.vocabulary)
    for done in range(1, max(marks, default=0) + 1):
        inputs = [
            [*source.choices(pieces, k=source.randint(*_LENGTHS) - 1), shape.end]
            for _ in range(batch)
        ]
        contestant.lap(inputs, _TOKENS, forced=True)
        if done in marks:
            pipe.send(resident_mb())
