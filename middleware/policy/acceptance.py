"""Acceptance: may a rewrite be sent in place of the text?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import cached_property
from itertools import compress, pairwise

from rapidfuzz.distance import OSA

from ..core.arguments import checked
from ..core.outcome import Mode, Reason
from ..core.revision import revision_of
from ..core.text import tokens, words
from ..errors import ConfigurationError
from .admission import holds_syntax
from .edits import apply_safe_edits, capitalized_names, same_words
from .language import is_foreign
from .quotation import count_marks, quotations
from .request_remains import without_remains
from .request_words import droppable_words, without_courtesy
from .spelling import close_spelling
from .terms import (
    FUNCTION_WORDS,
    has_digit,
    is_identifier,
    is_negation,
    is_number,
    is_unit,
    protected_terms,
)

_PIECES = re.compile(r"⁇|<unk>|<pad>|</s>|<extra_id_\d+>|\ufffd|[\x00-\x1f\x7f]")
_MIN_LOOP_WORDS = 3  # a rewrite that loops over fewer different words has no edits worth using
_PLAIN = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", re.UNICODE)
# Reasons to refuse a whole rewrite of which single edits may still be used.
_PARTLY_USABLE = frozenset(
    {
        Reason.REJECTED_DRIFT,
        Reason.REJECTED_LENGTH,
        Reason.REJECTED_LOOP,
        Reason.REJECTED_LOST_TERM,
    }
)


class Acceptance:
    """Decides whether a rewrite may be sent in place of the text.

    ``max_growth`` limits the rewrite's length to that many times the text's, plus 24 characters.
    ``max_lost`` is the share of the query's own words that a rewrite may lose; words of the
    request around the query and of grammar do not count, nor do corrected words. ``max_new`` is
    the share of the rewrite's words that may be new. ``protected`` are words that must stay, beside
    numbers, negations and identifiers. ``known`` are words that are spelled correctly, so that
    replacing one is a loss and no correction. ``languages`` are ISO 639-1 codes.

    Errors: ``ConfigurationError`` for shares outside 0 to 1 or a growth below 1.

    Concurrency: immutable after construction; safe to share between threads.
    """

    @checked
    def __init__(
        self,
        *,
        max_growth: float = 3.0,
        max_lost: float = 0.0,
        max_new: float = 0.5,
        protected: Iterable[str] = (),
        known: Iterable[str] = (),
        languages: Iterable[str] = ("en",),
    ) -> None:
        for name, share in (("max_lost", max_lost), ("max_new", max_new)):
            if not 0.0 <= share <= 1.0:
                raise ConfigurationError(f"acceptance: {name} ({share}) must lie within 0 and 1")
        if not max_growth >= 1.0:
            raise ConfigurationError(f"acceptance: max_growth ({max_growth}) must be at least 1")
        self.max_growth = max_growth
        self.max_lost = max_lost
        self.max_new = max_new
        self.protected = frozenset(word.casefold() for word in protected)
        self.known = frozenset(word.casefold() for word in known)
        self.languages = frozenset(languages)

    @cached_property
    def revision(self) -> str:
        """A digest of the options, the word lists and the code that decide."""
        return revision_of(self)

    def judge(
        self, original: str, rewrite: str, mode: Mode = Mode.REPLACE
    ) -> tuple[str | None, Reason | None]:
        """Return the query to send in place of ``original``, or the reason to refuse the rewrite.

        The query is the rewrite. If that goes too far, it is the original with those edits of the
        rewrite that are safe one by one: request words left out and spelling corrected (in
        ``expand`` mode only the latter). Both values are ``None`` if the rewrite differs from the
        original only in case or in the punctuation around words. Pure; never raises.
        """
        if rewrite == original:
            return None, None
        reason = self.check(original, rewrite, mode)
        if reason is not None and reason not in _PARTLY_USABLE:
            return None, reason
        if reason is Reason.REJECTED_LOOP and len(set(words(rewrite))) < _MIN_LOOP_WORDS:
            return None, reason
        if same_words(original, rewrite):
            return None, None
        if reason is None:
            return self._without_remains(original, rewrite, mode), None
        merged = apply_safe_edits(
            original,
            rewrite,
            self._is_small_correction,
            protected=self.protected,
            known=self.known,
            deletes=mode is not Mode.EXPAND,
        )
        if same_words(original, merged) or self.check(original, merged, mode) is not None:
            return None, reason
        return self._without_remains(original, merged, mode), None

    def _without_remains(self, original: str, rewrite: str, mode: Mode) -> str:
        """Return an accepted rewrite without what remains in it of a request."""
        if mode is Mode.EXPAND:
            return rewrite
        shorter = without_remains(original, rewrite)
        return rewrite if self.check(original, shorter, mode) is not None else shorter

    def check(self, original: str, rewrite: str, mode: Mode = Mode.REPLACE) -> Reason | None:
        """Return the reason to refuse the whole ``rewrite``, or ``None`` to accept it.

        In ``expand`` mode the original's words are sent anyway, so that only the words that the
        rewrite adds are judged.
        """
        if not any(char.isalnum() for char in rewrite):
            return Reason.REJECTED_EMPTY
        if _PIECES.search(rewrite):
            return Reason.REJECTED_UNKNOWN_TOKEN
        if _loops(original, rewrite):
            return Reason.REJECTED_LOOP
        if len(rewrite) > self.max_growth * len(original) + 24:
            return Reason.REJECTED_LENGTH
        if self._other_language(original, rewrite):
            return Reason.REJECTED_LANGUAGE
        adds_only = mode is Mode.EXPAND
        if not adds_only and (
            self._lost_term(original, rewrite) or _quoted_other(original, rewrite)
        ):
            return Reason.REJECTED_LOST_TERM
        if holds_syntax(rewrite) or count_marks(rewrite) > count_marks(original):
            return Reason.REJECTED_DRIFT
        if self._drifts(original, rewrite, 1.0 if adds_only else self.max_lost):
            return Reason.REJECTED_DRIFT
        return None

    def _other_language(self, original: str, rewrite: str) -> bool:
        return is_foreign(rewrite, self.languages) and not is_foreign(original, self.languages)

    def _lost_term(self, original: str, rewrite: str) -> bool:
        remaining = [token.casefold() for token in tokens(rewrite)]
        asked = without_courtesy(original)
        wanted = set(protected_terms(asked))
        if self.protected:
            wanted.update(self.protected.intersection(map(str.casefold, tokens(original))))
        # A term said twice may be said once: requests repeat themselves.
        if not wanted.issubset(remaining):
            return True
        before = [token.casefold() for token in tokens(asked)]
        after = [token.casefold() for token in tokens(without_courtesy(rewrite))]
        return not _measures(before) <= _measures(remaining) or _negated_other(before, after)

    def _drifts(self, original: str, rewrite: str, max_lost: float) -> bool:
        """Return whether more words were lost or added than ``max_lost`` and ``max_new`` allow."""
        classified = droppable_words(original)
        before = [word for word, _ in classified]
        after = [word.casefold() for word in words(rewrite)]
        own = [word for word, droppable in classified if not droppable]
        lost = [word for word in own if word not in set(after)]
        fresh = [word for word in after if word not in set(before)]
        if any(_is_exact(word) for word in fresh):
            return True  # a number, negation or identifier that the text does not have
        # A word that occurs twice is no typo.
        twice = (word for word in lost if before.count(word) > 1)
        fixed = _fixed_spellings(original).union(twice) if lost else ()
        for word in list(lost):
            if word in fixed:
                continue
            match = next((new for new in fresh if self._is_correction(word, new)), None)
            if match is not None:
                lost.remove(word)
                fresh.remove(match)
        for new in list(fresh):  # a corrected word of grammar ("hwo" -> "how")
            if any(self._is_correction(old, new) for old in before if old not in after):
                fresh.remove(new)
        lost, fresh = _without_spacing_changes(before, after, lost, fresh)
        return len(lost) > max_lost * len(own) or len(fresh) > self.max_new * len(after)

    def _is_small_correction(self, word: str, new: str) -> bool:
        # A rewrite that went too far is trusted with one edit a word, no more.
        return OSA.distance(word, new, score_cutoff=1) <= 1 and self._is_correction(word, new)

    def _is_correction(self, word: str, new: str) -> bool:
        if word in self.known or is_unit(word):
            return new in {f"{word}s", f"{word}es"} or word in {f"{new}s", f"{new}es"}
        if len(word) <= 3 and sorted(word) != sorted(new) and new not in FUNCTION_WORDS:
            return False  # "cat" and "car" are words, so is "rea"; "hwo" and "how" are one word
        return close_spelling(word, new)


def _quoted_other(original: str, rewrite: str) -> bool:
    """Return whether the rewrite has other quotations than the original."""
    quoted = quotations(original)
    if not quoted:
        return False
    return quoted != quotations(rewrite) or count_marks(original) != count_marks(rewrite)


def _fixed_spellings(text: str) -> frozenset[str]:
    """Return the words, case-folded, that are names or codes, whose spelling must not change."""
    found = words(text)
    exact = {word.casefold() for word in found if not _PLAIN.fullmatch(word)}
    if text.islower():
        return frozenset(exact)
    if not text.isupper():
        exact.update(word.casefold() for word in found if any(map(str.isupper, word[1:])))
    named = compress(found, capitalized_names(text))
    return frozenset(exact.union(map(str.casefold, named)))


def _without_spacing_changes(
    before: list[str], after: list[str], lost: list[str], fresh: list[str]
) -> tuple[list[str], list[str]]:
    """Return ``lost`` and ``fresh`` without words that were only joined or split ("foot ball")."""
    joined, parted = _joins(before), _joins(after)
    found = {part for word in fresh for part in joined.get(word, ())}
    found.update(word for word in lost if word in parted)
    gained = {part for word in lost for part in parted.get(word, ())}
    gained.update(word for word in fresh if word in joined)
    return [w for w in lost if w not in found], [w for w in fresh if w not in gained]


def _joins(found: list[str]) -> dict[str, list[str]]:
    """Return the joined form of each two and three neighbours -> those words."""
    return {
        "".join(found[i : i + size]): found[i : i + size]
        for size in (2, 3)
        for i in range(len(found) - size + 1)
    }


def _measures(found: list[str]) -> set[tuple[str, str]]:
    """Return pairs of a number and the unit behind it."""
    return {(a, b) for a, b in pairwise(found) if is_number(a) and is_unit(b)}


def _negated_other(before: list[str], after: list[str]) -> bool:
    """Return whether a negation moved to another word ("case without logo")."""
    asked, got = _negated(before), _negated(after)
    for negation, word in got:
        meant = [w for n, w in asked if n == negation]
        if meant and not any(w == word or close_spelling(w, word) for w in meant):
            return True
    return False


def _negated(found: list[str]) -> list[tuple[str, str]]:
    """Return pairs of a negation that is a separate word and the next content word behind it."""
    pairs = []
    for index, token in enumerate(found):
        if is_negation(token) and "-" not in token:
            rest = (w for w in found[index + 1 :] if w not in FUNCTION_WORDS)
            pairs.append((token, next(rest, "")))
    return pairs


def _is_exact(word: str) -> bool:
    return is_number(word) or has_digit(word) or is_negation(word) or is_identifier(word)


def _loops(original: str, rewrite: str) -> bool:
    """Return whether a rewrite repeats a word or a run of words more often than the original.

    A run may occur as often as its rarest word, because words between may have been left out.
    """
    after = [word.casefold() for word in words(rewrite)]
    if len(set(after)) == len(after):
        return False
    asked = Counter(word.casefold() for word in words(original))
    for size in (1, 2, 3):
        limit = 2 if size == 1 else 1
        for gram, count in Counter(zip(*(after[i:] for i in range(size)), strict=False)).items():
            if count > max(limit, min(asked[word] for word in gram)):
                return True
    return False
