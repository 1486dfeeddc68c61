"""Judging answers where they are made, when that is another process.

Acceptance is plain Python, and some milliseconds of it for each engine call would hold up the
event loop of whoever asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from middleware.core.acceptance import Acceptance
from middleware.core.outcome import Mode
from middleware.core.reformulation import Verdict, normalize

from .base import Answer

__all__ = ["Judged", "Judging", "judged"]

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


def judged(
    texts: Sequence[str], modes: Sequence[Mode], answers: Sequence[Answer], acceptance: Acceptance
) -> list[Judged]:
    """Return a verdict in place of each answer that is a text.

    One that cannot be judged stays, for the fault to show where it is logged.
    """
    return [_verdict(*each, acceptance) for each in zip(texts, modes, answers, strict=True)]


def _verdict(text: str, mode: Mode, answer: Answer, acceptance: Acceptance) -> Judged:
    if not isinstance(answer, str):
        return answer
    try:
        return Verdict(*acceptance.judge(text, normalize(answer), mode))
    except Exception:
        return answer
