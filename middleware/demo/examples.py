"""Queries to try, drawn from the collection itself so that they fit any."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .documents import Document
from .index import SearchIndex

__all__ = ["Example", "derive_examples"]

_WORD = re.compile(r"[a-z]+")
_NAME = re.compile(
    r"(?<![\w.-])(?:[A-Za-z_]\w+(?:\.\w{2,}){1,3}|[A-Z]{1,5}-?\d{2,8})(?![\w-]|\.\w)"
)
_CHATTY = "hi, could you please help me find something about {}, thank you"
_HOW = "could you please show me how to {}, thank you"
_SENTENCE = re.compile(r"[A-Za-z]+(?: [A-Za-z]+){2,6}\.?")
_VERBS = 12  # first words that summaries have most often: "return", "create", "check"
_LOOKED_AT = 4_000  # documents: enough to choose from, and few enough to take no time
_TRIED = 60
# A word in more of the texts than this says little, in any language; where that leaves
# nothing, because a collection is small or all about one thing, more will do.
_SHARES_TOO_COMMON = (0.08, 0.3, 1.0)
_LEAST_COMMON = 0.002  # a word in fewer is perhaps no ordinary one


@dataclass(frozen=True, slots=True)
class Example:
    """A query, a word or two on what is special about it, and what to expect."""

    label: str
    query: str
    hint: str


@dataclass(frozen=True, slots=True)
class _Subject:
    words: tuple[str, ...]
    phrase: str
    document: Document
    request: str = _CHATTY

    def asked(self, query: str) -> str:
        """Return a query about this as somebody would ask a person."""
        return self.request.format(query)


def derive_examples(
    documents: Sequence[Document], index: SearchIndex, *, seed: int = 7
) -> tuple[Example, ...]:
    """Return example queries: misspelled, chatty, both, a name, a phrase and plain keywords.

    Words are taken from summaries of documents that the plain query finds first; a
    misspelled word is one that stands in no document. The same collection and seed give
    the same examples. Kinds that the collection has no material for are left out.
    """
    draw = random.Random(seed)
    sample = list(documents)
    if len(sample) > _LOOKED_AT:
        sample = draw.sample(sample, _LOOKED_AT)
    subjects = _subjects(sample, index, draw)
    found: list[Example] = []
    if subject := next(subjects, None):
        if query := _misspelled(subject.words, index, draw):
            found.append(Example("Misspelled", query, "one word is misspelled"))
        subject = next(subjects, subject)
        query = subject.asked(" ".join(subject.words))
        found.append(Example("Chatty", query, "a request in whole sentences"))
        subject = next(subjects, subject)
        if query := _misspelled(subject.words, index, draw):
            found.append(Example("Both", subject.asked(query), "chatty, and misspelled"))
        subject = next(subjects, subject)
        found.append(Example("Keywords", " ".join(subject.words), "nothing that needs changing"))
    if name := _name(documents):
        found.append(Example("A name", name, "left alone: names are matched as they are"))
    if subject := next(subjects, subject):
        found.append(
            Example("A phrase", f'"{subject.phrase}"', "left alone: an exact phrase is asked for")
        )
    return tuple(found)


def _subjects(
    sample: Sequence[Document], index: SearchIndex, draw: random.Random
) -> Iterator[_Subject]:
    """Yield word groups that find the document they are from, each from another document."""
    texts = [set(_WORD.findall(document.text.lower())) for document in sample]
    counts = Counter(word for words in texts for word in words)
    least = len(sample) * _LEAST_COMMON
    firsts = Counter(document.summary.split(" ", 1)[0].lower() for document in sample)
    common = [word for word, _ in firsts.most_common(_VERBS) if len(word) > 2]
    verbs = {word for word in common if word != "the" and not word.endswith("s")}
    for share in _SHARES_TOO_COMMON:
        ordinary = {w for w, c in counts.items() if least <= c <= max(1, share * len(sample))}
        found = (_subject(document, ordinary, counts) for document in sample)
        candidates = [subject for subject in found if subject is not None]
        if candidates:
            break
    draw.shuffle(candidates)
    # Summaries that say what to do are what people would ask for, word by word.
    told = (_whole_sentence(document, verbs, ordinary) for document in sample)
    sentences = [subject for subject in told if subject is not None]
    draw.shuffle(sentences)
    candidates = sentences[: _TRIED // 2] + candidates
    for subject in candidates[:_TRIED]:
        hits = index.search(" ".join(subject.words), size=1).hits
        if hits and hits[0].id == subject.document.id:
            yield subject


def _subject(document: Document, ordinary: set[str], counts: Counter[str]) -> _Subject | None:
    """Return the telling words of a summary that is mostly such words: they read like a query."""
    words = _WORD.findall(document.summary.lower())
    telling = {word for word in words if len(word) > 3 and word in ordinary}
    rarest = sorted(telling, key=lambda word: (counts[word], word))[:4]
    phrase = next((f"{a} {b}" for a, b in pairwise(words) if {a, b} <= telling), "")
    if len(rarest) < 3 or not phrase or len(words) > 2 * len(telling) + 1:
        return None
    return _Subject(tuple(w for w in dict.fromkeys(words) if w in rarest), phrase, document)


def _whole_sentence(document: Document, verbs: set[str], ordinary: set[str]) -> _Subject | None:
    """Return a short summary that begins with a verb, whole."""
    if not _SENTENCE.fullmatch(document.summary):
        return None
    words = _WORD.findall(document.summary.lower())
    telling = {word for word in words[1:] if len(word) > 3 and word in ordinary}
    phrase = next((f"{a} {b}" for a, b in pairwise(words) if {a, b} <= telling), "")
    if words[0] not in verbs or not phrase:
        return None
    return _Subject(tuple(words), phrase, document, _HOW)


def _misspelled(words: Sequence[str], index: SearchIndex, draw: random.Random) -> str | None:
    """Return the words with the longest one misspelled so that it finds nothing."""
    place = max(range(len(words)), key=lambda position: len(words[position]))
    for _ in range(8):
        wrong = _edited(words[place], draw)
        if index.count(wrong) == 0:
            return " ".join((*words[:place], wrong, *words[place + 1 :]))
    return None


def _edited(word: str, draw: random.Random) -> str:
    """Return the word with two neighbours swapped, or a letter left out or doubled, inside it."""
    at = draw.randrange(1, len(word) - 2)
    kind = draw.choice(("swap", "drop", "double"))
    if kind == "swap" and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == "double":
        return word[: at + 1] + word[at:]
    return word[:at] + word[at + 1 :]


def _name(documents: Sequence[Document]) -> str | None:
    """Return the name or code that texts mention most, one that is a document's own if any is."""
    titles = {document.title for document in documents}
    mentions: Counter[str] = Counter(
        name for document in documents for name in set(_NAME.findall(document.text))
    )
    names = {n: count for n, count in mentions.items() if n in titles} or dict(mentions)
    if names:
        return min(names, key=lambda name: (-names[name], name))
    return min((title for title in titles if _NAME.fullmatch(title)), default=None)
