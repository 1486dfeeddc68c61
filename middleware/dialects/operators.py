"""Query syntaxes: whether a text uses one, and how to write a text without operators.

A rewrite is words. Operators in it are escaped, or replaced by blanks if the syntax has no
escape, so no model can change what is searched beyond its words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

# A set of first characters, then what is around them: patterns that begin so pass over a text fast.
_KEYWORDS = re.compile(r"[ANOT](?<!\w.)(?:(?<=A)ND|(?<=N)OT|(?<=O)R|(?<=T)O)\b")


@dataclass(frozen=True, slots=True)
class QuerySyntax:
    """A query syntax; ``operators`` matches its operators.

    ``escaped`` matches those that a backslash escapes, ``blanked`` those that have no escape and
    become blanks. ``keywords`` is set if AND, OR, NOT and TO in capitals are operators too.
    """

    operators: re.Pattern[str]
    escaped: re.Pattern[str] | None
    blanked: re.Pattern[str] | None
    keywords: bool

    def is_used_in(self, text: str) -> bool:
        """Return whether the API would read operators in a text."""
        return bool(self.operators.search(text) or (self.keywords and _KEYWORDS.search(text)))

    def neutralize(self, text: str) -> str:
        """Return the text without operators; a text of words only is returned as it is."""
        if self.blanked is not None:
            text = self.blanked.sub(" ", text)
        if self.escaped is not None:
            text = self.escaped.sub(r"\\\g<0>", text)
        if self.keywords:
            text = _KEYWORDS.sub(lambda match: match[0].lower(), text)
        return text

    def neutralizing(self, encode: Callable[[str], bytes], original: str) -> Callable[[str], bytes]:
        """Return an encoder that neutralizes each text but the original one.

        A text of which no word is left is encoded as the original.
        """

        def encode_neutral(text: str) -> bytes:
            if text == original:
                return encode(text)
            neutral = self.neutralize(text)
            return encode(neutral if any(map(str.isalnum, neutral)) else original)

        return encode_neutral


def _syntax(
    always: str, leading: str, blanked: str = "", doubled: str = "", keywords: bool = True
) -> QuerySyntax:
    """Return a syntax of single characters, and of those that are operators if ``doubled``.

    ``leading`` are operators at the beginning of a word only.
    """
    return QuerySyntax(
        _operators(always + blanked, leading, doubled),
        _operators(always, leading, doubled),
        re.compile(f"[{re.escape(blanked)}]") if blanked else None,
        keywords,
    )


def _operators(always: str, leading: str, doubled: str) -> re.Pattern[str]:
    kinds = [rf"(?<=[{re.escape(always)}])", rf"(?<=[{re.escape(leading)}])(?<!\S.)"]
    kinds += [f"(?<={re.escape(char)}){re.escape(char)}" for char in doubled]
    return re.compile(f"[{re.escape(always + leading + doubled)}](?:{'|'.join(kinds)})")


LUCENE = _syntax('\\(){}[]^"~*?:/=!', "+-", "<>", "&|")
"""``query_string``, the ``q`` parameter of Elasticsearch, and Solr's three main parsers."""

SIMPLE = _syntax('\\()"~*|+', "-", keywords=False)
"""``simple_query_string``, in which ``+`` is an operator within a word as well."""

GROONGA = _syntax('\\()"~*<>:^', "+-")
"""Groonga's query syntax."""

WORDS = QuerySyntax(
    re.compile(r'["!+-](?:(?<=")|(?<!\S.)(?=\S))'),
    None,
    re.compile(r'"|(?<!\S)[-!+]+(?=\S)'),
    False,
)
"""APIs with quoted phrases and ``-excluded`` words, which have no escape."""
