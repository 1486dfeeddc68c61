"""Admission: is this text something that a reformulation model should touch at all?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from middleware.errors import ConfigurationError

from .language import is_foreign
from .outcome import Reason
from .terms import BOILERPLATE, FUNCTION_WORDS, is_identifier, tokens

__all__ = ["Admission", "holds_syntax"]

_OPERATOR = re.compile(r"(?<!\S)(?:AND|OR|NOT|NEAR(?:/\d+)?|TO)(?!\S)")
_SYNTAX = re.compile(
    r"""
      &&|\|\|                                   # boolean operators
    | (?<!\S)[+!-](?=[\w"(])                    # +required, -excluded, !not
    | (?<!\S)[A-Za-z_][\w.\-*]*:(?=[^\s/])      # field:value
    | \*                                        # wildcard, match all
    | \w\?\w                                    # single-character wildcard
    | [\w"]~\d*(?!\S)                           # fuzzy and proximity
    | \w\^\d                                    # boost
    | \[[^\]]*\sTO\s[^\]]*[\]}]                 # range
    | (?<!\S)/.+/(?!\S)                         # regular expression
    | \{!|\$\{|_val_|_query_                    # local parameters, templates
    | [{}<>\\`|^]|==|!=|<=|>=|=>|->|;\s*$|;\S   # code
    | \w\([^)\s]*\)                             # a call
    | (?<!\S)\w+=\S                             # assignment, parameter
    | (?<!\S)(?:def|class|import|return|SELECT|select)\s+\S+.*[(:;=*]
    """,
    re.VERBOSE,
)
_NEGATIVE_NUMBER = re.compile(r"-\d")
_QUOTED = re.compile(r'"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»')
_URL = re.compile(r"(?<!\S)(?:https?|ftp|file)://\S+", re.IGNORECASE)


def holds_syntax(text: str) -> bool:
    """Tell whether a text holds operators of a query language, or reads as code."""
    return bool(_OPERATOR.search(text) and not text.isupper()) or bool(_SYNTAX.search(text))


def _unencodable(text: str) -> bool:
    """Tell whether a text holds code points that are no text: surrogates, controls, private use."""
    if text.isascii():
        return not text.isprintable()
    return any(unicodedata.category(char) in {"Cc", "Cs", "Co", "Cn", "Cf"} for char in text)


class Admission:
    """Decides whether a text is to be rewritten, and if not, why not.

    Lengths are in characters and in white-space separated words. ``languages`` are
    ISO 639-1 codes that the model knows. Raises :class:`ConfigurationError` where the
    limits contradict each other.

    Concurrency: immutable after construction; safe to share between threads.
    """

    def __init__(
        self,
        *,
        min_chars: int = 2,
        max_chars: int = 512,
        max_words: int = 64,
        languages: Iterable[str] = ("en",),
    ) -> None:
        if not 1 <= min_chars <= max_chars:
            raise ConfigurationError(
                f"admission: min_chars ({min_chars}) must be at least 1 and at most "
                f"max_chars ({max_chars})"
            )
        if max_words < 1:
            raise ConfigurationError(f"admission: max_words ({max_words}) must be at least 1")
        self.min_chars = min_chars
        self.max_chars = max_chars
        self.max_words = max_words
        self.languages = frozenset(languages)
        self.revision = f"a1:{min_chars}:{max_chars}:{max_words}:{','.join(sorted(self.languages))}"

    def check(self, text: str) -> Reason | None:
        """Return the reason to leave a normalized text alone, or ``None`` to admit it."""
        if not text:
            return Reason.EMPTY
        if len(text) < self.min_chars:
            return Reason.TOO_SHORT
        if len(text) > self.max_chars or text.count(" ") >= self.max_words:
            return Reason.TOO_LONG
        if _unencodable(text):
            return Reason.UNENCODABLE
        if _QUOTED.search(text) or (text.count('"') == 1 and text.startswith('"')):
            return Reason.QUOTED
        if _URL.search(text):
            return Reason.IDENTIFIER
        found = tokens(text)
        if not found:
            return Reason.SYNTAX
        identifiers = [token for token in found if is_identifier(token)]
        if identifiers:
            content = [
                token
                for token in found
                if token.casefold() not in FUNCTION_WORDS and token.casefold() not in BOILERPLATE
            ]
            if 2 * len(identifiers) >= len(content):
                return Reason.IDENTIFIER
        if holds_syntax(text):
            return Reason.SYNTAX
        if not any(char.isalpha() for char in text):
            return Reason.IDENTIFIER
        if sum(char.isalnum() for char in text) < self.min_chars:
            return Reason.TOO_SHORT
        if is_foreign(text, self.languages):
            return Reason.LANGUAGE
        return None
