"""Turns an engine's answers into verdicts, also in an engine's own process.

Acceptance is pure Python and takes some milliseconds per engine call. An engine in another
process judges its answers there, so that the event loop of the server is not held up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from ..core.outcome import Mode, Reason
from ..core.reformulation import Verdict
from ..core.text import normalize
from ..errors import EngineError
from ..policy.acceptance import Acceptance
from .base import Answer, Cancelled, Refusal, Truncated

EngineResult = Answer | Verdict
"""What an engine call returns for one text: an answer, or the verdict on it."""


@runtime_checkable
class JudgingEngine(Protocol):
    """An engine that can judge its answers by the policy of its user."""

    def judge_with(self, acceptance: Acceptance) -> None:
        """Set the acceptance to judge by; a worker calls this when it has claimed the engine.

        An engine that cannot use this acceptance returns its answers without verdicts.
        """
        ...

    def generate_verdicts(
        self, texts: Sequence[str], modes: Sequence[Mode], cancelled: Callable[[int], bool]
    ) -> Sequence[EngineResult]:
        """Do the same as ``generate``, but return a verdict in place of each rewrite."""
        ...


def verdict_of(text: str, mode: Mode, result: EngineResult, acceptance: Acceptance) -> Verdict:
    """Return the verdict on an answer; a verdict is returned as it is. Pure.

    Errors: ``EngineError`` for ``Cancelled``, on which there is no verdict.
    """
    match result:
        case Verdict():
            return result
        case Refusal(reason):
            return Verdict(reason=reason)
        case Truncated():
            return Verdict(reason=Reason.REJECTED_TRUNCATED)
        case Cancelled():
            raise EngineError("the engine cancelled a text that was still wanted")
    return Verdict(*acceptance.judge(text, normalize(result), mode))


def verdicts_of(
    texts: Sequence[str], modes: Sequence[Mode], answers: Sequence[Answer], acceptance: Acceptance
) -> list[EngineResult]:
    """Return the answers with a verdict in place of each rewrite.

    A rewrite that acceptance fails on stays an answer, so that the caller judges it again and
    logs the error.
    """
    results: list[EngineResult] = []
    for text, mode, answer in zip(texts, modes, answers, strict=True):
        result: EngineResult = answer
        if isinstance(answer, str):
            try:
                result = verdict_of(text, mode, answer, acceptance)
            except Exception:
                result = answer
        results.append(result)
    return results
