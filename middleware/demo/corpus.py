"""Load the demo's corpus: the user's own documents, or the installed documentation."""

from __future__ import annotations

from pathlib import Path

from .documents import Corpus, Progress
from .installed import installed_corpus
from .own import own_corpus

__all__ = ["load_corpus"]


def load_corpus(path: Path | None = None, *, progress: Progress | None = None) -> Corpus:
    """Return the corpus at ``path``, or without a path the installed documentation.

    ``own_corpus`` describes the formats. Errors: ``CorpusError`` for an empty or damaged corpus.
    """
    if path is None:
        return installed_corpus(progress=progress)
    return own_corpus(path, progress=progress)
