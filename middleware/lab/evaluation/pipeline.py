"""Admission, engine, acceptance: the decision path without its clock, queue and memo.

What a rewrite is worth should not depend on how busy the measuring machine is, so that no
deadline is kept here; what the path costs is measured by the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ...core.outcome import Mode, Source
from ...core.reformulation import Reformulation, Timings, conclude
from ...core.text import normalize
from ...engines.base import Answer, Engine, Loadable
from ...engines.judging import verdict_of
from ...policy.acceptance import Acceptance
from ...policy.admission import Admission

__all__ = ["Pipeline"]


class Pipeline:
    """Decides what becomes of a text, one text at a time.

    The engine is run once for a text: both modes judge the same answer, and each is charged
    the time of that run. ``clock`` is read in seconds.

    Concurrency: belongs to one thread, as its engine does.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        admission: Admission | None = None,
        acceptance: Acceptance | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.engine = engine
        self.admission = admission or Admission()
        self.acceptance = acceptance or Acceptance()
        self._clock = clock
        self._answers: dict[str, tuple[Answer, float]] = {}

    def load(self) -> None:
        """Load the engine; seconds. Errors: the engine's own."""
        if isinstance(self.engine, Loadable):
            self.engine.load()

    def decide(self, text: str, mode: Mode) -> Reformulation:
        """Return the reformulation of a text, with what it took without any waiting."""
        began = self._clock()
        asked = normalize(text)
        reason = self.admission.check(asked)
        if reason is not None:
            timings = Timings(self._clock() - began)
            return Reformulation.untouched(text, reason, timings=timings)
        admitted = self._clock() - began
        answer, took = self._answer(asked)
        began = self._clock()
        verdict = verdict_of(asked, mode, answer, self.acceptance)
        judged = self._clock() - began
        timings = Timings(admitted + took + judged, engine=took)
        return conclude(text, verdict, mode, Source.ENGINE, timings)

    def _answer(self, asked: str) -> tuple[Answer, float]:
        if asked not in self._answers:
            began = self._clock()
            answer = self.engine.generate([asked], lambda index: False)[0]
            self._answers[asked] = answer, self._clock() - began
        return self._answers[asked]
