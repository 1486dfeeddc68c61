"""From an engine's answer to a verdict: where acceptance is asked."""

from __future__ import annotations

from middleware.core.acceptance import Acceptance
from middleware.core.outcome import Reason
from middleware.core.reformulation import Verdict, normalize
from middleware.engines.base import Refusal
from middleware.engines.judging import Judged

from .single_flight import Flight

__all__ = ["verdict_of"]


def verdict_of(flight: Flight, answer: Judged, acceptance: Acceptance) -> Verdict:
    """Return what an answer means for all callers of a flight; a pure function.

    ``None`` is an answer without an end here; the worker keeps those that gave way to itself.
    """
    if isinstance(answer, Verdict):
        return answer
    if isinstance(answer, Refusal):
        return Verdict(reason=answer.reason)
    if answer is None:
        return Verdict(reason=Reason.REJECTED_TRUNCATED)
    return Verdict(*acceptance.judge(flight.text, normalize(answer), flight.key.mode))
