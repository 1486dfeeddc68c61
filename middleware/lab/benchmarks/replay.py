"""Measure how many drafted tokens the bundled model accepts on real queries."""

from __future__ import annotations

from collections.abc import Sequence

from ...engines.t5 import T5Engine
from ...engines.t5.drafting import Drafts, Guesses, History
from .engines_under_test import Pattern

QUERIES = (
    "red leather sofa",
    "can you please show me waterproof hiking boots for women",
    "usb c to hdmi adapter 4k",
    "what are the symptoms of vitamin d deficiency in adults",
    "i'm looking for a birthday present for a ten year old",
    "noise cancelling headphones under 100 dollars",
    "how do i replace the battery of a bike lamp",
    "hello, i need some articles about the history of printing, please",
    "effect of exercise on blood pressure in older patients",
    "stainless steel water bottle 1 litre without straw",
    "where can i find cheap flights from berlin to lisbon in may",
    "iphone 13 case clear",
    "could you tell me who invented the sewing machine",
    "boundary layer on a flat plate in supersonic flow",
    "desk lamp with wireless charger",
    "waterprof jaket for runing",
    "best way to learn spanish at home",
    "what is the differnce between a crocodile and an alligator",
    "garden hose 25 m",
    "please find me recipes for lentil soup without onions",
)
"""Realistic requests, used without ``--queries``."""


class _Recorder:
    """Passes drafts on, and records how many of their tokens were accepted."""

    def __init__(self, drafts: Drafts) -> None:
        self._drafts = drafts
        self.pattern: list[tuple[int, int]] = []
        self._guesses: Guesses | None = None
        self._open: tuple[int, int] | None = None

    def begin(self, source: Sequence[int]) -> _Recorder:
        """Start one rewrite; there is only one at a time."""
        self._guesses, self._open = self._drafts.begin(source), None
        return self

    def learn(self, tokens: Sequence[int]) -> None:
        """Learn a finished rewrite, with its end."""
        self._close(len(tokens))
        self._drafts.learn(tokens)

    def guess(self, output: Sequence[int], count: int) -> list[int]:
        """Return the draft of the wrapped object."""
        assert self._guesses is not None
        self._close(len(output))
        found = self._guesses.guess(output, count)
        self._open = len(output), len(found)
        return found

    def _close(self, length: int) -> None:
        if self._open is not None:
            before, guessed = self._open
            self.pattern.append((guessed, min(guessed, length - before - 1)))
            self._open = None


def measured_pattern(queries: Sequence[str]) -> Pattern:
    """Run the bundled model on each query; return the drafted and accepted tokens per step."""
    engine = T5Engine(threads=1)
    engine.load()
    recorder = _Recorder(History())
    engine._history = recorder
    for query in queries:
        engine.generate([query], lambda index: False)
    return recorder.pattern
