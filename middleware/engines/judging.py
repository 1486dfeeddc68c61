"""Judging answers where they are made, when that is another process.

Acceptance is plain Python, and some milliseconds of it for each engine call would hold up the
event loop of whoever asked.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from ..core.outcome import Mode, Reason
from ..core.reformulation import Verdict
from ..core.text import normalize
from ..policy.acceptance import Acceptance
from .base import Answer, Refusal

__all__ = ["Judged", "Judging", "judged", "sendable", "verdict_of"]

Judged = Answer | Verdict
"""An answer, or what acceptance made of it."""


@runtime_checkable
class Judging(Protocol):
    """An engine in another process, which can judge its answers there."""

    def judge_with(self, acceptance: Acceptance) -> None:
        """Take the acceptance to judge by, before the engine is loaded.

        One that cannot be sent is not used: answers then come back as they are.
        """
        ...

    def generate_judged(
        self, texts: Sequence[str], modes: Sequence[Mode], cancelled: Callable[[int], bool]
    ) -> Sequence[Judged]:
        """Do the same as ``generate``, with a verdict for each answer that is a text."""
        ...


def verdict_of(text: str, mode: Mode, answer: Judged, acceptance: Acceptance) -> Verdict:
    """Return what an answer means; a pure function.

    ``None`` is an answer without an end here; the worker keeps those that gave way to itself.
    """
    if isinstance(answer, Verdict):
        return answer
    if isinstance(answer, Refusal):
        return Verdict(reason=answer.reason)
    if answer is None:
        return Verdict(reason=Reason.REJECTED_TRUNCATED)
    return Verdict(*acceptance.judge(text, normalize(answer), mode))


def judged(
    texts: Sequence[str], modes: Sequence[Mode], answers: Sequence[Answer], acceptance: Acceptance
) -> list[Judged]:
    """Return a verdict in place of each answer that is a text.

    One that cannot be judged stays, for the fault to show where it is logged.
    """
    return [_judged(*each, acceptance) for each in zip(texts, modes, answers, strict=True)]


def _judged(text: str, mode: Mode, answer: Answer, acceptance: Acceptance) -> Judged:
    if not isinstance(answer, str):
        return answer
    try:
        return verdict_of(text, mode, answer, acceptance)
    except Exception:
        return answer


def sendable(acceptance: Acceptance) -> Acceptance | None:
    """Return an acceptance that another process can be sent; ``None`` for one that cannot be."""
    try:
        pickle.dumps(acceptance)
    except Exception:  # one of the user's own: it stays here
        return None
    return acceptance
