"""The collection that the demo searches: the user's own, or the documentation at hand."""

from __future__ import annotations

from pathlib import Path

from .documents import Collection, Progress
from .installed import installed_collection
from .own import own_collection

__all__ = ["load_collection"]


def load_collection(path: Path | None = None, *, progress: Progress | None = None) -> Collection:
    """Return the user's own collection at ``path``, or the documentation of what is installed.

    See ``own_collection`` for what ``path`` may be.

    :raises CollectionError: when there is nothing to search, or a file is not as it must be.
    """
    if path is None:
        return installed_collection(progress=progress)
    return own_collection(path, progress=progress)
