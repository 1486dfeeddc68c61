"""A reformulator on a manual clock and a scripted engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from middleware import Record, Reformulator
from middleware.testing import ManualClock, ScriptedEngine

Build = Callable[..., Reformulator]


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def engine(clock: ManualClock) -> ScriptedEngine:
    """An engine that puts ``lifted`` before each text."""
    return ScriptedEngine(lambda text: f"lifted {text}", clock=clock)


@pytest.fixture
def records() -> list[Record]:
    """What the observers of ``build`` were told."""
    return []


@pytest.fixture
def build(clock: ManualClock, engine: ScriptedEngine, records: list[Record]) -> Iterator[Build]:
    """Make reformulators on the clock and the engine, closed at the end.

    Each test thereby also holds that nothing is left behind: no thread, flight, waiter or timer.
    """
    made: list[Reformulator] = []

    def make(**options: Any) -> Reformulator:
        options.setdefault("observers", [records.append])
        made.append(Reformulator(options.pop("engine", engine), clock=clock, **options))
        return made[-1]

    yield make
    clock.release()
    for reformulator in made:
        reformulator.close()
        stats = reformulator.stats()
        assert (stats.foreground, stats.background, stats.running, stats.flights) == (0, 0, 0, 0)
    assert (clock.timers, clock.threads) == (0, [])
