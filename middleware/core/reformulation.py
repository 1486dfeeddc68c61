"""The result of the decision path, and the query that is sent for a rewrite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .outcome import Mode, Outcome, Reason, Source
from .text import words


class Timings(NamedTuple):
    """Where the time of a reformulation went, in seconds.

    ``total`` is from reading the text to the decision. ``queue`` and ``engine`` are the wait for
    the engine and its run; both are 0 if it did not run for this caller.
    """

    total: float = 0.0
    queue: float = 0.0
    engine: float = 0.0


_NO_TIME = Timings()


class Verdict(NamedTuple):
    """What engine and acceptance made of a text; equal for all callers.

    ``rewrite`` is an accepted rewrite, ``reason`` why there is none. Both are ``None`` if the model
    left the text as it was; never are both set.
    """

    rewrite: str | None = None
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Reformulation:
    """The query to send, and what was decided about the text.

    ``query`` can always be sent upstream. ``reason`` is set for every outcome but ``rewritten`` and
    ``unchanged``, ``source`` if a model's answer was used. ``added`` holds the terms that
    ``expand`` mode added. ``looked_in`` says where a text was looked for if there
    was none.
    """

    original: str
    query: str
    outcome: Outcome
    reason: Reason | None = None
    source: Source | None = None
    timings: Timings = _NO_TIME
    added: tuple[str, ...] = ()
    looked_in: str = ""

    @property
    def changed(self) -> bool:
        """Whether ``query`` differs from ``original``."""
        return self.outcome is Outcome.REWRITTEN

    @classmethod
    def untouched(
        cls, original: str, reason: Reason, *, timings: Timings = _NO_TIME
    ) -> Reformulation:
        """Return a reformulation that sends the original, with ``reason``."""
        return cls(original, original, reason.outcome, reason, None, timings)


def no_text(looked_in: str) -> Reformulation:
    """Return the decision where there is no text, with the places that were looked at."""
    return Reformulation("", "", Outcome.SKIPPED, Reason.NO_TEXT, looked_in=looked_in)


def expansion_terms(original: str, rewrite: str) -> tuple[str, ...]:
    """Return the words of the rewrite that the original lacks, in order, each once."""
    seen = {word.casefold() for word in words(original)}
    added: list[str] = []
    for word in words(rewrite):
        if word.casefold() not in seen:
            seen.add(word.casefold())
            added.append(word)
    return tuple(added)


def conclude(
    original: str,
    verdict: Verdict,
    mode: Mode,
    source: Source,
    timings: Timings = _NO_TIME,
) -> Reformulation:
    """Return the reformulation that a verdict gives for one caller's text and mode."""
    if verdict.reason is not None:
        outcome = verdict.reason.outcome
        return Reformulation(original, original, outcome, verdict.reason, source, timings)
    query = original
    added: tuple[str, ...] = ()
    if verdict.rewrite is not None:
        query = verdict.rewrite
        if mode is Mode.EXPAND:
            added = expansion_terms(original, query)
            query = f"{original} {' '.join(added)}" if added else original
    if query == original:
        return Reformulation(original, original, Outcome.UNCHANGED, None, source, timings)
    return Reformulation(original, query, Outcome.REWRITTEN, None, source, timings, added)
