"""Measure how often int8, drafting and batching give the same rewrites as without them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["measure_same"]

_BATCH = 8


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
