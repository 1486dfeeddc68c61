"""Read the documentation of Python's standard library and of the installed packages.

The standard library is always read whole. The rest of the limits is shared among the installed
packages, so that a huge package leaves room for small ones: each gets what it needs up to a
common share, which is as large as the limits allow.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .docstrings import read_module
from .documents import Corpus, CorpusDocument, CorpusError, Progress

_NOT_API = frozenset(
    (
        *("test", "tests", "conftest", "idle_test", "examples", "benchmarks", "__pycache__"),
        *("lib2to3", "idlelib", "turtledemo", "pydoc_data"),  # programs, and one huge table
        *("vendor", "vendored", "third_party", "thirdparty", "extern", "externals"),
        *("site-packages", "dist-packages", "lib-dynload", "node_modules"),
    )
)


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """Limits on what is read; only ``file_bytes`` applies to the standard library.

    ``package_bytes`` is the amount of source text from all packages, which determines the time.
    """

    documents: int = 20_000
    package_files: int = 150
    package_bytes: int = 10_000_000
    file_bytes: int = 600_000


@dataclass(frozen=True, slots=True)
class _Source:
    root: Path
    path: Path
    size: int


def installed_corpus(
    *,
    limits: ReadingLimits = ReadingLimits(),
    library: Path | None = None,
    packages: Sequence[Path] | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Return the docstrings of the standard library and of the installed packages.

    ``library`` and ``packages`` are import roots, by default those of the running interpreter.
    Equal files give equal corpora. Progress is in bytes of source.

    Errors: ``CorpusError`` if there are no docstrings, as in a Python without sources.
    """
    paths = sysconfig.get_paths()
    library = library or Path(paths["stdlib"])
    if packages is None:
        packages = list(dict.fromkeys(Path(paths[key]) for key in ("purelib", "platlib")))

    library_files = list(_sources(library, Path(), limits))
    chosen = _within_limits(_packages(packages, limits), limits)
    total = sum(file.size for files in (library_files, *chosen.values()) for file in files)
    done = 0

    def report(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(done, total)

    seen: set[str] = set()
    taken = _read(library_files, seen, report)
    by_package = {name: _read(files, seen, report) for name, files in chosen.items()}
    shares = fair_shares(
        {name: len(found) for name, found in by_package.items()}, limits.documents - len(taken)
    )
    used = sum(share > 0 for share in shares.values())
    for name, found in by_package.items():
        taken += found[: shares[name]]
    if not taken:
        raise CorpusError(f"{library}: no Python sources with docstrings; give --corpus")
    name = "Documentation of Python's standard library"
    if used:
        name += f" and {used} installed package{'s' if used > 1 else ''}"
    return Corpus(name, tuple(_with_distinct_ids(taken)))


def fair_shares(wanted: Mapping[str, int], budget: int) -> dict[str, int]:
    """Divide a budget: each name gets what it wants, up to the largest possible common share.

    The sum is ``min(budget, sum of wanted)``. Units left by rounding go to the first names that
    want more.
    """
    shares = dict.fromkeys(wanted, 0)
    left = max(0, budget)
    unserved = sorted((name for name in wanted if wanted[name] > 0), key=lambda n: wanted[n])
    for position, name in enumerate(unserved):
        shares[name] = min(wanted[name], left // (len(unserved) - position))
        left -= shares[name]
    for name, want in wanted.items():
        if left and shares[name] < want:
            shares[name] += 1
            left -= 1
    return shares


def _read(
    files: Sequence[_Source], seen: set[str], report: Callable[[int], None]
) -> list[CorpusDocument]:
    """Read files in order, without docstrings that an earlier file has too."""
    found: list[CorpusDocument] = []
    for file in files:
        for document in read_module(file.root, file.path):
            if document.text not in seen:
                seen.add(document.text)
                found.append(document)
        report(file.size)
    return found


def _packages(roots: Sequence[Path], limits: ReadingLimits) -> dict[str, list[_Source]]:
    found: dict[str, list[_Source]] = {}
    for root in roots:
        for entry in _entries(root):
            name = entry.name.removesuffix(".py")
            if not _public(name) or name in found:
                continue
            path, read = Path(entry.name), _sources if entry.is_dir() else _source_file
            if files := list(read(root, path, limits)):
                found[name] = files
    return dict(sorted(found.items()))


def _within_limits(
    packages: dict[str, list[_Source]], limits: ReadingLimits
) -> dict[str, list[_Source]]:
    candidates = {name: files[: limits.package_files] for name, files in packages.items()}
    sizes = {name: sum(file.size for file in files) for name, files in candidates.items()}
    shares = fair_shares(sizes, limits.package_bytes)
    return {name: list(_up_to(files, shares[name])) for name, files in candidates.items()}


def _up_to(files: Sequence[_Source], size: int) -> Iterator[_Source]:
    for file in files:
        if file.size <= size:
            size -= file.size
            yield file


def _sources(root: Path, folder: Path, limits: ReadingLimits) -> Iterator[_Source]:
    """Yield the public source files under a folder, level by level from the top."""
    level = [folder]
    while level:
        below: list[Path] = []
        for current in level:
            for entry in _entries(root / current):
                if not _public(entry.name.removesuffix(".py")):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append(current / entry.name)
                else:
                    yield from _source_file(root, current / entry.name, limits)
        level = below


def _source_file(root: Path, path: Path, limits: ReadingLimits) -> Iterator[_Source]:
    file = root / path
    if path.suffix == ".py" and file.is_file() and 0 < file.stat().st_size <= limits.file_bytes:
        yield _Source(root, path, file.stat().st_size)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: (entry.name != "__init__.py", entry.name))
    except OSError:  # the folder is missing or unreadable
        return []


def _public(name: str) -> bool:
    hidden = name.startswith(("_", "test_")) or name in _NOT_API
    return name == "__init__" or (name.isidentifier() and not hidden)


def _with_distinct_ids(documents: Sequence[CorpusDocument]) -> Iterator[CorpusDocument]:
    """Yield documents with distinct ids: a repeated name gets its line appended."""
    seen: set[str] = set()
    for document in documents:
        distinct = document
        if document.id in seen:
            distinct = replace(document, id=f"{document.id}:{document.source.rpartition(':')[2]}")
        if distinct.id not in seen:
            seen.add(distinct.id)
            yield distinct
