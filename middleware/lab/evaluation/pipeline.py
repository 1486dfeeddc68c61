"""The decision path without deadlines, queue and memo: admission, engine, acceptance.

There is no deadline, so that the value of a rewrite does not depend on the load of the
measuring machine. The time of each decision is measured.
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


class Pipeline:
    """Reformulates one text at a time.

    The engine runs once per text: both modes use the same answer, and the time of that run
    counts for each. ``clock`` returns seconds.

    Concurrency: one owning thread, as for the engine.
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
        """Load the engine, which takes seconds. Errors: those of the engine."""
        if isinstance(self.engine, Loadable):
            self.engine.load()

    def decide(self, text: str, mode: Mode) -> Reformulation:
        """Return the reformulation of a text, timed without any waiting."""
        began = self._clock()
        normalized = normalize(text)
        reason = self.admission.check(normalized)
        if reason is not None:
            timings = Timings(self._clock() - began)
            return Reformulation.untouched(text, reason, timings=timings)
        admission_time = self._clock() - began
        answer, engine_time = self._answer(normalized)
        began = self._clock()
        verdict = verdict_of(normalized, mode, answer, self.acceptance)
        acceptance_time = self._clock() - began
        timings = Timings(admission_time + engine_time + acceptance_time, engine=engine_time)
        return conclude(text, verdict, mode, Source.ENGINE, timings)

    def _answer(self, text: str) -> tuple[Answer, float]:
        if text not in self._answers:
            began = self._clock()
            answer = self.engine.generate([text], lambda index: False)[0]
            self._answers[text] = answer, self._clock() - began
        return self._answers[text]
