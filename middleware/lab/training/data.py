"""Read clean queries, pairs written by people, and lists of misspellings from the data folder.

This module opens only the files in ``SOURCES``; ``feedback`` and ``retrieval`` open SciFact's
training claims and judgments. All licences allow a model trained on them to be published under
Apache-2.0. Test queries and their judgments are never read.
"""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rapidfuzz.distance import OSA

from ...engines.spelling_hints import Lexicon
from .frequencies import Usage
from .lexicon import build_words, count_words
from .protection import bare_word

SOURCES: dict[str, str] = {
    "train/questions/nq_dev_dpr.txt": "CC BY-SA 3.0 (Natural Questions)",
    "train/questions/webquestions_all.txt": "CC BY 4.0 (WebQuestions)",
    "train/questions/miracl_en_train.txt": "Apache-2.0 (MIRACL)",
    "train/questions/miracl_en_dev.txt": "Apache-2.0 (MIRACL)",
    "train/questions/query_wellformedness.tsv": "CC BY-SA 4.0 (query wellformedness)",
    "train/questions/beir_cqadupstack_titles.txt": "CC BY-SA (StackExchange titles)",
    "train/trec_topics_desc_title/pairs.jsonl": "public domain (NIST, US Government work)",
    "train/trec_topics_desc_title/pairs_web_covid.jsonl": "public domain (NIST)",
    "train/disfl_qa/train.jsonl": "CC BY 4.0 (Disfl-QA; rows with ids 5a... only)",
    "train/banking77/pairs.jsonl": "CC BY 4.0 (Banking77; utterances only)",
    "train/misspellings/wikipedia.jsonl": "CC BY-SA (Wikipedia)",
    "train/misspellings/cspell_common_misspellings.jsonl": "CC BY-SA 4.0 (cspell)",
    "collections/esci/corpus.jsonl": "Apache-2.0 (Shopping Queries data set; documents only)",
    "collections/scifact/corpus.jsonl": "ODC-By 1.0 (S2ORC abstracts; documents only)",
}
_HELD_OUT = 40  # one text in forty is for validation
_LATIN = re.compile(r"[ -~’–é]+")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


@dataclass
class Corpora:
    """The texts and words that the pair generators draw from.

    ``pools`` has the texts for training and ``validation_pools`` those for validation.

    Invariants: no text is in both. ``known`` has the lower-case plain words that occur at least
    four times in ``pools`` or are frequent in English, and the words of ``lexicon``, from which
    spelling hints are drawn.
    """

    pools: dict[str, list[str]] = field(default_factory=dict)
    validation_pools: dict[str, list[str]] = field(default_factory=dict)
    titles: list[tuple[str, str]] = field(default_factory=list)
    descriptions: list[str] = field(default_factory=list)
    disfluent: list[tuple[str, str]] = field(default_factory=list)
    feedback: list[tuple[str, str]] = field(default_factory=list)
    misspellings: dict[str, list[str]] = field(default_factory=dict)
    common: list[str] = field(default_factory=list)
    common_weights: list[float] = field(default_factory=list)
    known: frozenset[str] = frozenset()
    counts: Counter[str] = field(default_factory=Counter)
    lexicon: Lexicon | None = None


def _lines(root: Path, name: str) -> Iterator[str]:
    if name not in SOURCES:
        raise PermissionError(f"{name} is not an allowed source")
    with (root / name).open(encoding="utf-8") as handle:
        for line in handle:
            yield line.rstrip("\n")


def _rows(root: Path, name: str) -> Iterator[dict[str, Any]]:
    for line in _lines(root, name):
        yield json.loads(line)


def tidy(text: str) -> str:
    """Collapse white space, and remove blanks before closing punctuation."""
    return re.sub(r"\s+([?!.,])(?=\s|$)", r"\1", " ".join(text.split()))


def usable(text: str, least: int = 1, most: int = 24, longest: int = 160) -> bool:
    """Tell whether a text is Latin, with ``least`` to ``most`` words and ``longest`` characters."""
    fits = least <= len(text.split()) <= most and len(text) <= longest
    return fits and bool(_LATIN.fullmatch(text))


def passages(sentences: list[str]) -> Iterator[str]:
    """Yield the sentences and pairs of sentences that have the length of a wordy request."""
    for first, second in zip_longest(sentences, sentences[1:], fillvalue=""):
        for text in (first, f"{first} {second}" if second else ""):
            if usable(text, 14, 44, 300):
                yield text


def is_validation_text(text: str) -> bool:
    """Tell whether a text is for validation, by its checksum alone."""
    return zlib.crc32(text.lower().encode()) % _HELD_OUT == 0


def _add(corpora: Corpora, pool: str, text: str) -> None:
    target = corpora.validation_pools if is_validation_text(text) else corpora.pools
    target.setdefault(pool, []).append(text)


def _load_queries(root: Path, corpora: Corpora) -> None:
    seen: set[str] = set()
    for name in SOURCES:
        if not name.startswith(("train/questions/", "train/banking77/")):
            continue
        pool = "titles" if "cqadupstack" in name else "questions"
        texts: Iterator[str] = (
            (str(row["src"]) for row in _rows(root, name))
            if name.endswith(".jsonl")
            else (line.split("\t")[0] for line in _lines(root, name))
        )
        for raw in texts:
            text = tidy(raw)
            if usable(text, 2) and text.lower() not in seen:
                seen.add(text.lower())
                _add(corpora, pool, text)


def _load_trec(root: Path, corpora: Corpora) -> None:
    for name in SOURCES:
        if not name.startswith("train/trec"):
            continue
        for row in _rows(root, name):
            source, title = tidy(str(row["src"])), tidy(str(row["tgt"]))
            if not usable(title, 1, 8):
                continue
            _add(corpora, "short", title)
            if not usable(source, 3, 30):
                continue
            corpora.descriptions.append(source)
            # Each word as the description spells it: pairs never change case.
            words = {bare_word(word).lower(): bare_word(word) for word in source.split()}
            wanted = [bare_word(word).lower() for word in title.split()]
            if all(word in words for word in wanted):
                corpora.titles.append((source, " ".join(words[word] for word in wanted)))


def _load_documents(root: Path, corpora: Corpora) -> None:
    for row in _rows(root, "collections/esci/corpus.jsonl"):
        title = tidy(str(row["title"]))
        if _LATIN.fullmatch(title):
            _add(corpora, "products", title)
        count_words(corpora.counts, f"{title} {row['text']}")
    for row in _rows(root, "collections/scifact/corpus.jsonl"):
        title = tidy(str(row["title"])).rstrip(".")
        if usable(title, 2, 24):
            _add(corpora, "science", title)
        sentences = _SENTENCE.split(tidy(str(row["text"])))
        count_words(corpora.counts, f"{title} {row['text']}")
        for sentence in sentences[:5]:
            if usable(sentence, 5, 24):
                _add(corpora, "sentences", sentence.rstrip("."))
        for passage in passages(sentences):
            _add(corpora, "passages", passage)


def _load_disfluent(root: Path, corpora: Corpora) -> None:
    for row in _rows(root, "train/disfl_qa/train.jsonl"):
        source, target = tidy(str(row["src"])), tidy(str(row["tgt"]))
        if str(row["id"]).startswith("5a") and usable(source, 3, 30) and usable(target, 3, 24):
            corpora.disfluent.append((source, target))


def _load_documentation(corpora: Corpora) -> None:
    """Add the summaries of the standard library's docstrings (PSF licence)."""
    import ast
    import sysconfig

    base = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted([*base.glob("*.py"), *base.glob("*/*.py")]):
        if "site-packages" in path.parts or "test" in str(path.relative_to(base)):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = tidy((ast.get_docstring(node) or "").split("\n\n")[0]).rstrip(".")
                if usable(text, 3, 20):
                    _add(corpora, "documentation", text)
                for passage in passages(_SENTENCE.split(text)):
                    _add(corpora, "passages", passage)


def _load_words(
    root: Path, corpora: Corpora, extra_words: Iterable[str], usage: Mapping[str, Usage] | None
) -> None:
    from wordfreq import top_n_list, zipf_frequency

    frequent = [w for w in top_n_list("en", 30_000) if w.isascii() and w.isalpha() and len(w) > 2]
    corpora.common = frequent
    # Between uniform and natural frequencies: rare words must be seen, frequent ones matter more.
    corpora.common_weights = [10 ** (zipf_frequency(word, "en") * 0.5) for word in frequent]
    counts: Counter[str] = Counter()
    for pool in corpora.pools.values():
        for text in pool:
            counts.update(bare_word(word).lower() for word in text.split())
    common_here = {word for word, count in counts.items() if count >= 4 and word.isalpha()}
    known = common_here | set(frequent[:25_000])
    lists: dict[str, set[str]] = {}
    for name in SOURCES:
        if not name.startswith("train/misspellings/"):
            continue
        for row in _rows(root, name):
            wrong, right = str(row["src"]).lower(), str(row["tgt"]).lower()
            plain = wrong.isalpha() and right.isalpha() and wrong.isascii() and right.isascii()
            if plain and right in known and 1 <= OSA.distance(wrong, right) <= 2:
                lists.setdefault(right, set()).add(wrong)
    # A known word is a misspelling if people list it as one of a far more frequent word.
    wrongs = {
        wrong
        for right, group in lists.items()
        for wrong in group
        if zipf_frequency(wrong, "en") + 2 < zipf_frequency(right, "en")
    }
    words = build_words(corpora.counts, lists, extra_words, usage)
    corpora.lexicon = Lexicon(words)
    corpora.known = frozenset((known - wrongs) | set(words))
    corpora.misspellings = {right: sorted(group) for right, group in sorted(lists.items())}


def load(
    root: Path, extra_words: Iterable[str] = (), usage: Mapping[str, Usage] | None = None
) -> Corpora:
    """Read all allowed sources under ``root``; takes a few seconds and 300 MB at most.

    ``extra_words`` are correctly spelled words, however rare. ``usage`` has the frequencies of
    other words (see ``frequencies``).
    """
    corpora = Corpora()
    _load_queries(root, corpora)
    _load_trec(root, corpora)
    _load_documents(root, corpora)
    _load_disfluent(root, corpora)
    _load_documentation(corpora)
    _load_words(root, corpora, extra_words, usage)
    return corpora
