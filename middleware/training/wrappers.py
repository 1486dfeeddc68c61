"""Requests around queries for training: polite, spoken, chatty and interrupted.

Frames are put together from parts, so that thousands of different ones arise from each
seed. The words of the query always stay, in order and in case.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

_HELLO = (
    "hi", "hello", "hey", "hey there", "hi there", "good morning", "good evening", "ok", "okay",
    "so", "well", "um", "uh", "alright", "right", "yo", "dear librarian", "excuse me", "sorry",
    "quick question", "hi everyone", "hello assistant", "listen", "now", "hmm", "oh",
)  # fmt: skip
_STORY = (
    "i have been searching all day", "my boss asked me", "i don't know where to start",
    "not sure if you can help", "i was wondering", "this is a bit urgent", "i have a question",
    "i'm new here", "i need some help", "a friend told me about this", "i'm a bit lost",
    "i hope you can help me", "i'm writing a report", "i've been thinking about this",
    "i'm trying to learn", "i can't find it anywhere", "i forgot the name",
)  # fmt: skip
_ASK = (
    "can you", "could you", "would you", "will you", "can you please", "could you please",
    "would you mind", "please", "i want you to", "i'd like you to", "i need you to", "kindly",
    "can u", "could you maybe", "is it possible to", "pls", "i would like to", "i want to",
    "i need to", "help me", "i'd love to", "i am trying to", "let's", "i'm hoping to", "",
)  # fmt: skip
_VERB = (
    "find", "find me", "show", "show me", "search for", "search", "look for", "look up", "get me",
    "give me", "tell me about", "find out about", "locate", "list", "bring up", "pull up",
    "get", "check", "see", "fetch", "dig up", "recommend", "suggest", "explain", "describe",
    "learn about", "know about", "know more about", "read about", "hunt down", "browse",
    "send me", "point me to", "retrieve", "identify", "buy", "order", "see if you have",
)  # fmt: skip
_LOOKING = (
    "i am looking for", "i'm looking for", "im looking for", "looking for", "searching for",
    "i am searching for", "i need", "i want", "i would like", "i'd like", "we need", "we want",
    "i am interested in", "i'm interested in", "interested in", "i am after", "anyone know",
    "do you have", "do you know", "do you know about", "do you sell", "have you got", "got any",
    "is there", "are there any", "is there any", "are there", "what do you have on",
    "what is there on", "what do you know about", "what can you tell me about", "tell me about",
    "what about", "how about", "where can i find", "where do i find", "where can i get",
    "where can i buy", "where could i read about", "what are the best places for",
    "show results for",
    "i wonder about", "i was hoping to find", "i would like to know about", "i want to know",
    "i'd like to learn about", "need", "want", "need help with", "help with", "question about",
    "a question on", "my query is", "my question is about", "the topic is", "it's about",
    "this is about", "search query", "query", "look up", "google", "what is", "what are",
)  # fmt: skip
_KIND = (
    "some", "any", "a", "an", "the", "information on", "information about", "some information on",
    "info on", "info about", "articles on", "articles about", "articles dealing with", "papers on",
    "papers about", "documents about", "documents on", "documents that discuss", "material on",
    "anything on", "anything about", "everything about", "something about", "something like",
    "details on", "details about", "results for", "pages about", "a list of", "all about",
    "good", "a good", "the best", "stuff about", "things about", "websites about", "studies on",
    "research on", "reports on", "publications on", "literature on", "resources on",
    "references on",
    "work on", "any work on", "discussions of", "all discussions of", "the term", "a page on",
)  # fmt: skip
_TAIL = (
    "please", "thanks", "thank you", "thank you very much", "thanks a lot", "thx", "pls", "plz",
    "if possible", "if you can", "if you have any", "if you have it", "for me", "right now", "asap",
    "as soon as possible", "today", "cheers", "thanks in advance", "any ideas", "any suggestions",
    "can you help", "can you help me", "that would be great", "that would be nice",
    "would be appreciated", "i would be grateful", "if that's ok", "if you don't mind", "you know",
    "or something", "or something like that", "and so on", "or whatever you have", "right",
    "is that possible", "what do you think", "let me know", "i guess", "i think", "or so",
    "many thanks", "any help is appreciated", "please help", "somewhere", "when you have a moment",
)  # fmt: skip
_FILLERS = ("um", "uh", "uhm", "er", "like", "you know", "i mean", "well", "hmm", "so", "erm")
_RESTARTS = ("no wait", "i mean", "sorry", "no", "or rather", "no sorry", "actually no",
             "wait no", "scratch that", "make that", "oops", "rather", "uh no")  # fmt: skip
_LINKS = (
    "especially", "in particular", "with emphasis on", "also", "and also", "as well as",
    "including", "for example", "and", "such as", "with a focus on", "mainly", "or",
    "particularly", "and maybe", "plus", "with special attention to", "related to",
    "in connection with", "dealing with", "in relation to", "concerning", "regarding",
)  # fmt: skip
_DOCUMENT = (
    "a relevant document will discuss", "documents should describe", "document must mention",
    "find documents which report on", "identify articles on", "describe work on",
    "documents will provide information about", "find all descriptions of", "discuss",
    "i am interested in all papers which deal with", "list all articles describing",
    "what research has been done on", "what is known about", "any literature dealing with",
    "what has been written on", "has anyone studied", "has anyone investigated",
    "what work has been published on", "papers that treat", "how are people using",
)  # fmt: skip


def _maybe(parts: Sequence[str], chance: float, rng: random.Random) -> list[str]:
    return [rng.choice(parts)] if rng.random() < chance else []


def _comma(parts: list[str], rng: random.Random) -> list[str]:
    """Put a comma after a part now and then, as people do after a greeting."""
    return [part + rng.choice((",", "", "", ".", " -")) if part else part for part in parts]


def _shape(text: str, rng: random.Random) -> str:
    """Capitalise a frame's first letter and its ``i`` in a part of all cases."""
    if rng.random() < 0.4:
        text = " ".join(
            {"i": "I", "i'm": "I'm", "i'd": "I'd", "i've": "I've"}.get(w, w) for w in text.split()
        )
        text = text[:1].upper() + text[1:]
    return text


def wrap(query: str, rng: random.Random) -> str:
    """Put a request around a query; the query's own words stay together, in order."""
    front: list[str] = []
    front += _comma(_maybe(_HELLO, 0.3, rng), rng)
    front += _comma(_maybe(_STORY, 0.12, rng), rng)
    style = rng.random()
    if style < 0.4:
        front += [rng.choice(_ASK), rng.choice(_VERB), *_maybe(_KIND, 0.45, rng)]
    elif style < 0.85:
        front += [rng.choice(_LOOKING), *_maybe(_KIND, 0.4, rng)]
    elif style < 0.93:
        front += [rng.choice(_DOCUMENT)]
    tail = _maybe(_TAIL, 0.4 if style < 0.93 else 1.0, rng)
    head = _shape(" ".join(part for part in front if part), rng)
    joint = rng.choice((", ", " ", " ", " ", ". ")) if tail else ""
    end = rng.choice(("", "", "", "", "?", "?", ".", "!", "...", "??"))
    return f"{head} {query}".strip() + joint + " ".join(tail) + end


def wrap_question(question: str, rng: random.Random) -> str:
    """Put politeness around a question that is already a sentence."""
    lead = (
        "tell me", "can you tell me", "could you tell me", "do you know", "i want to know",
        "i'd like to know", "i was wondering", "does anyone know", "please tell me", "i wonder",
        "explain", "can you explain", "any idea", "my question is", "i need to know",
        "anybody know",
    )  # fmt: skip
    front = _comma(_maybe(_HELLO, 0.4, rng), rng) + _maybe(lead, 0.7, rng)
    tail = _maybe(_TAIL, 0.35, rng)
    head = _shape(" ".join(front), rng)
    return " ".join(part for part in (head, question, *tail) if part)


def letter(topics: Sequence[str], rng: random.Random) -> str:
    """Write a letter-like request about several topics, which stay whole and in order."""
    opening = [*_comma(_maybe(_HELLO, 0.15, rng), rng)]
    opening += [rng.choice((*_DOCUMENT, *_LOOKING)), *_maybe(_KIND, 0.5, rng)]
    parts = [_shape(" ".join(opening), rng), topics[0]]
    for topic in topics[1:]:
        if rng.random() < 0.25:
            parts[-1] += "."
            parts += [_shape(rng.choice((*_LOOKING, *_DOCUMENT)), rng), topic]
        else:
            parts[-1] += rng.choice((",", ""))
            parts += [rng.choice(_LINKS), *_maybe(_KIND, 0.15, rng), topic]
    tail = _maybe(_TAIL, 0.2, rng)
    return " ".join([*parts, *tail]) + rng.choice(("", ".", "", "?"))


def stumble(query: str, rng: random.Random, others: Sequence[str]) -> str:
    """Say a query with fillers, repeated words, or a word taken back and said again.

    ``others`` are words from which the one taken back is drawn.
    """
    tokens = query.split(" ")
    kind = rng.random()
    at = rng.randrange(len(tokens))
    if kind < 0.45:
        for _ in range(rng.choice((1, 1, 2))):
            tokens.insert(rng.randrange(len(tokens) + 1), rng.choice(_FILLERS))
    elif kind < 0.65:
        end = min(len(tokens), at + rng.choice((1, 1, 2)))
        tokens = tokens[:end] + tokens[at:end] + tokens[end:]
    else:
        wrong = rng.choice(others)
        tokens = [*tokens[:at], wrong, *rng.choice(_RESTARTS).split(" "), *tokens[at:]]
    return " ".join(tokens)
