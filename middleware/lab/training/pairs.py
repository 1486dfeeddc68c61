"""Generate the training pairs: a request as typed, and the search query that it means."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from .data import Corpora
from .identifiers import identifier
from .protection import bare_word
from .reduction import FUNCTION_WORDS, clean, is_question, keywords
from .typos import add_typos, break_spacing
from .wrappers import (
    add_disfluency,
    multi_topic_request,
    perturb,
    repeat_phrase,
    wrap,
    wrap_question,
)

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Pair:
    """A training example: ``source`` as typed, ``target`` as meant, ``kind`` for reports."""

    kind: str
    source: str
    target: str


KINDS: dict[str, float] = {
    "unchanged": 0.25,
    "typo1": 0.15,
    "typo2": 0.07,
    "wrapped": 0.15,
    "wrapped_typo": 0.09,
    "question": 0.07,
    "letter": 0.08,
    "passage": 0.06,
    "disfluent": 0.03,
    "title": 0.02,
    "feedback": 0.01,
    "spacing": 0.02,
}
_HINTED = 0.93  # share of sources with spelling hints; the model must also work without
_POOLS = {
    "titles": 0.16,
    "short": 0.03,
    "products": 0.30,
    "science": 0.16,
    "sentences": 0.05,
    "documentation": 0.10,
    "random_words": 0.20,
}


class PairSource:
    """Draws pairs of every kind from the corpora; equal random states give equal pairs.

    ``validation`` selects the validation texts.

    Invariants: targets keep the words of the clean query, except for the function words of a
    question; at least a quarter of all pairs are unchanged.
    Concurrency: read-only after construction; the caller owns the random state.
    """

    def __init__(self, corpora: Corpora, *, validation: bool = False) -> None:
        self._corpora, self._validation = corpora, validation
        texts = corpora.validation_pools if validation else corpora.pools
        self._texts = {pool: texts.get(pool, []) for pool in ("questions", "passages", *_POOLS)}
        self._names = [p for p in _POOLS if p == "random_words" or self._texts[p]]
        self._weights = [_POOLS[p] for p in self._names]
        self._titles = self._part(corpora.titles, validation)
        self._disfluent = self._part(corpora.disfluent, validation)
        self._reduced = self._part(corpora.feedback, validation)
        self._descriptions = self._part(corpora.descriptions, validation)
        self._makers: dict[str, Callable[[random.Random], tuple[str, str]]] = {
            "unchanged": self._unchanged,
            "typo1": lambda rng: self._typo(rng, 1),
            "typo2": lambda rng: self._typo(rng, 2),
            "wrapped": self._wrapped,
            "wrapped_typo": self._wrapped_typo,
            "question": self._question,
            "letter": self._letter,
            "passage": self._passage,
            "disfluent": self._spoken,
            "title": self._title,
            "feedback": self._feedback,
            "spacing": self._spacing,
        }

    @staticmethod
    def _part(rows: list[Row], validation: bool) -> list[Row]:
        """Return every fortieth row for validation, or all others."""
        return [row for index, row in enumerate(rows) if (index % 40 == 0) == validation]

    def draw(self, rng: random.Random, kind: str | None = None) -> Pair:
        """Return a random pair of ``kind``, or of a kind drawn by weight."""
        chosen = kind or rng.choices(list(KINDS), list(KINDS.values()))[0]
        source, target = (" ".join(text.split()) for text in self._makers[chosen](rng))
        if self._corpora.lexicon is not None and (self._validation or rng.random() < _HINTED):
            source = self.hinted(source)
        return Pair(chosen, source, target)

    def hinted(self, text: str) -> str:
        """Return a text with spelling hints, as the engine adds them."""
        return text if self._corpora.lexicon is None else self._corpora.lexicon.hinted(text)

    def _words(self, rng: random.Random, count: int) -> list[str]:
        return rng.choices(self._corpora.common, self._corpora.common_weights, k=count)

    def _span(self, text: str, rng: random.Random, most: int) -> str:
        """Return a random run of words that neither starts nor ends with a function word."""
        tokens = text.split(" ")
        size = rng.randint(2, most)
        start = rng.randrange(max(1, len(tokens) - size + 1)) if rng.random() < 0.6 else 0
        part = tokens[start : start + size]
        while len(part) > 1 and bare_word(part[-1]).lower() in FUNCTION_WORDS | {"", "&"}:
            part.pop()
        while len(part) > 1 and bare_word(part[0]).lower() in FUNCTION_WORDS | {"", "&"}:
            part.pop(0)
        return " ".join(part).strip(" ,;:-–|(").rstrip(".") or text

    def _query(self, rng: random.Random) -> str:
        """Return a random clean query that is not a question."""
        for _ in range(8):
            text = self._candidate(rng)
            if text and not is_question(text):
                return text
        return " ".join(self._words(rng, 3))

    def _candidate(self, rng: random.Random) -> str:
        pool = rng.choices(self._names, self._weights)[0]
        if pool == "random_words":
            text = " ".join(self._words(rng, rng.choice((1, 2, 2, 3, 3, 4, 5))))
        else:
            text = rng.choice(self._texts[pool])
            if pool == "products":
                text = self._span(text, rng, rng.choice((3, 4, 5, 6, 8)))
            elif pool == "documentation" or (pool == "sentences" and rng.random() < 0.6):
                text = self._span(text, rng, rng.choice((4, 6, 9)))
            elif pool != "short" and rng.random() < 0.6:
                text = self._span(text, rng, rng.choice((4, 6, 8)))
        if rng.random() < (0.75 if pool in ("products", "documentation") else 0.4):
            text = text.lower()
        elif rng.random() < 0.02:
            text = text.upper()
        if rng.random() < 0.06:
            tokens = text.split(" ")
            tokens.insert(rng.randrange(len(tokens) + 1), identifier(rng, self._words(rng, 4)))
            text = " ".join(tokens)
        if rng.random() < 0.04:
            words = self._words(rng, 1)
            text += " " + rng.choice(("without", "not", "no", "non", "except")) + " " + words[0]
        return text

    def _asked(self, rng: random.Random) -> str:
        text = rng.choice(self._texts["questions"])
        if rng.random() < 0.5:
            text = text.lower()
        if rng.random() < 0.3:
            text = text.rstrip("?")
        return text

    def _either(self, rng: random.Random, asked: float) -> str:
        return self._asked(rng) if rng.random() < asked else self._query(rng)

    def misspelled(self, text: str, rng: random.Random, count: int) -> str:
        """Return a text with typos in up to ``count`` known words that are not function words."""
        # Function words must stay recognizable: they show what kind of text it is.
        return add_typos(text, count, rng, self._corpora.misspellings, self._corpora.known,
                         forbidden=FUNCTION_WORDS)  # fmt: skip

    def _unchanged(self, rng: random.Random) -> tuple[str, str]:
        if rng.random() < 0.06:
            text = identifier(rng, self._words(rng, 4))
            return text, text
        for _ in range(8):
            text = self._query(rng)
            if clean(text) == text:
                break
        return text, clean(text)

    def _typo(self, rng: random.Random, count: int) -> tuple[str, str]:
        text = self._either(rng, 0.1)
        if rng.random() < 0.5 and not is_question(text):
            # Short texts teach spelling at a fraction of the cost.
            text = self._span(text, rng, 3)
        return self.misspelled(text, rng, count), clean(text)

    def _spacing(self, rng: random.Random) -> tuple[str, str]:
        text = self._query(rng)
        return break_spacing(text, rng), clean(text)

    def _wrapped(self, rng: random.Random) -> tuple[str, str]:
        if rng.random() < 0.25:
            text = self._asked(rng)
            around = wrap if rng.random() < 0.4 else wrap_question
            return around(text, rng), clean(keywords(text))
        text = self._query(rng)
        return perturb(wrap(text, rng), text, rng), clean(text)

    def _wrapped_typo(self, rng: random.Random) -> tuple[str, str]:
        if rng.random() < 0.15:
            text = self._asked(rng)
            return wrap_question(self.misspelled(text, rng, 1), rng), clean(keywords(text))
        text = self._query(rng)
        typed = self.misspelled(text, rng, 1)
        return perturb(wrap(typed, rng), typed, rng), clean(text)

    def _question(self, rng: random.Random) -> tuple[str, str]:
        text = self._asked(rng)
        return text, clean(text)

    def _letter(self, rng: random.Random) -> tuple[str, str]:
        if self._descriptions and rng.random() < 0.2:
            text = rng.choice(self._descriptions)
            return text, strip_request(text)
        topics = [self._query(rng) for _ in range(rng.choice((1, 2, 2, 2, 3)))]
        topics = [
            topic if len(topic.split()) < 8 else self._span(topic, rng, 7) for topic in topics
        ]
        return multi_topic_request(topics, rng), " ".join(topics)

    def _passage(self, rng: random.Random) -> tuple[str, str]:
        """Return a pair of one or two whole sentences, which teach the model to keep its place."""
        if not self._texts["passages"]:
            return self._letter(rng)
        text = rng.choice(self._texts["passages"])
        if rng.random() < 0.4:
            text = text.lower()
        if rng.random() < 0.4:
            text = repeat_phrase(text, rng)
        typed = self.misspelled(text, rng, 1) if rng.random() < 0.25 else text
        return wrap(typed, rng) if rng.random() < 0.35 else typed, keywords(text)

    def _spoken(self, rng: random.Random) -> tuple[str, str]:
        if self._disfluent and rng.random() < 0.25:
            source, target = rng.choice(self._disfluent)
            return source, keywords(target)
        text = self._query(rng)
        return add_disfluency(text, rng, self._words(rng, 6)), clean(text)

    def _title(self, rng: random.Random) -> tuple[str, str]:
        return rng.choice(self._titles) if self._titles else self._unchanged(rng)

    def _feedback(self, rng: random.Random) -> tuple[str, str]:
        return rng.choice(self._reduced) if self._reduced else self._passage(rng)


_REQUEST_WORDS_TEXT = (
    "document documents discuss discusses discussing provide provides information "
    "identify report reports relevant describe describes find mention mentions "
    "concerning regarding instances"
)
_REQUEST_WORDS = frozenset(_REQUEST_WORDS_TEXT.split())


def strip_request(text: str) -> str:
    """Return a librarian's description without function words and request words."""
    remaining = [w for w in keywords(text).split() if bare_word(w).lower() not in _REQUEST_WORDS]
    return " ".join(remaining) or text
