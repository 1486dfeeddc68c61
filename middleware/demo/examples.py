"""Derive example queries from the corpus."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .documents import CorpusDocument
from .index import SearchIndex

_WORD = re.compile(r"[a-z]+")
_NAME = re.compile(
    r"(?<![\w.-])(?:[A-Za-z_]\w+(?:\.\w{2,}){1,3}|[A-Z]{1,5}-?\d{2,8})(?![\w-]|\.\w)"
)
_CHATTY = "hi, could you please help me find something about {}, thank you"
_HOW = "could you please show me how to {}, thank you"
_SENTENCE = re.compile(r"[A-Za-z]+(?: [A-Za-z]+){2,6}\.?")
_VERBS = 12  # most frequent first words of summaries: "return", "create", "check"
_LOOKED_AT = 4_000  # documents, few enough to be fast
_TRIED = 60
# The largest share of texts that a word of an example may occur in. The next share is used where
# the corpus is so small or uniform that there is no example.
_SHARES_TOO_COMMON = (0.08, 0.3, 1.0)
_LEAST_COMMON = 0.002  # the least share of texts with a word: rarer ones may be no words


@dataclass(frozen=True, slots=True)
class Example:
    """A query, a short label for its kind, and what to expect."""

    label: str
    query: str
    hint: str


@dataclass(frozen=True, slots=True)
class _Subject:
    words: tuple[str, ...]
    phrase: str
    document: CorpusDocument
    request: str = _CHATTY

    def asked(self, query: str) -> str:
        """Return a query as a spoken request."""
        return self.request.format(query)


def derive_examples(
    documents: Sequence[CorpusDocument], index: SearchIndex, *, seed: int = 7
) -> tuple[Example, ...]:
    """Return example queries: misspelled, chatty, both, a name, a phrase and plain keywords.

    Their words are from summaries of documents that the plain query ranks first. A misspelled
    word occurs in no document. Equal corpora and seeds give equal examples. Kinds without
    suitable documents are left out.
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
    sample: Sequence[CorpusDocument], index: SearchIndex, draw: random.Random
) -> Iterator[_Subject]:
    """Yield groups of words that rank their own document first."""
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
    # Summaries in the imperative read like queries.
    imperatives = (_whole_sentence(document, verbs, ordinary) for document in sample)
    sentences = [subject for subject in imperatives if subject is not None]
    draw.shuffle(sentences)
    candidates = sentences[: _TRIED // 2] + candidates
    for subject in candidates[:_TRIED]:
        hits = index.search(" ".join(subject.words), size=1).hits
        if hits and hits[0].id == subject.document.id:
            yield subject


def _subject(document: CorpusDocument, ordinary: set[str], counts: Counter[str]) -> _Subject | None:
    """Return the keywords of a summary, or None if it has many other words."""
    words = _WORD.findall(document.summary.lower())
    keywords = {word for word in words if len(word) > 3 and word in ordinary}
    rarest = sorted(keywords, key=lambda word: (counts[word], word))[:4]
    phrase = next((f"{a} {b}" for a, b in pairwise(words) if {a, b} <= keywords), "")
    if len(rarest) < 3 or not phrase or len(words) > 2 * len(keywords) + 1:
        return None
    return _Subject(tuple(w for w in dict.fromkeys(words) if w in rarest), phrase, document)


def _whole_sentence(
    document: CorpusDocument, verbs: set[str], ordinary: set[str]
) -> _Subject | None:
    """Return a whole short summary that begins with a verb, or None."""
    if not _SENTENCE.fullmatch(document.summary):
        return None
    words = _WORD.findall(document.summary.lower())
    keywords = {word for word in words[1:] if len(word) > 3 and word in ordinary}
    phrase = next((f"{a} {b}" for a, b in pairwise(words) if {a, b} <= keywords), "")
    if words[0] not in verbs or not phrase:
        return None
    return _Subject(tuple(words), phrase, document, _HOW)


def _misspelled(words: Sequence[str], index: SearchIndex, draw: random.Random) -> str | None:
    """Return the words with the longest one misspelled, such that it finds nothing."""
    place = max(range(len(words)), key=lambda position: len(words[position]))
    for _ in range(8):
        wrong = _edited(words[place], draw)
        if index.count(wrong) == 0:
            return " ".join((*words[:place], wrong, *words[place + 1 :]))
    return None


def _edited(word: str, draw: random.Random) -> str:
    """Return a word with two letters swapped, or one omitted or doubled, not at its ends."""
    at = draw.randrange(1, len(word) - 2)
    kind = draw.choice(("swap", "drop", "double"))
    if kind == "swap" and word[at] != word[at + 1]:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == "double":
        return word[: at + 1] + word[at:]
    return word[:at] + word[at + 1 :]


def _name(documents: Sequence[CorpusDocument]) -> str | None:
    """Return the most frequent name or code in the texts, preferably the title of a document."""
    titles = {document.title for document in documents}
    mentions: Counter[str] = Counter(
        name for document in documents for name in set(_NAME.findall(document.text))
    )
    names = {n: count for n, count in mentions.items() if n in titles} or dict(mentions)
    if names:
        return min(names, key=lambda name: (-names[name], name))
    return min((title for title in titles if _NAME.fullmatch(title)), default=None)
