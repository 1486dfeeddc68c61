"""All cases: those with odd requests, and those with odd answers."""

from __future__ import annotations

from . import answers, framing, heads, heads_of_answers, talks, targets
from .cases import Case

__all__ = ["ANSWERS", "REQUESTS"]

REQUESTS: tuple[Case, ...] = (
    *framing.LENGTHS,
    *framing.CODINGS,
    *framing.CHUNKS,
    *framing.TRAILERS,
    *heads.LINE_ENDS,
    *heads.NAMES,
    *heads.VALUES,
    *heads.SIZES,
    *heads.HOSTS,
    *heads.CONNECTIONS,
    *targets.TARGETS,
    *targets.METHODS,
    *targets.VERSIONS,
    *talks.EXPECTATIONS,
    *talks.UPGRADES,
    *talks.PIPELINES,
    *talks.SEGMENTS,
    *talks.CONDITIONS,
    *talks.PASSED,
)
ANSWERS: tuple[Case, ...] = (
    *answers.INTERIMS,
    *answers.BODILESS,
    *answers.LENGTHS,
    *answers.CODINGS,
    *answers.CHUNKS,
    *answers.CUTS,
    *heads_of_answers.STATUSES,
    *heads_of_answers.HEADS,
    *heads_of_answers.GARBAGE,
    *heads_of_answers.EARLY,
)
