"""Relevance judgments in BEIR form: query, document and grade between tabs."""

from __future__ import annotations

from collections.abc import Collection as Several
from pathlib import Path

from ...errors import ConfigurationError
from .lines import numbered

__all__ = ["Qrels", "read_qrels", "unknown"]

Qrels = dict[str, dict[str, int]]
"""Grades by query id and document id; 0 and below are not relevant."""

_FORM = "query-id, corpus-id and a whole score between tabs"
_QUERY_HEADS = {"query-id", "query_id", "queryid", "query", "qid"}
_GRADE_HEADS = {"score", "grade", "relevance", "rel", "label"}


def read_qrels(path: Path) -> Qrels:
    """Read the judgments of a file, whose header line may be missing.

    Errors: ``ConfigurationError`` with the line for one that is no judgment, and for two
    that contradict each other.
    """
    qrels: Qrels = {}
    for index, (place, line) in enumerate(numbered(path)):
        fields = [field.strip() for field in line.split("\t")]
        if index == 0 and _is_header(fields):
            continue
        try:
            query, document, grade = fields
            score = int(grade)
            if not query or not document:
                raise ValueError(line)
        except ValueError:
            raise ConfigurationError(f"{place}: {_complaint(line)}") from None
        known = qrels.setdefault(query, {}).setdefault(document, score)
        if known != score:
            raise ConfigurationError(
                f"{place}: {document!r} has grade {score} for query {query!r}, "
                f"and {known} in an earlier line"
            )
    return qrels


def unknown(judged: Several[str], known: Several[str], *, what: str, file: str) -> str:
    """Return a warning of how many judged ids a file lacks, empty where it has them all.

    Errors: ``ConfigurationError`` where it has none of them.
    """
    missing = [name for name in judged if name not in known]
    if not missing:
        return ""
    if len(missing) == len(judged):
        here = next(iter(known), "")
        raise ConfigurationError(
            f"none of {len(judged)} judged {what} is in {file}: "
            f"judged are ids such as {missing[0]!r}, the file has such as {here!r}"
        )
    return f"{len(missing)} of {len(judged)} judged {what} are not in {file}"


def _is_header(fields: list[str]) -> bool:
    return (
        len(fields) == 3 and fields[0].lower() in _QUERY_HEADS and fields[2].lower() in _GRADE_HEADS
    )


def _complaint(line: str) -> str:
    if len(line.split()) == 4:
        return f"this looks like TREC's form of four columns; read is BEIR's: {_FORM}"
    return f"expected {_FORM}, got {line!r}"
