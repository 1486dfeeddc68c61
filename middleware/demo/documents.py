"""The documents that the demo indexes, and a corpus of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import ConfigurationError

Progress = Callable[[int, int], None]
"""Called with the finished and the total amount of work, in the same unit."""

# Control characters except white space, and lone surrogates. SQLite stops at NUL, UTF-8 cannot
# encode surrogates, and the index marks matches with two control characters.
_NOT_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")
_SUMMARY_LIMIT = 200


class CorpusError(ConfigurationError):
    """A corpus cannot be read; the message has the file, and the line if there is one."""


@dataclass(frozen=True, slots=True)
class CorpusDocument:
    """One searchable text.

    ``kind`` is ``module``, ``class``, ``function`` or ``method`` for documentation from Python
    sources, else ``text``. ``source`` is the place of the text, ``path:line`` or ``path``.
    ``signature`` is that of a function, else empty.
    """

    id: str
    title: str
    kind: str
    summary: str
    text: str
    source: str
    signature: str = ""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents with distinct ids, a name to show, and notes on what was left out."""

    name: str
    documents: tuple[CorpusDocument, ...]
    notes: tuple[str, ...] = ()


def clean(text: str) -> str:
    """Return a text with control characters and lone surrogates replaced by U+FFFD."""
    return _NOT_TEXT.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def summary_of(text: str) -> str:
    """Return the first sentence of a text on one line, cut at 200 characters."""
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    sentence = _SENTENCE_END.split(paragraph, maxsplit=1)[0]
    if len(sentence) <= _SUMMARY_LIMIT:
        return sentence
    return sentence[:_SUMMARY_LIMIT].rpartition(" ")[0] + " …"
