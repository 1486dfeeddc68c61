"""The unit that the demo indexes, and what a collection of them is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import ConfigurationError

__all__ = ["Collection", "CollectionError", "Document", "Progress", "clean", "summary_of"]

Progress = Callable[[int, int], None]
"""Called with the work done and the work in all, in any one unit, as the work goes on."""

# Everything below U+0020 except white space, DEL, the C1 controls and lone surrogates:
# none of it is text, SQLite stops at NUL, UTF-8 cannot carry surrogates, and the index
# marks matches with two of the controls.
_NOT_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")
_SUMMARY_LIMIT = 200


class CollectionError(ConfigurationError):
    """A collection cannot be read; the message names the file, and the line where there is one."""


@dataclass(frozen=True, slots=True)
class Document:
    """One searchable text.

    ``kind`` is ``module``, ``class``, ``function`` or ``method`` for documentation read
    from Python sources, else ``text``. ``source`` says where the text stands, as
    ``path:line`` where there is a line. ``signature`` is empty for what takes no arguments.
    """

    id: str
    title: str
    kind: str
    summary: str
    text: str
    source: str
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents with distinct ids, a name for people, and what was left out and why."""

    name: str
    documents: tuple[Document, ...]
    notes: tuple[str, ...] = ()


def clean(text: str) -> str:
    """Return the text with every character that is no text replaced by U+FFFD."""
    return _NOT_TEXT.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def summary_of(text: str) -> str:
    """Return the first sentence of the first paragraph, on one line and of bounded length."""
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    sentence = _SENTENCE_END.split(paragraph, maxsplit=1)[0]
    if len(sentence) <= _SUMMARY_LIMIT:
        return sentence
    return sentence[:_SUMMARY_LIMIT].rpartition(" ")[0] + " …"
