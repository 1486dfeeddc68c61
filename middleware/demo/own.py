"""Read a user's own documents: a folder of files, or JSON lines in BEIR layout."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from .docstrings import documents_in_source, module_name
from .documents import Corpus, CorpusDocument, CorpusError, Progress, clean, summary_of
from .prose import documents_in_html, documents_in_prose

_PROSE = frozenset((".txt", ".md", ".rst"))
_HTML = frozenset((".html", ".htm"))
_READ = _PROSE | _HTML | {".py"}
_FILE_LIMIT = 20_000_000
_DOCUMENT_LIMIT = 200_000


def own_corpus(
    path: Path, *, document_limit: int = _DOCUMENT_LIMIT, progress: Progress | None = None
) -> Corpus:
    """Return the documents of a JSONL file, of a folder with ``corpus.jsonl``, or of a folder.

    A line of JSONL is an object with ``_id``, ``text`` and optionally ``title``. In a folder,
    ``.txt``, ``.md``, ``.rst``, ``.html`` and ``.py`` files are read at any depth, except hidden
    ones. Reading stops at ``document_limit`` documents, with a note. Progress is in bytes.

    Errors: ``CorpusError`` for a missing path, a malformed line, or no documents.
    """
    if path.is_dir():
        lines = path / "corpus.jsonl"
        found, notes = (
            _from_lines(lines, document_limit, progress)
            if lines.is_file()
            else _from_folder(path, document_limit, progress)
        )
    elif path.is_file():
        if path.suffix.lower() not in (".jsonl", ".ndjson"):
            raise CorpusError(f"{path}: a corpus is a folder or a .jsonl file")
        found, notes = _from_lines(path, document_limit, progress)
    else:
        told = (
            "a corpus is a folder or a .jsonl file" if path.exists() else "no such file or folder"
        )
        raise CorpusError(f"{path}: {told}")
    if not found:
        kinds = ", ".join(sorted(_READ))
        raise CorpusError(f"{path}: no documents in it (a folder may hold {kinds} files)")
    return Corpus(path.resolve().name, tuple(found), tuple(notes))


def _from_lines(
    path: Path, limit: int, progress: Progress | None
) -> tuple[list[CorpusDocument], list[str]]:
    found: list[CorpusDocument] = []
    lines_by_id: dict[str, int] = {}
    total, done = path.stat().st_size, 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            done += len(line)
            if progress is not None and (number % 500 == 0 or done == total):
                progress(done, total)
            if not line.strip():
                continue
            if len(found) >= limit:
                return found, [f"{path.name}: only the first {limit:,} documents were read"]
            where = f"{path}:{number}"
            document = _from_line(line, where, f"{path.name}:{number}")
            first = lines_by_id.setdefault(document.id, number)
            if first != number:
                raise CorpusError(f"{where}: _id {document.id!r} is on line {first} too")
            found.append(document)
    return found, []


def _from_line(line: bytes, where: str, source: str) -> CorpusDocument:
    try:
        entry = json.loads(line)
    except UnicodeDecodeError as error:
        raise CorpusError(f"{where}: not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where}: not JSON: {error}") from None
    if not isinstance(entry, dict):
        raise CorpusError(f"{where}: not an object but {type(entry).__name__}")
    for key in ("_id", "text"):
        if key not in entry:
            raise CorpusError(f'{where}: "{key}" is missing')
    identity, title, text = entry["_id"], entry.get("title") or "", entry["text"]
    if not isinstance(identity, str | int) or identity == "":
        raise CorpusError(f'{where}: "_id" must be text that is not empty')
    if not isinstance(text, str) or not isinstance(title, str):
        raise CorpusError(f'{where}: "text" and "title" must be text')
    title, text = clean(title).strip(), clean(text).strip()
    summary = summary_of(text)
    return CorpusDocument(clean(str(identity)), title or summary, "text", summary, text, source)


def _from_folder(
    root: Path, limit: int, progress: Progress | None
) -> tuple[list[CorpusDocument], list[str]]:
    files = list(_files(root))
    total, done = sum(size for _, size in files), 0
    found: list[CorpusDocument] = []
    skipped: list[str] = []
    for path, size in files:
        if len(found) >= limit:
            skipped.append(f"only the first {limit:,} documents were read")
            break
        if size > _FILE_LIMIT:
            skipped.append(f"{path}: larger than {_FILE_LIMIT // 1_000_000} MB, left out")
        else:
            try:
                found += _from_file(root, path)
            except (OSError, UnicodeDecodeError) as error:
                skipped.append(f"{path}: left out, {_reason(error)}")
        done += size
        if progress is not None:
            progress(done, total)
    return found[:limit], skipped


def _from_file(root: Path, path: Path) -> list[CorpusDocument]:
    content = (root / path).read_bytes()
    source, suffix = path.as_posix(), path.suffix.lower()
    if suffix == ".py":
        return _distinct(documents_in_source(content, module_name(path), source))
    text = content.decode("utf-8-sig")
    if suffix in _HTML:
        return documents_in_html(text, source, path.stem)
    return documents_in_prose(text, source, path.stem)


def _distinct(documents: list[CorpusDocument]) -> list[CorpusDocument]:
    return list({document.id: document for document in reversed(documents)}.values())[::-1]


def _reason(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}"
    return error.strerror or type(error).__name__


def _files(root: Path) -> Iterator[tuple[Path, int]]:
    """Yield the supported files under a folder with their sizes, ordered by path."""
    for folder, folders, names in os.walk(root):  # does not follow links, which may form loops
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        for name in sorted(names):
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix.lower() in _READ and path.is_file():
                yield path.relative_to(root), path.stat().st_size
