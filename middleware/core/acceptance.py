"""Acceptance: does a rewrite keep what the text asked for?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from middleware.errors import ConfigurationError

from .admission import holds_syntax
from .edit_distance import close_spelling
from .language import foreign_script, is_foreign
from .outcome import Mode, Reason
from .terms import (
    BOILERPLATE,
    FUNCTION_WORDS,
    has_digit,
    is_identifier,
    is_negation,
    is_number,
    protected_terms,
    tokens,
    words,
)

__all__ = ["Acceptance"]

_PIECES = re.compile(r"⁇|<unk>|<pad>|</s>|<extra_id_\d+>|\ufffd|[\x00-\x1f\x7f]")


class Acceptance:
    """Decides whether a finished rewrite may be sent in place of the text.

    ``max_growth`` bounds the rewrite's characters by the text's (plus 24, so that short
    texts can grow); ``max_lost`` is the share of the text's content words that may go
    (boilerplate and function words may always go, respelled words are not lost);
    ``max_new`` is the share of the rewrite's content words that may be new; ``protected``
    are further words that must stay. Raises :class:`ConfigurationError` for shares
    outside 0 to 1.

    Concurrency: immutable after construction; safe to share between threads.
    """

    def __init__(
        self,
        *,
        max_growth: float = 3.0,
        max_lost: float = 0.0,
        max_new: float = 0.5,
        protected: Iterable[str] = (),
        languages: Iterable[str] = ("en",),
    ) -> None:
        for name, share in (("max_lost", max_lost), ("max_new", max_new)):
            if not 0.0 <= share <= 1.0:
                raise ConfigurationError(f"acceptance: {name} ({share}) must lie within 0 and 1")
        if max_growth < 1.0:
            raise ConfigurationError(f"acceptance: max_growth ({max_growth}) must be at least 1")
        self.max_growth = max_growth
        self.max_lost = max_lost
        self.max_new = max_new
        self.protected = frozenset(word.casefold() for word in protected)
        self.languages = frozenset(languages)
        self.revision = (
            f"c1:{max_growth}:{max_lost}:{max_new}:{','.join(sorted(self.protected))}"
            f":{','.join(sorted(self.languages))}"
        )

    def check(self, original: str, rewrite: str, mode: Mode = Mode.REPLACE) -> Reason | None:
        """Return the reason to refuse ``rewrite`` for ``original``, or ``None`` to accept it.

        In ``expand`` mode the original's own words stay whatever the rewrite left out, so
        that only what the rewrite adds is judged.
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
        keeps_original = mode is Mode.EXPAND
        if not keeps_original and self._lost_term(original, rewrite):
            return Reason.REJECTED_LOST_TERM
        if self._drifts(original, rewrite, 1.0 if keeps_original else self.max_lost) or (
            holds_syntax(rewrite) and not holds_syntax(original)
        ):
            return Reason.REJECTED_DRIFT
        return None

    def _other_language(self, original: str, rewrite: str) -> bool:
        if foreign_script(rewrite):
            return not foreign_script(original)
        return is_foreign(rewrite, self.languages) and not is_foreign(original, self.languages)

    def _lost_term(self, original: str, rewrite: str) -> bool:
        kept = Counter(token.casefold() for token in tokens(rewrite))
        wanted = Counter(protected_terms(original))
        if self.protected:
            wanted.update(t for t in map(str.casefold, tokens(original)) if t in self.protected)
        # A term said twice may be said once: requests repeat themselves.
        return any(term not in kept for term in wanted)

    def _drifts(self, original: str, rewrite: str, max_lost: float) -> bool:
        """Tell whether content went or came beyond what the shares allow."""
        before = [word.casefold() for word in words(original)]
        after = [word.casefold() for word in words(rewrite)]
        known = set(before)
        lost = [w for w in before if _is_content(w) and w not in set(after)]
        fresh = [w for w in after if w not in known]
        if any(_is_exact(word) for word in fresh):
            return True  # a number, negation or identifier that nobody asked for
        for word in list(lost):
            match = next((new for new in fresh if close_spelling(word, new)), None)
            if match is not None:
                lost.remove(word)
                fresh.remove(match)
        for new in list(fresh):  # a misspelled function word mended ("hwo" -> "how")
            if any(close_spelling(old, new) for old in before if old not in after):
                fresh.remove(new)
        joined_before, joined_after = "".join(before), "".join(after)
        lost = [w for w in lost if w not in joined_after]  # "foot ball" -> "football"
        fresh = [w for w in fresh if w not in joined_before]
        content = sum(_is_content(word) for word in before)
        return len(lost) > max_lost * content or len(fresh) > self.max_new * len(after)


def _is_content(word: str) -> bool:
    return word not in FUNCTION_WORDS and word not in BOILERPLATE


def _is_exact(word: str) -> bool:
    return is_number(word) or has_digit(word) or is_negation(word) or is_identifier(word)


def _loops(original: str, rewrite: str) -> bool:
    """Tell whether a rewrite repeats a word or a run of words more than the original does."""
    after = [word.casefold() for word in words(rewrite)]
    before = [word.casefold() for word in words(original)]
    for size in (1, 2, 3):
        allowed = Counter(zip(*(before[i:] for i in range(size)), strict=False))
        limit = 2 if size == 1 else 1
        for gram, count in Counter(zip(*(after[i:] for i in range(size)), strict=False)).items():
            if count > max(limit, allowed[gram]):
                return True
    return False
