"""``querylift warm``: what people usually ask, rewritten before they ask it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..core.outcome import Mode, Outcome
from ..errors import ConfigurationError
from ..runtime import snapshot
from ..runtime.clock import SYSTEM_CLOCK
from ..runtime.reformulator import Reformulator
from .assembly import build_reformulator
from .settings import Settings

__all__ = ["run_warm"]

_AT_ONCE = 32  # texts that wait for the engine, which takes several in one call
_PATIENCE = 59.0  # seconds for each, the longest there is


def run_warm(settings: Settings, queries: str) -> int:
    """Put the rewrites of a file's lines into the memo's snapshot, and return the exit status.

    ``queries`` is a path, or ``-`` for standard input: one query a line, UTF-8. What the snapshot
    holds already is kept; ``serve`` with the same model, mode and ``memo_snapshot`` starts with it.
    Errors: ``ConfigurationError`` for a missing file or no place for the snapshot,
    ``EngineError`` where the model cannot be loaded.
    """
    if not settings.memo.snapshot:
        raise ConfigurationError(
            "nowhere to keep rewrites; give a file with --memo-snapshot, the same that serve has"
        )
    if Mode.parse(settings.mode) in (Mode.OFF, Mode.SHADOW):
        raise ConfigurationError(f"in mode {settings.mode} no rewrite is used; give another --mode")
    texts = list(dict.fromkeys(_lines(queries)))
    file = Path(settings.memo.snapshot)
    # Nothing else runs here that an engine could hold up.
    engine = replace(settings.engine, process=False)
    reformulator, _ = build_reformulator(replace(settings, engine=engine), ())
    snapshot.load(file, reformulator.memo, now=SYSTEM_CLOCK.now())
    began = time.perf_counter()
    counts = asyncio.run(_rewritten(reformulator, texts))
    if not snapshot.save(file, reformulator.memo, now=SYSTEM_CLOCK.now()):
        return 1
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    seconds = time.perf_counter() - began
    print(f"querylift: {len(texts)} queries in {seconds:.1f} s ({told or 'none'}) -> {file}")
    return 0


async def _rewritten(reformulator: Reformulator, texts: Iterable[str]) -> Counter[Outcome]:
    counts: Counter[Outcome] = Counter()
    waiting = iter(texts)

    async def work() -> None:
        for text in waiting:
            result = await reformulator.reformulate(text, budget=_PATIENCE)
            counts[result.outcome] += 1

    async with reformulator:
        await asyncio.gather(*[work() for _ in range(_AT_ONCE)])
    return counts


def _lines(queries: str) -> Iterator[str]:
    """Yield the lines that are not empty; what is not UTF-8 is shown and passed over later."""
    if queries == "-":
        data = sys.stdin.buffer.read()
    else:
        try:
            data = Path(queries).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"queries {queries}: {error.strerror or error}") from None
    for line in data.split(b"\n"):
        text = line.decode("utf-8", "replace").strip()
        if text:
            yield text
