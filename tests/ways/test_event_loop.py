"""The event loop goes on while the bundled model rewrites."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from middleware import Reformulator, Source, load_engine
from middleware.lab.benchmarks.overhead import loop_delays

pytestmark = pytest.mark.anyio

LIMIT = 0.005  # seconds


async def test_no_rewrite_holds_it_longer_than_5_ms() -> None:
    """The best of some rounds, as on a busy machine the scheduler holds it longer by itself.

    A rewrite that holds the interpreter does so in every round.
    """
    numbers = count()
    engines_own = 0

    async with Reformulator(load_engine(), budget=10.0) as reformulator:

        async def rewrite() -> None:
            nonlocal engines_own
            text = f"could you please show me red garden lamps number {next(numbers)}"
            result = await reformulator.reformulate(text)
            engines_own += result.source is Source.ENGINE

        async def idle() -> None:
            await asyncio.sleep(0.01)

        await loop_delays(rewrite, count=5)
        best = quiet = float("inf")
        for _ in range(20):
            quiet = min(quiet, max(await loop_delays(idle, count=5)))
            best = min(best, max(await loop_delays(rewrite, count=5)))
            if best <= LIMIT:
                break
    assert engines_own >= 5, "it was the model that was measured"
    assert best <= LIMIT + quiet, f"held for {1000 * best:.1f} ms, {1000 * quiet:.1f} ms when idle"
