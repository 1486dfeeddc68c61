"""Query languages: does a text use one, and how to say a text so that it does not.

A rewrite is words. Where an API would read operators in it, they are escaped, or become
blanks where the language has no escape, so that no model can change what is asked for
beyond its words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["GROONGA", "LUCENE", "SIMPLE", "WORDS", "Language"]

_KEYWORDS = re.compile(r"\b(?:AND|OR|NOT|TO)\b")


@dataclass(frozen=True, slots=True)
class Language:
    """A query language: ``marks`` are its operators.

    ``always`` are escaped with a backslash wherever they stand, ``blanked`` cannot be
    escaped and become a blank. ``keywords`` are read as operators in capitals only.
    """

    marks: re.Pattern[str]
    escaped: re.Pattern[str] | None
    blanked: re.Pattern[str] | None
    keywords: bool

    def holds(self, text: str) -> bool:
        """Tell whether a text would be read as more than words."""
        return bool(self.marks.search(text) or (self.keywords and _KEYWORDS.search(text)))

    def words(self, text: str) -> str:
        """Return the text in a form that is read as words only; the text itself if it is one."""
        if self.blanked is not None:
            text = self.blanked.sub(" ", text)
        if self.escaped is not None:
            text = self.escaped.sub(r"\\\g<0>", text)
        if self.keywords:
            text = _KEYWORDS.sub(lambda match: match[0].lower(), text)
        return text

    def wrap(self, encode: Callable[[str], bytes], original: str) -> Callable[[str], bytes]:
        """Return a spelling that neutralizes a rewrite; nothing left of it is the original."""

        def spell_words(text: str) -> bytes:
            if text == original:
                return encode(text)
            said = self.words(text)
            return encode(said if any(map(str.isalnum, said)) else original)

        return spell_words


def _language(
    always: str, leading: str, blanked: str = "", extra: str = "", keywords: bool = True
) -> Language:
    """Make a language of characters; ``leading`` count only where a word could begin."""
    escaped = f"[{re.escape(always)}]"
    if leading:
        escaped += rf"|(?<!\S)[{re.escape(leading)}]"
    if extra:
        escaped += f"|{extra}"
    blank = f"[{re.escape(blanked)}]" if blanked else ""
    return Language(
        re.compile(f"{escaped}|{blank}" if blank else escaped),
        re.compile(escaped),
        re.compile(blank) if blank else None,
        keywords,
    )


LUCENE = _language('\\(){}[]^"~*?:/=!', "+-", "<>", "&&|\\|\\|")
"""``query_string``, the URI's ``q``, and Solr's lucene, dismax and edismax."""

SIMPLE = _language('\\()"~*|+', "-", keywords=False)
"""``simple_query_string``, which takes ``+`` for an operator also within a word."""

GROONGA = _language('\\()"~*<>:^', "+-")
"""Groonga's query syntax."""

WORDS = Language(
    re.compile(r'"|(?<!\S)[-!+](?=\S)'), None, re.compile(r'"|(?<!\S)[-!+]+(?=\S)'), False
)
"""APIs of phrases in quotation marks and ``-excluded`` words, which have no escape."""
