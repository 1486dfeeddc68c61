"""Collections in BEIR layout: documents, queries and relevance judgments in one folder.

``corpus.jsonl`` holds ``{"_id", "title", "text"}``, ``queries.jsonl`` holds ``{"_id", "text"}``
and maybe ``metadata``, ``qrels/<split>.tsv`` holds query, document and grade behind a header
line. Layout: Thakur et al. 2021, https://arxiv.org/abs/2104.08663.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from middleware.errors import ConfigurationError

__all__ = ["Collection", "Document", "Qrels", "Query", "load_collection", "read_documents"]

Qrels = dict[str, dict[str, int]]
"""Grades by query id and document id; 0 and below are not relevant."""


@dataclass(frozen=True, slots=True)
class Document:
    """What is searched."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """A judged query; ``metadata`` is whatever the collection says of it."""

    id: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Collection:
    """Judged queries and where their documents are.

    Invariants: every query has a document of grade 1 or more in ``qrels``.
    """

    name: str
    folder: Path
    queries: tuple[Query, ...]
    qrels: Qrels


def load_collection(
    folder: Path,
    *,
    split: str = "test",
    where: Sequence[tuple[str, str]] = (),
    limit: int | None = None,
) -> Collection:
    """Read the judged queries of a folder, in the order of ``queries.jsonl``.

    ``where`` keeps the queries whose metadata has these values; ``limit`` takes that many
    from the front. Errors: :class:`ConfigurationError` that names the file and line.
    """
    qrels = _read_qrels(folder / "qrels" / f"{split}.tsv")
    queries = []
    for record, place in _records(folder / "queries.jsonl"):
        query = Query(_text(record, "_id", place), _text(record, "text", place), _about(record))
        relevant = any(grade > 0 for grade in qrels.get(query.id, {}).values())
        if relevant and all(str(query.metadata.get(key)) == value for key, value in where):
            queries.append(query)
    if len({query.id for query in queries}) < len(queries):
        raise ConfigurationError(f"{folder / 'queries.jsonl'}: an _id stands there twice")
    if not queries:
        filters = "".join(f" with {key}={value}" for key, value in where)
        raise ConfigurationError(f"{folder}: no query{filters} has a relevant document ({split})")
    kept = tuple(queries[:limit])
    return Collection(
        folder.resolve().name, folder, kept, {query.id: qrels[query.id] for query in kept}
    )


def read_documents(folder: Path) -> Iterator[Document]:
    """Yield the documents of a folder, title and text as one text."""
    for record, place in _records(folder / "corpus.jsonl"):
        title = record.get("title") or ""
        yield Document(
            _text(record, "_id", place), f"{title} {_text(record, 'text', place)}".strip()
        )


def _read_qrels(path: Path) -> Qrels:
    qrels: Qrels = {}
    for number, line in enumerate(_lines(path), 1):
        fields = line.split("\t")
        if len(fields) == 4:  # the TREC form has an unused column
            fields = [fields[0], *fields[2:]]
        try:
            query, document, grade = fields
            qrels.setdefault(query, {})[document] = int(grade)
        except ValueError:
            if number > 1:  # the first line is a header where it is no judgment
                raise ConfigurationError(
                    f"{path}, line {number}: expected query, document and a whole grade "
                    f"between tabs, got {line!r}"
                ) from None
    return qrels


def _records(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    for number, line in enumerate(_lines(path), 1):
        place = f"{path}, line {number}"
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ConfigurationError(f"{place}: not JSON ({error})") from error
        if not isinstance(record, dict):
            raise ConfigurationError(f"{place}: not a JSON object")
        yield record, place


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from (stripped for line in file if (stripped := line.rstrip("\r\n")))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"collection: {path} cannot be read: {error}") from error


def _text(record: Mapping[str, Any], key: str, place: str) -> str:
    value = record.get(key)
    if isinstance(value, int) and key == "_id":
        return str(value)
    if not isinstance(value, str):
        raise ConfigurationError(f"{place}: {key!r} must be there and be text")
    return value


def _about(record: Mapping[str, Any]) -> Mapping[str, Any]:
    about = record.get("metadata")
    return about if isinstance(about, dict) else {}
