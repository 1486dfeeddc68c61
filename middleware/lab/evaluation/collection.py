"""Read test collections in BEIR layout: documents, queries and judgments in one folder.

``corpus.jsonl`` holds ``{"_id", "title", "text"}``, ``queries.jsonl`` holds ``{"_id", "text"}``
and optionally ``metadata``, ``qrels/<split>.tsv`` holds query, document and grade below the
header line ``query-id<TAB>corpus-id<TAB>score``. Layout: Thakur et al. 2021, https://arxiv.org/abs/2104.08663.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError
from .judgments import Qrels, missing_ids, numbered_lines, read_qrels

_CORPUS, _QUERIES = "corpus.jsonl", "queries.jsonl"
_LAYOUT = f"expected are {_CORPUS}, {_QUERIES}, qrels/test.tsv"


@dataclass(frozen=True, slots=True)
class Document:
    """One searchable text."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """A query with judgments; ``metadata`` is free-form."""

    id: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Collection:
    """Judged queries, and the folder that holds their documents.

    Invariants: each query has a document of grade 1 or more in ``qrels``.
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
    documents: bool = True,
    warn: Callable[[str], None] = lambda message: None,
) -> Collection:
    """Read the judged queries of a folder, in the order of ``queries.jsonl``.

    ``where`` selects queries by metadata values, compared as text. ``limit`` selects the first
    ones. ``documents`` tells whether the folder must have a corpus. ``warn`` is called with a
    warning if judged queries are missing. Errors: ``ConfigurationError`` with file and line.
    """
    _check_layout(folder, split, documents)
    qrels = read_qrels(folder / "qrels" / f"{split}.tsv")
    lines: dict[str, str] = {}
    queries = []
    for record, place in _records(folder / _QUERIES):
        query = Query(_id(record, place, lines), _text(record, "text", place), _metadata(record))
        relevant = any(grade > 0 for grade in qrels.get(query.id, {}).values())
        if relevant and all(str(query.metadata.get(key)) == value for key, value in where):
            queries.append(query)
    warning = missing_ids(qrels, lines, what="queries", file=str(folder / _QUERIES))
    if warning:
        warn(warning)
    if not queries:
        filters = "".join(f" with {key}={value}" for key, value in where)
        raise ConfigurationError(f"{folder}: no query{filters} has a relevant document ({split})")
    chosen = tuple(queries[:limit])
    return Collection(
        folder.resolve().name, folder, chosen, {query.id: qrels[query.id] for query in chosen}
    )


def read_documents(folder: Path) -> Iterator[Document]:
    """Yield the documents of a folder, with title and text joined."""
    lines: dict[str, str] = {}
    for record, place in _records(folder / _CORPUS):
        title = record.get("title") or ""
        yield Document(_id(record, place, lines), f"{title} {_text(record, 'text', place)}".strip())


def _check_layout(folder: Path, split: str, documents: bool) -> None:
    if not folder.is_dir():
        raise ConfigurationError(f"collection: there is no folder {folder}; {_LAYOUT} in it")
    names = [_CORPUS, _QUERIES] if documents else [_QUERIES]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise ConfigurationError(
            f"collection: {folder} has no {' and no '.join(missing)}; {_LAYOUT}"
        )
    if (folder / "qrels" / f"{split}.tsv").is_file():
        return
    splits = sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))
    hint = f"the splits there are {', '.join(splits)} (--split)" if splits else _LAYOUT
    raise ConfigurationError(f"collection: {folder} has no qrels/{split}.tsv; {hint}")


def _records(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    for place, line in numbered_lines(path):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ConfigurationError(f"{place}: not JSON ({error})") from error
        if not isinstance(record, dict):
            raise ConfigurationError(f"{place}: not a JSON object")
        yield record, place


def _id(record: Mapping[str, Any], place: str, lines: dict[str, str]) -> str:
    """Return a record's id, add its line to ``lines``, and refuse an id that is there already."""
    found = _text(record, "_id", place)
    if found in lines:
        raise ConfigurationError(f"{place}: the _id {found!r} is in {lines[found]} too")
    lines[found] = place.rpartition(", ")[2]
    return found


def _text(record: Mapping[str, Any], key: str, place: str) -> str:
    value = record.get(key)
    if isinstance(value, int) and key == "_id":
        return str(value)
    if not isinstance(value, str):
        raise ConfigurationError(f"{place}: {key!r} must be there and be text")
    return value


def _metadata(record: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = record.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
