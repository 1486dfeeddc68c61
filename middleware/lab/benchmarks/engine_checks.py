"""Two checks of the T5 engine: whether its memory grows, and whether its shortcuts change answers.

For the memory, one process prepares the weights. A second process loads them from the cache, as a
restarted service does, and decodes inputs of 3 to 64 tokens.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from .engines_under_test import engine_process
from .models import shape_of

_LENGTHS = 3, 64
_TOKENS = 4  # per output, short to save time
_BATCH = 8


def measure_memory(folder: Path, *, threads: int, queries: int, batch: int) -> dict[str, float]:
    """Return the resident MiB at the start, after a tenth of the queries, and at the end.

    Errors: ``ConfigurationError`` if a process dies.
    """
    rng, shape = random.Random(0), shape_of(folder)
    pieces, marks = range(3, shape.vocabulary), {max(1, queries // 10), queries}
    with TemporaryDirectory(prefix="querylift-bench-") as cache:
        with engine_process("t5", folder, threads, cache_dir=cache) as (memory, _):
            found = {"first_start_mb": memory}
        with engine_process("t5", folder, threads, cache_dir=cache) as (memory, time_call):
            found["start_mb"] = memory
            for done in range(1, queries + 1):
                lengths = [rng.randint(*_LENGTHS) - 1 for _ in range(batch)]
                inputs = [[*rng.choices(pieces, k=length), shape.end] for length in lengths]
                _, memory = time_call(inputs, _TOKENS, True)
                if done in marks:
                    found[f"after_{done}_mb"] = memory
    return found


def measure_same(folder: Path, queries: Sequence[str], *, threads: int) -> dict[str, Any]:
    """Return the shares of equal answers, and the number of tokens per step with drafts.

    ``int8_equals_fp32`` compares the default weights with float32, both without drafts.
    """
    from ...engines.t5 import T5Engine

    usual = T5Engine(folder, threads=threads)
    plain = T5Engine(folder, threads=threads, drafting=False)
    exact = T5Engine(folder, threads=threads, drafting=False, weights="fp32")
    for engine in (usual, plain, exact):
        engine.load()
    tokens = rows = 0
    drafted: list[Any] = []
    for query in queries:
        drafted += usual.generate([query], _never)
        stats = usual.last_stats
        assert stats is not None
        tokens, rows = tokens + stats.tokens, rows + stats.rows
    single = [answer for query in queries for answer in plain.generate([query], _never)]
    batched = [
        answer
        for start in range(0, len(queries), _BATCH)
        for answer in usual.generate(queries[start : start + _BATCH], _never)
    ]
    reference = [answer for query in queries for answer in exact.generate([query], _never)]
    return {
        "queries": len(queries),
        "int8_equals_fp32": _share(single, reference),
        "drafted_equals_plain": _share(drafted, single),
        "batched_equals_single": _share(batched, drafted),
        "tokens_per_step": tokens / max(1, rows),
    }


def _share(found: Sequence[Any], wanted: Sequence[Any]) -> float:
    same = sum(bool(a == b) for a, b in zip(found, wanted, strict=True))
    return same / max(1, len(wanted))


def _never(index: int) -> bool:
    return False
