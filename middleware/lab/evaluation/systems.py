"""The compared systems: each turns a typed text into the query that is searched.

The baselines are the two simplest remedies, a list of stop words and a spelling corrector.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from importlib.resources import as_file, files

from ...core.outcome import Mode, Outcome
from ...core.reformulation import Reformulation, Timings
from .extra import require

Decide = Callable[[str], Reformulation]
"""A system: it returns the reformulation of a text, with its time."""

ORIGINAL = "original"
BASELINES = (ORIGINAL, "stoplist", "spelling", "stoplist+spelling")
ENGINE_SYSTEMS = (Mode.REPLACE.value, Mode.EXPAND.value)
SYSTEMS = BASELINES + ENGINE_SYSTEMS

# Words of requests, in addition to function words. The list favors the baseline: it contains
# words that occur in most requests, even if some queries need them.
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


def _without_stopwords(text: str, stopwords: frozenset[str]) -> str:
    """Return a text without these words, or whole if none is left."""
    remaining = [
        word
        for word in text.split()
        if word.strip(_TRIM).lower().replace("’", "'") not in stopwords and word.strip(_TRIM)
    ]
    return " ".join(remaining) or text


def _speller() -> Callable[[str], str]:
    """Return a spelling corrector: SymSpell with its own English word frequencies.

    It leaves alone words with a digit or symbol, acronyms, and words under four letters.
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
    """Return the baselines with these names, in the order of ``BASELINES``.

    Errors: ``MissingExtraError``.
    """
    rewrites: dict[str, Callable[[str], str]] = {ORIGINAL: lambda text: text}
    # NLTK's list of 179 function words, as shipped with bm25s.
    stopwords = frozenset(require("bm25s.stopwords").STOPWORDS_EN_PLUS) | _REQUEST
    rewrites["stoplist"] = lambda text: _without_stopwords(text, stopwords)
    if not {"spelling", "stoplist+spelling"}.isdisjoint(names):
        corrected = _speller()  # takes seconds, as it reads a dictionary
        rewrites["spelling"] = corrected
        rewrites["stoplist+spelling"] = lambda text: _without_stopwords(corrected(text), stopwords)
    return {name: _timed(rewrite) for name, rewrite in rewrites.items() if name in names}


def _timed(rewrite: Callable[[str], str]) -> Decide:
    def decide(text: str) -> Reformulation:
        began = time.perf_counter()
        query = rewrite(text)
        timings = Timings(time.perf_counter() - began)
        outcome = Outcome.UNCHANGED if query == text else Outcome.REWRITTEN
        return Reformulation(text, query, outcome, timings=timings)

    return decide
