"""``querylift warm`` fills the memo's snapshot with the rewrites of common queries."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..core.outcome import Mode, Outcome
from ..core.printable import printable
from ..errors import ConfigurationError
from ..runtime import snapshot
from ..runtime.clock import SYSTEM_CLOCK
from ..runtime.reformulator import Reformulator
from .assembly import build_reformulator
from .settings import Settings

_CONCURRENCY = 32  # texts at a time; the engine takes several in one call
_MAX_QUERIES = 256 * 2**20  # bytes, far more than a memo keeps
_BUDGET = 59.0  # seconds for each text, the longest that is allowed


def run_warm(settings: Settings, queries: str) -> int:
    """Put the rewrites of a file's lines into the memo's snapshot, and return the exit status.

    ``queries`` is a path, or ``-`` for standard input: one query a line, in UTF-8. The snapshot
    keeps what it holds. ``serve`` with the same model, mode and ``memo.snapshot`` starts with it.
    Errors: ``ConfigurationError`` for a missing file or setting, ``EngineError`` if the model
    cannot be loaded.
    """
    if not settings.memo.snapshot:
        raise ConfigurationError(
            "no file for the rewrites; give the one that serve uses with --memo-snapshot"
        )
    if Mode.parse(settings.mode) in (Mode.OFF, Mode.SHADOW):
        raise ConfigurationError(
            f"mode {settings.mode} uses no rewrites; choose another one with --mode"
        )
    texts = list(dict.fromkeys(_lines(queries)))
    file = Path(settings.memo.snapshot)
    # In a thread: there are no requests that the engine could delay.
    engine = replace(settings.engine, process=False)
    reformulator, _ = build_reformulator(replace(settings, engine=engine), ())
    snapshot.load(file, reformulator.memo, now=SYSTEM_CLOCK.now())
    began = time.perf_counter()
    counts = asyncio.run(_rewrite(reformulator, texts))
    if not snapshot.save(file, reformulator.memo, now=SYSTEM_CLOCK.now()):
        return 1
    summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    seconds = time.perf_counter() - began
    counted = f"{len(texts)} queries in {seconds:.1f} s ({summary or 'none'})"
    print(f"querylift: {counted} -> {printable(file)}")
    return 0


async def _rewrite(reformulator: Reformulator, texts: Iterable[str]) -> Counter[Outcome]:
    counts: Counter[Outcome] = Counter()
    waiting = iter(texts)

    async def work() -> None:
        for text in waiting:
            result = await reformulator.reformulate(text, budget=_BUDGET)
            counts[result.outcome] += 1

    async with reformulator:
        await asyncio.gather(*[work() for _ in range(_CONCURRENCY)])
    return counts


def _lines(queries: str) -> Iterator[str]:
    """Yield the lines that are not empty, with invalid UTF-8 replaced."""
    try:
        # A pipe may be named, too, as the shell does for ``<(command)``.
        with sys.stdin.buffer if queries == "-" else open(queries, "rb") as stream:
            data = stream.read(_MAX_QUERIES + 1)
    except OSError as error:
        raise ConfigurationError(f"queries {queries}: {error.strerror or error}") from None
    if len(data) > _MAX_QUERIES:
        raise ConfigurationError(
            f"queries {queries}: more than {_MAX_QUERIES // 2**20} MiB; give fewer at a time"
        )
    for line in data.split(b"\n"):
        text = line.decode("utf-8", "replace").strip()
        if text:
            yield text
