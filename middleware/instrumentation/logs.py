"""Logs one line per decision."""

from __future__ import annotations

import logging
import random
import re

from ..core.arguments import checked
from ..errors import ConfigurationError
from ..policy.terms import is_identifier
from .record import Record

_LONGEST = 1024  # characters
_WORD = re.compile(r"\S+")

_log = logging.getLogger("querylift.decisions")


class LogObserver:
    """Logs each decision at level ``INFO``; with ``queries`` also the texts, which are personal.

    ``redact`` replaces words with a digit or an ``@``, and other identifiers, by ``…``. Names of
    people stay, as they look like other words. Texts are cut after 1,024 characters. ``sample`` is
    the share of the decisions that is logged.

    Errors: ``ConfigurationError`` for a share that is not within 0 and 1.
    """

    @checked
    def __init__(self, *, queries: bool = False, redact: bool = False, sample: float = 1.0) -> None:
        if not 0 <= sample <= 1:
            raise ConfigurationError(f"log sample ({sample}) must be within 0 and 1")
        self._queries = queries
        self._redact = redact
        self._sample = sample
        self._draw = random.Random()

    def __call__(self, record: Record) -> None:
        """Log one record."""
        if not _log.isEnabledFor(logging.INFO):
            return
        if self._sample < 1 and self._draw.random() >= self._sample:
            return
        result = record.reformulation
        line = (
            f"outcome={result.outcome} reason={result.reason or '-'} src={result.source or '-'} "
            f"mode={record.mode} ms={1000 * result.timings.total:.1f}"
        )
        if self._queries:
            original, query = _start(result.original), _start(result.query)
            if self._redact:
                original, query = redacted(original), redacted(query)
            line += f" original={original!r} query={query!r}"
        _log.info("%s", line)


def _start(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def redacted(text: str) -> str:
    """Return a text with ``…`` for each word that may identify somebody: numbers, addresses."""

    def shown(match: re.Match[str]) -> str:
        word = match[0]
        personal = "@" in word or any(char.isdigit() for char in word) or is_identifier(word)
        return "…" if personal else word

    return _WORD.sub(shown, text)
