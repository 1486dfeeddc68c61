"""The systems that are compared: what each makes of a text before it is searched.

Next to the engine stand the two things that anybody would try first, a list of words to
leave out and a spelling corrector, so that a model has to earn its place against them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from importlib.resources import as_file, files

from ...core.outcome import Mode, Outcome
from ...core.reformulation import Reformulation, Timings
from .extra import require

__all__ = ["BASELINES", "ENGINE_SYSTEMS", "ORIGINAL", "SYSTEMS", "Decide", "baselines", "stoplist"]

Decide = Callable[[str], Reformulation]
"""What a system is: a text in, what to search for out, with the time that took."""

ORIGINAL = "original"
BASELINES = (ORIGINAL, "stoplist", "spelling", "stoplist+spelling")
ENGINE_SYSTEMS = (Mode.REPLACE.value, Mode.EXPAND.value)
SYSTEMS = BASELINES + ENGINE_SYSTEMS

# What people say around a query, beyond grammar. Written for fairness to the baseline: it
# takes words that stand in most requests, whether or not they may be meant in some.
_REQUEST = frozenset(
    "please thanks thank hi hello hey ok okay um uh er erm hmm well oh dear sorry want wants "
    "wanted need needs needed like would could can may might must shall find finding show showing "
    "tell give get getting got search searching look looking looked see seeing know knowing "
    "interested interest help helping let lets going go want wondering wonder hoping hope try "
    "trying say says said ask asking asked information info article articles paper papers document "
    "documents anything something everything anyone someone everyone thing things kind sort "
    "concerning concerned regarding relating related dealing deal deals discuss discusses discuss "
    "discussed describe describes describing described available possible possibly particular "
    "particularly especially specifically also etc us much many lot bit maybe perhaps basically "
    "actually really just i'm i'd i've i'll it's that's there's what's let's don't you've "
    "cheers appreciate appreciated kindly assistant".split()
)
_TRIM = "\"'()[],;:!?."


def stoplist(text: str) -> str:
    """Return a text without the words of grammar and of requests; all of it if none is left.

    The words of grammar are the list of 179 that NLTK made common, as bm25s ships it.
    """
    return _without_stopwords(text, _stopwords())


def _stopwords() -> frozenset[str]:
    return frozenset(require("bm25s.stopwords").STOPWORDS_EN_PLUS) | _REQUEST


def _without_stopwords(text: str, stopwords: frozenset[str]) -> str:
    kept = [
        word
        for word in text.split()
        if word.strip(_TRIM).lower().replace("’", "'") not in stopwords and word.strip(_TRIM)
    ]
    return " ".join(kept) or text


def _speller() -> Callable[[str], str]:
    """Return SymSpell's best word for each word, with its own English frequencies.

    Numbers, what has a digit or a sign in it, acronyms and words under four letters are kept.
    """
    symspell = require("symspellpy")
    corrector = symspell.SymSpell(max_dictionary_edit_distance=2, prefix_length=7)
    with as_file(files("symspellpy") / "frequency_dictionary_en_82_765.txt") as path:
        corrector.load_dictionary(str(path), term_index=0, count_index=1)

    def corrected(piece: str) -> str:
        word = piece.strip(_TRIM)
        if not word.isalpha() or len(word) < 4 or any(letter.isupper() for letter in word[1:]):
            return piece
        found = corrector.lookup(
            word.lower(), symspell.Verbosity.TOP, max_edit_distance=2, include_unknown=True
        )[0].term
        return piece.replace(word, found.capitalize() if word[0].isupper() else found, 1)

    return lambda text: " ".join(map(corrected, text.split()))


def baselines(names: Collection[str] = BASELINES) -> Mapping[str, Decide]:
    """Return the systems of these names that need no engine, in the order of ``BASELINES``.

    Errors: ``MissingExtraError``.
    """
    made: dict[str, Callable[[str], str]] = {ORIGINAL: lambda text: text}
    stopwords = _stopwords()
    made["stoplist"] = lambda text: _without_stopwords(text, stopwords)
    if not {"spelling", "stoplist+spelling"}.isdisjoint(names):
        spelled = _speller()  # a dictionary to read: seconds
        made["spelling"] = spelled
        made["stoplist+spelling"] = lambda text: _without_stopwords(spelled(text), stopwords)
    return {name: _timed(rewrite) for name, rewrite in made.items() if name in names}


def _timed(rewrite: Callable[[str], str]) -> Decide:
    def decide(text: str) -> Reformulation:
        began = time.perf_counter()
        query = rewrite(text)
        timings = Timings(time.perf_counter() - began)
        outcome = Outcome.UNCHANGED if query == text else Outcome.REWRITTEN
        return Reformulation(text, query, outcome, timings=timings)

    return decide
