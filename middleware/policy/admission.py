"""Admission: should this text be given to the model at all?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property, lru_cache

from ..core.arguments import checked
from ..core.outcome import Reason
from ..core.revision import revision_of
from ..core.text import stacks_marks, tokens
from ..errors import ConfigurationError
from .language import is_foreign
from .quotation import asks_for_a_phrase
from .terms import BOILERPLATE, FUNCTION_WORDS, is_identifier, is_name

_OPERATOR = re.compile(r"(?<!\S)\(*(?:AND|OR|NOT|NEAR(?:/\d+)?)(?=[\s()]|$)")
_SYNTAX = re.compile(
    r"""
      &&|\|\|                                   # boolean operators
    | (?<!\S)\(*[+!-](?=[\w"(])                 # +required, -excluded, !not
    | (?<!\S)\(*[A-Za-z_][\w.\-*]*:(?=[^\s/:])  # field:value
    | \*                                        # wildcard, match all
    | \w\?[a-z0-9]                              # single-character wildcard; not "so?It"
    | [\w"]~\d*(?!\S)                           # fuzzy and proximity
    | \w\^\d                                    # boost
    | \[(?>[^\[\]]*?\sTO\s)[^\[\]}]*+[\]}]      # range
    | ^(?>.*?(?<!\S)/).+/(?!\S)                 # regular expression
    | \{!|\$\{|_val_|_query_                    # local parameters, templates
    | [{}<>\\`|^]|==|!=|=>                      # code
    | ;(?!(?:s|t|d|m|re|ll|ve)\b)\S|;\s*$       # a statement's end; not "didn;t"
    # A call; not "item(s)", "O(n)". Only the first bracket of a stretch can begin one.
    | (?:(?<!\S)|(?<=\)))(?>[^)\s]*?\w\()(?:\)|[^)\s,.=_$"'(]*+[,.=_$"'(][^)\s]*+\))
    | (?<!\S)(?>\S*?(?:(?<=\w\.)|\b(?=\w+_\w))\w++\()[^)\s]*+\)   # os.remove(x)
    | (?<!\S)\w+=\S|\w\s=\s\w|(?<!\S)\$[A-Za-z_]  # assignment, parameter, variable
    | (?<!\S)(?:def\s+\w+\s*\(|class\s+\w+(?:\(\S*\))?:)
    | ^(?:from\s+[\w.]+\s+import|import\s+[\w.]+\s+as)\s
    | ^(?>.*?\bSELECT\b).+\bFROM\b|^select\s+\w+(?:\s*,\s*\w+)*\s+from\s+\w
    | \b(?:INSERT\s+INTO|DELETE\s+FROM|UPDATE\s+\w+\s+SET)\b
    """,
    re.VERBOSE,
)
_URL = re.compile(r"(?<!\S)(?:https?|ftp|file)://\S+", re.IGNORECASE)
_LONGEST_RAW = 4  # times as long as its normal form, which joins up to three characters in one
# Most queries are lower-case words. None of the patterns above matches these, and they have only
# encodable characters (a test checks both); so they skip a third of admission's work.
_PLAIN = re.compile("(?!from |import |select )[a-z0-9][a-z0-9 ]*")
_cached = lru_cache(maxsize=8192)(is_identifier)  # words come again and again
_LONGEST_CACHED = 64  # characters of a word, which limit the cache to some mebibytes
# How unknown pieces and undecodable bytes are shown; bullets, arrows, signs and pictures, which a
# model that knows only text makes words of.
_NO_TEXT = re.compile("[\u2047\ufffd\u2022\u2190-\u21ff\u2300-\u2bff\U0001f000-\U0001faff]")


def holds_syntax(text: str) -> bool:
    """Return whether a text holds operators of a query language, or reads as code.

    A text all in capitals shouts rather than commands: its operators count unless it has
    other function words too, and ``AND`` alone ("BLACK AND DECKER") never does.
    """
    if _SYNTAX.search(text):
        return True
    operators = _OPERATOR.findall(text)
    if not operators or not text.isupper():
        return bool(operators)
    if all(operator.endswith("AND") for operator in operators):
        return False
    return not any(
        token.casefold() in FUNCTION_WORDS and token not in {"AND", "OR"} for token in tokens(text)
    )


def _unencodable(text: str) -> bool:
    """Return whether a text has surrogates, controls, private-use characters or pictures."""
    if text.isascii():
        return not text.isprintable()
    if _NO_TEXT.search(text):
        return True
    return any(unicodedata.category(char) in {"Cc", "Cs", "Co", "Cn", "Cf"} for char in text)


def _is_identifier(word: str) -> bool:
    return _cached(word) if len(word) <= _LONGEST_CACHED else is_identifier(word)


def _names_things(text: str) -> bool:
    """Return whether at least half of a text's content words are identifiers.

    Names that may also be words (``iPhone``, ``G7``, ``ac/dc``) count only if the text has
    nothing else.
    """
    found = tokens(text)
    content = [
        token
        for token in found
        if token.casefold() not in FUNCTION_WORDS and token.casefold() not in BOILERPLATE
    ]
    exact = sum(_is_identifier(token) and not is_name(token) for token in content)
    if exact and 2 * exact >= len(content):
        return True
    return all(_is_identifier(token) or is_name(token) for token in found)


def _fewer(text: str, least: int) -> bool:
    """Return whether a text has fewer letters and digits than ``least``."""
    found = 0
    for char in text:
        found += char.isalnum()
        if found >= least:
            return False
    return True


class Admission:
    """Decides whether a text is given to the model.

    Lengths are in characters and in white-space separated words. ``languages`` are the ISO 639-1
    codes of the languages that the model knows. Errors: ``ConfigurationError`` for limits that
    contradict each other.

    Concurrency: immutable after construction; safe to share between threads.
    """

    @checked
    def __init__(
        self,
        *,
        min_chars: int = 2,
        max_chars: int = 512,
        max_words: int = 80,
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

    @cached_property
    def revision(self) -> str:
        """A digest of the limits, the word lists and the code that decide."""
        return revision_of(self)

    def check_raw(self, text: str) -> Reason | None:
        """Return the reason not even to normalize a text, or ``None``; its time is bounded."""
        if len(text) > _LONGEST_RAW * self.max_chars:
            return Reason.TOO_LONG
        return Reason.UNENCODABLE if stacks_marks(text) else None

    def check(self, text: str) -> Reason | None:
        """Return the reason not to rewrite a normalized text, or ``None`` to admit it."""
        if not text:
            return Reason.EMPTY
        if len(text) < self.min_chars:
            return Reason.TOO_SHORT
        if len(text) > self.max_chars or text.count(" ") >= self.max_words:
            return Reason.TOO_LONG
        if not _PLAIN.fullmatch(text):
            if _unencodable(text):
                return Reason.UNENCODABLE
            if _URL.search(text):
                return Reason.IDENTIFIER
            if holds_syntax(text) or not tokens(text):
                return Reason.SYNTAX
            if asks_for_a_phrase(text):
                return Reason.QUOTED
        if _names_things(text):
            return Reason.IDENTIFIER
        if not any(map(str.isalpha, text)):
            return Reason.IDENTIFIER
        if _fewer(text, self.min_chars):
            return Reason.TOO_SHORT
        if is_foreign(text, self.languages):
            return Reason.LANGUAGE
        return None
