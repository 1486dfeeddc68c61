"""Read relevance judgments in BEIR form: query, document and grade, separated by tabs."""

from __future__ import annotations

from collections.abc import Collection as Several
from collections.abc import Iterator
from pathlib import Path

from ...errors import ConfigurationError

Qrels = dict[str, dict[str, int]]
"""Grades by query id and document id; 0 and below are not relevant."""

_FORM = "query-id, corpus-id and a whole score between tabs"
_QUERY_HEADS = {"query-id", "query_id", "queryid", "query", "qid"}
_GRADE_HEADS = {"score", "grade", "relevance", "rel", "label"}


def read_qrels(path: Path) -> Qrels:
    """Read the judgments of a file; the header line is optional.

    Errors: ``ConfigurationError`` with the line number for a malformed judgment and for one
    that contradicts an earlier one.
    """
    qrels: Qrels = {}
    for index, (place, line) in enumerate(numbered_lines(path)):
        fields = [field.strip() for field in line.split("\t")]
        if index == 0 and _is_header(fields):
            continue
        try:
            query, document, grade = fields
            score = int(grade)
            if not query or not document:
                raise ValueError(line)
        except ValueError:
            raise ConfigurationError(f"{place}: {_problem(line)}") from None
        known = qrels.setdefault(query, {}).setdefault(document, score)
        if known != score:
            raise ConfigurationError(
                f"{place}: {document!r} has grade {score} for query {query!r}, "
                f"and {known} in an earlier line"
            )
    return qrels


def missing_ids(judged: Several[str], known: Several[str], *, what: str, file: str) -> str:
    """Return a warning that counts the judged ids which a file lacks, or an empty text.

    Errors: ``ConfigurationError`` if the file has none of them.
    """
    missing = [name for name in judged if name not in known]
    if not missing:
        return ""
    if len(missing) == len(judged):
        example = next(iter(known), "")
        raise ConfigurationError(
            f"none of {len(judged)} judged {what} is in {file}: "
            f"judged are ids such as {missing[0]!r}, the file has such as {example!r}"
        )
    return f"{len(missing)} of {len(judged)} judged {what} are not in {file}"


def _is_header(fields: list[str]) -> bool:
    return (
        len(fields) == 3 and fields[0].lower() in _QUERY_HEADS and fields[2].lower() in _GRADE_HEADS
    )


def _problem(line: str) -> str:
    if len(line.split()) == 4:
        return f"this looks like TREC's form with four columns, not like BEIR's: {_FORM}"
    return f"expected {_FORM}, got {line!r}"


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield ("FILE, line N", text) for each line that is not blank, without a byte order mark.

    Errors: ``ConfigurationError`` for an unreadable file or a line that is not UTF-8.
    """
    try:
        # Bytes, as a decoder for the whole file could not name the bad line.
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                place = f"{path}, line {number}"
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise ConfigurationError(f"{place}: not UTF-8 ({error.reason})") from error
                if text.strip():
                    yield place, text.rstrip("\r\n")
    except OSError as error:
        raise ConfigurationError(
            f"collection: {path} cannot be read: {error.strerror or error}"
        ) from error
