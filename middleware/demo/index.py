"""A full-text index in SQLite FTS5, ranked by BM25."""

from __future__ import annotations

import queue
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from .documents import CorpusDocument, Progress, clean
from .terms import extra_names, match_expression, name_parts

_OPEN, _CLOSE = "\x02", "\x03"  # `clean` keeps both out of every document
_MARK = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")
_SNIPPET_TOKENS = 30
_READERS = 4
_BATCH = 500

_CREATE = """
CREATE VIRTUAL TABLE documents USING fts5(
    title, names, text, id UNINDEXED, kind UNINDEXED, summary UNINDEXED,
    signature UNINDEXED, source UNINDEXED,
    tokenize = 'porter unicode61 remove_diacritics 2'
)
"""
_INSERT = """
INSERT INTO documents
VALUES (:title, :names, :text, :id, :kind, :summary, :signature, :source)
"""
# Weights of title, names and text: a match in the title counts more than one in the text.
_SEARCH = f"""
SELECT id, title, kind, summary, signature, source,
       snippet(documents, 2, '{_OPEN}', '{_CLOSE}', '…', {_SNIPPET_TOKENS}),
       -bm25(documents, 4.0, 2.0, 1.0)
FROM documents WHERE documents MATCH ?
ORDER BY bm25(documents, 4.0, 2.0, 1.0), rowid LIMIT ? OFFSET ?
"""
_COUNT = "SELECT count(*) FROM documents WHERE documents MATCH ?"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a snippet, and whether it matched the query."""

    text: str
    match: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that matched; ``score`` is BM25, higher is better."""

    id: str
    title: str
    kind: str
    summary: str
    signature: str
    source: str
    snippet: tuple[Segment, ...]
    score: float


@dataclass(frozen=True, slots=True)
class Results:
    """One page of hits, best first, and the number of all matches."""

    total: int
    hits: tuple[Hit, ...]


class SearchIndex:
    """A read-only full-text index, built by the constructor.

    Invariants: the database is not written after construction; its connections are read-only.

    Concurrency: ``search`` and ``count`` are thread-safe. Up to four calls run at once, others
    wait. Call ``close`` after the last of them.
    """

    def __init__(
        self, documents: Sequence[CorpusDocument], *, progress: Progress | None = None
    ) -> None:
        # A file, so that several connections can read it at once.
        self._folder = tempfile.TemporaryDirectory(prefix="querylift-demo-")
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        path = Path(self._folder.name, "index.sqlite3")
        try:
            _write(path, documents, progress)
            for _ in range(_READERS):
                self._readers.put(
                    sqlite3.connect(
                        f"{path.as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
                    )
                )
        except BaseException:
            self.close()
            raise
        self.size = len(documents)

    def search(self, query: str, *, size: int = 10, start: int = 0) -> Results:
        """Return at most ``size`` hits, after skipping the first ``start``.

        Documents with any word of the query match. A query has no syntax and is never an error.
        """
        expression = match_expression(clean(query))
        if not expression:
            return Results(0, ())
        with self._reader() as reader:
            (total,) = reader.execute(_COUNT, (expression,)).fetchone()
            rows = reader.execute(_SEARCH, (expression, size, start)).fetchall()
        hits = (Hit(*(*row[:6], tuple(_segments(row[6])), row[7])) for row in rows)
        return Results(total, tuple(hits))

    def count(self, query: str) -> int:
        """Return the number of documents that match a query."""
        return self.search(query, size=0).total

    def close(self) -> None:
        """Close the connections and remove the file; a second call does nothing."""
        while True:
            try:
                self._readers.get_nowait().close()
            except queue.Empty:
                break
        self._folder.cleanup()

    def __enter__(self) -> SearchIndex:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        reader = self._readers.get()
        try:
            yield reader
        finally:
            self._readers.put(reader)


def _write(path: Path, documents: Sequence[CorpusDocument], progress: Progress | None) -> None:
    writer = sqlite3.connect(path, isolation_level=None)
    try:
        # The file is temporary and need not survive a crash.
        writer.execute("PRAGMA journal_mode = OFF")
        writer.execute("PRAGMA synchronous = OFF")
        writer.execute(_CREATE)
        writer.execute("BEGIN")
        for start in range(0, len(documents), _BATCH):
            writer.executemany(_INSERT, map(_row, documents[start : start + _BATCH]))
            if progress is not None:
                progress(min(start + _BATCH, len(documents)), len(documents))
        writer.execute("COMMIT")
        writer.execute("INSERT INTO documents (documents) VALUES ('optimize')")
    finally:
        writer.close()


def _row(document: CorpusDocument) -> dict[str, str]:
    names = " ".join(name_parts(document.title)) + " " + extra_names(document.text)
    return asdict(document) | {"names": names}


def _segments(snippet: str) -> Iterator[Segment]:
    """Yield the segments of a snippet with marked matches, with white space collapsed."""
    for position, text in enumerate(_MARK.split(" ".join(snippet.split()))):
        if text:
            yield Segment(text, bool(position % 2))
