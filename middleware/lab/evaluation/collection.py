"""Collections in BEIR layout: documents, queries and relevance judgments in one folder.

``corpus.jsonl`` holds ``{"_id", "title", "text"}``, ``queries.jsonl`` holds ``{"_id", "text"}``
and maybe ``metadata``, ``qrels/<split>.tsv`` holds query, document and grade behind the
header line ``query-id<TAB>corpus-id<TAB>score``. Layout: Thakur et al. 2021, https://arxiv.org/abs/2104.08663.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ConfigurationError
from .judgments import Qrels, read_qrels, unknown
from .lines import numbered

__all__ = ["Collection", "Document", "Qrels", "Query", "load_collection", "read_documents"]

_CORPUS, _QUERIES = "corpus.jsonl", "queries.jsonl"
_LAYOUT = f"expected are {_CORPUS}, {_QUERIES}, qrels/test.tsv"


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
    documents: bool = True,
    warn: Callable[[str], None] = lambda message: None,
) -> Collection:
    """Read the judged queries of a folder, in the order of ``queries.jsonl``.

    ``where`` keeps the queries whose metadata has these values; ``limit`` takes that many
    from the front. ``documents`` says whether the folder has to have them; ``warn`` is told
    of judged queries that are missing. Errors: ``ConfigurationError`` that names the
    file and line.
    """
    _check_layout(folder, split, documents)
    qrels = read_qrels(folder / "qrels" / f"{split}.tsv")
    known: dict[str, str] = {}
    queries = []
    for record, place in _records(folder / _QUERIES):
        query = Query(_id(record, place, known), _text(record, "text", place), _about(record))
        relevant = any(grade > 0 for grade in qrels.get(query.id, {}).values())
        if relevant and all(str(query.metadata.get(key)) == value for key, value in where):
            queries.append(query)
    warning = unknown(qrels, known, what="queries", file=str(folder / _QUERIES))
    if warning:
        warn(warning)
    if not queries:
        filters = "".join(f" with {key}={value}" for key, value in where)
        raise ConfigurationError(f"{folder}: no query{filters} has a relevant document ({split})")
    kept = tuple(queries[:limit])
    return Collection(
        folder.resolve().name, folder, kept, {query.id: qrels[query.id] for query in kept}
    )


def read_documents(folder: Path) -> Iterator[Document]:
    """Yield the documents of a folder, title and text as one text."""
    known: dict[str, str] = {}
    for record, place in _records(folder / _CORPUS):
        title = record.get("title") or ""
        yield Document(_id(record, place, known), f"{title} {_text(record, 'text', place)}".strip())


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
    there = f"the splits there are {', '.join(splits)} (--split)" if splits else _LAYOUT
    raise ConfigurationError(f"collection: {folder} has no qrels/{split}.tsv; {there}")


def _records(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    for place, line in numbered(path):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ConfigurationError(f"{place}: not JSON ({error})") from error
        if not isinstance(record, dict):
            raise ConfigurationError(f"{place}: not a JSON object")
        yield record, place


def _id(record: Mapping[str, Any], place: str, known: dict[str, str]) -> str:
    """Return a record's id and note its line, as it may stand in one only."""
    found = _text(record, "_id", place)
    if found in known:
        raise ConfigurationError(f"{place}: the _id {found!r} stands in {known[found]} too")
    known[found] = place.rpartition(", ")[2]
    return found


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
