"""One line of log for each decision."""

from __future__ import annotations

import logging

from .record import Record

__all__ = ["LogObserver"]

_log = logging.getLogger("middleware.decisions")


class LogObserver:
    """Writes each decision at level ``INFO``; texts only with ``queries``, as they are personal."""

    def __init__(self, *, queries: bool = False) -> None:
        self._queries = queries

    def __call__(self, record: Record) -> None:
        """Write one record."""
        if not _log.isEnabledFor(logging.INFO):
            return
        result = record.reformulation
        line = (
            f"outcome={result.outcome} reason={result.reason or '-'} src={result.source or '-'} "
            f"mode={record.mode} ms={1000 * result.timings.total:.1f}"
        )
        if self._queries:
            line += f" original={result.original!r} query={result.query!r}"
        _log.info("%s", line)
