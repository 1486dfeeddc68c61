"""Requests around queries for training: polite, spoken, chatty and interrupted.

A request is assembled from random phrases, so that there are thousands of them. The words of
the query always stay, in order and with their case.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from .phrases import (
    AFTER,
    ASK,
    DID,
    DOCUMENT,
    FILLERS,
    HELLO,
    KIND,
    LINKS,
    LOOKING,
    PARTED,
    RESTARTS,
    STORY,
    TAIL,
    VERB,
    WHO,
)


def _maybe(parts: Sequence[str], chance: float, rng: random.Random) -> list[str]:
    return [rng.choice(parts)] if rng.random() < chance else []


def _with_commas(parts: list[str], rng: random.Random) -> list[str]:
    """Add punctuation after some of the parts, as after a greeting."""
    return [part + rng.choice((",", "", "", ".", " -")) if part else part for part in parts]


def _capitalized(text: str, rng: random.Random) -> str:
    """Capitalize the first letter and each ``i`` of a text, in two of five cases."""
    if rng.random() < 0.4:
        text = " ".join(
            {"i": "I", "i'm": "I'm", "i'd": "I'd", "i've": "I've"}.get(w, w) for w in text.split()
        )
        text = text[:1].upper() + text[1:]
    return text


def wrap(query: str, rng: random.Random) -> str:
    """Return a random request for a query; the words of the query stay together."""
    front: list[str] = []
    front += _with_commas(_maybe(HELLO, 0.3, rng), rng)
    front += _with_commas(_maybe(STORY, 0.12, rng), rng)
    style = rng.random()
    if style < 0.14:
        front += [rng.choice(WHO), rng.choice(DID)]
        tail = _maybe(AFTER, 0.5, rng) + _maybe(TAIL, 0.2, rng)
        return _assembled(front, query, tail, rng)
    if style < 0.17:
        verb, particle = rng.choice(PARTED)
        front += [rng.choice(ASK), verb]
        return _assembled(front, f"{query} {particle}", _maybe(TAIL, 0.6, rng), rng)
    if style < 0.4:
        front += [rng.choice(ASK), rng.choice(VERB), *_maybe(KIND, 0.45, rng)]
    elif style < 0.85:
        front += [rng.choice(LOOKING), *_maybe(KIND, 0.4, rng)]
    elif style < 0.93:
        front += [rng.choice(DOCUMENT)]
    tail = _maybe(TAIL, 0.4 if style < 0.93 else 1.0, rng)
    return _assembled(front, query, tail, rng)


def _assembled(front: Sequence[str], query: str, tail: Sequence[str], rng: random.Random) -> str:
    head = _capitalized(" ".join(part for part in front if part), rng)
    joint = rng.choice((", ", " ", " ", " ", ". ")) if tail else ""
    end = rng.choice(("", "", "", "", "?", "?", ".", "!", "...", "??"))
    return f"{head} {query}".strip() + joint + " ".join(tail) + end


def perturb(request: str, query: str, rng: random.Random) -> str:
    """Drop, insert or replace a word around the query in some requests."""
    front, found, tail = request.partition(query)
    if not found:
        return request
    return _perturbed(front, rng) + query + _perturbed(tail, rng)


def _perturbed(text: str, rng: random.Random) -> str:
    tokens = text.split(" ")
    places = [i for i, token in enumerate(tokens) if token.isalpha()]
    if len(places) < 3 or rng.random() < 0.75:
        return text
    at, kind = rng.choice(places), rng.random()
    if kind < 0.5:
        tokens[at] = rng.choice(("really", "just", "maybe", "perhaps", "um", "uh", "some", "also"))
    elif kind < 0.8:
        del tokens[at]
    else:
        tokens.insert(at, rng.choice(("really", "just", "um", "uh", "maybe", "please", "kindly")))
    return " ".join(tokens)


def wrap_question(question: str, rng: random.Random) -> str:
    """Return a polite request around a question."""
    lead = (
        "tell me", "can you tell me", "could you tell me", "do you know", "i want to know",
        "i'd like to know", "i was wondering", "does anyone know", "please tell me", "i wonder",
        "explain", "can you explain", "any idea", "my question is", "i need to know",
        "anybody know",
    )  # fmt: skip
    front = _with_commas(_maybe(HELLO, 0.4, rng), rng) + _maybe(lead, 0.7, rng)
    tail = _maybe(TAIL, 0.35, rng)
    head = _capitalized(" ".join(front), rng)
    return " ".join(part for part in (head, question, *tail) if part)


def multi_topic_request(topics: Sequence[str], rng: random.Random) -> str:
    """Return a request about several topics, which stay whole and in order."""
    opening = [*_with_commas(_maybe(HELLO, 0.15, rng), rng)]
    opening += [rng.choice((*DOCUMENT, *LOOKING)), *_maybe(KIND, 0.5, rng)]
    parts = [_capitalized(" ".join(opening), rng), topics[0]]
    for topic in topics[1:]:
        if rng.random() < 0.25:
            parts[-1] += "."
            parts += [_capitalized(rng.choice((*LOOKING, *DOCUMENT)), rng), topic]
        else:
            parts[-1] += rng.choice((",", ""))
            parts += [rng.choice(LINKS), *_maybe(KIND, 0.15, rng), topic]
    tail = _maybe(TAIL, 0.2, rng)
    return " ".join([*parts, *tail]) + rng.choice(("", ".", "", "?"))


def repeat_phrase(text: str, rng: random.Random) -> str:
    """Repeat two or three neighbouring words of a text at a later place."""
    tokens = text.split(" ")
    size = rng.choice((2, 2, 3))
    if len(tokens) < size + 4:
        return text
    at = rng.randrange(len(tokens) - size - 1)
    phrase = [token.rstrip(".,;:") for token in tokens[at : at + size]]
    to = rng.randrange(at + size + 1, len(tokens) + 1)
    return " ".join([*tokens[:to], *phrase, *tokens[to:]])


def add_disfluency(query: str, rng: random.Random, others: Sequence[str]) -> str:
    """Add fillers, repeated words, or a word that the speaker corrects, to a query.

    The corrected word is drawn from ``others``.
    """
    tokens = query.split(" ")
    kind = rng.random()
    at = rng.randrange(len(tokens))
    if kind < 0.45:
        for _ in range(rng.choice((1, 1, 2))):
            tokens.insert(rng.randrange(len(tokens) + 1), rng.choice(FILLERS))
    elif kind < 0.65:
        end = min(len(tokens), at + rng.choice((1, 1, 2)))
        tokens = tokens[:end] + tokens[at:end] + tokens[end:]
    else:
        wrong = rng.choice(others)
        tokens = [*tokens[:at], wrong, *rng.choice(RESTARTS).split(" "), *tokens[at:]]
    return " ".join(tokens)
