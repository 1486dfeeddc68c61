"""Whether a short text is in a language that the model does not know.

Queries are too short for statistical language identification. So script and function words are
looked at, and a text is foreign only on evidence: an English query is never refused for a borrowed
word. The function words are the most frequent ones of each language.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from .terms import FUNCTION_WORDS, word_parts

_FUNCTION_WORDS = {
    "de": "der die das und für mit nicht ein eine einen einer auf ist von zu im den dem wie ich "
    "auch bei nach oder ohne wo kann aus sind über zum zur was welche wird zwischen",
    "fr": "le les des du une et est pour dans avec sur pas qui que au aux sans ou je vous nous "
    "comment quel quelle où meilleur cette ce mon sont par la de en",
    "es": "el los las del una para con por que en es cómo como dónde qué cuál sin mejor y al sus "
    "más está son mi la de",
    "it": "il gli dei della delle per con che di una non come dove sono nel nella è senza alla "
    "dal più migliore la le da un al",
    "pt": "os dos das uma para com que em não como onde um qual melhor na no da são mais sem ao "
    "de minha meu",
    "nl": "het een van voor met niet en op zijn hoe waar wat deze naar zonder bij ik aan ook",
    "sv": "och för med inte en ett den det som på är av hur var utan jag till att",
    "da": "og til med ikke en et den det som på er af hvordan hvor uden jeg",
    "no": "og til med ikke en et den det som på er av hvordan hvor uten jeg",
    "fi": "ja on ei se että kuin missä miten mikä ovat mutta tai",
    "pl": "i w na z do nie jak się jest dla od gdzie co oraz bez czy",
    "cs": "a v na s do ne jak se je pro od kde co nebo bez",
    "tr": "ve bir bu için ile nasıl ne nerede değil da de en mı mi",
    "ro": "și pentru cu în este nu cum unde ce din la sau fără",
    "id": "dan di yang untuk dengan tidak cara apa dari ini itu adalah",
}


def _languages_by_word() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for code, listed in _FUNCTION_WORDS.items():
        for word in set(listed.split()):
            found.setdefault(word, []).append(code)
    return found


_LANGUAGES_OF = _languages_by_word()
# Words that an English query may well hold (their Zipf frequency in English text is 3.3 or
# more, by wordfreq 3.1): each counts for half, and one alone is no evidence.
_AMBIGUOUS = frozenset(
    "die den was war des en es me par an man in on no of la le de a i per con van do as to com da "
    "el is so at men most all hat am du mi non una bin los las et son more que sin mon art "
    "ce y s z w v na se je ne sur di al dal il gli mit und das det hoe wat op om ut en ett "
    "til for med er pas ou or est sans sins ai au aux nu cum din via dos em um os ja ei "
    "im von der dem wo aus ist comment les pour une qui dans del por come dove che dei nel "
    "un über oder wie auf ao met till var av af og tai co pro ve bu cu dan yang cara apa od como "
    "sus mais sem ini são".split()
)
# Words of names ("los angeles", "oscar de la renta", "pro co", "dan"): two prove nothing.
_PARTICLES = frozenset(
    "los las la le les de del der den van von el di da du des san al pro co dan yang tai".split()
)
# Letters that borrowed words and names seldom bring into English, beyond those of West
# European languages: Polish, Czech, Turkish, Romanian, Hungarian, Baltic, Vietnamese.
_RARE_LETTERS = frozenset("ąćęłńśźżčďěňřšťůžğışőűășțđơưāēģīķļņū") | frozenset(
    map(chr, range(0x1EA0, 0x1EFA))
)
# The script of each language that is not written in Latin letters.
_SCRIPTS = {
    **dict.fromkeys(("ru", "uk", "bg", "sr", "mk", "be", "kk"), frozenset({"CYRILLIC"})),
    **dict.fromkeys(("ar", "fa", "ur"), frozenset({"ARABIC"})),
    **dict.fromkeys(("hi", "mr", "ne"), frozenset({"DEVANAGARI"})),
    "zh": frozenset({"CJK"}),
    "ja": frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}),
    "ko": frozenset({"HANGUL", "CJK"}),
    "el": frozenset({"GREEK"}),
    "he": frozenset({"HEBREW"}),
    "th": frozenset({"THAI"}),
}


def scripts_of(languages: Iterable[str]) -> frozenset[str]:
    """Return the scripts in which ``languages`` (ISO 639-1 codes) are written."""
    return frozenset().union(*(_SCRIPTS.get(code, frozenset({"LATIN"})) for code in languages))


_scripts_of = lru_cache(maxsize=64)(scripts_of)


def _script(letter: str) -> str:
    return "LATIN" if letter.isascii() else unicodedata.name(letter, "?").split(" ", 1)[0]


def foreign_script(text: str, scripts: frozenset[str] = frozenset({"LATIN"})) -> bool:
    """Return whether most letters of a text belong to a script outside ``scripts``.

    A script is the first word of a letter's Unicode name (``LATIN``, ``CYRILLIC``, ``CJK``).
    """
    letters = foreign = 0
    for char in text:
        if char.isalpha():
            letters += 1
            foreign += _script(char) not in scripts
    return foreign * 2 > letters


def is_foreign(text: str, languages: frozenset[str] = frozenset({"en"})) -> bool:
    """Return whether a text is clearly in none of ``languages`` (ISO 639-1 codes).

    Text in a script of none of them is foreign. Languages in Latin script are only told apart if
    English is among ``languages``: by function words that English lacks, by several that English
    texts may have, or by letters that most words have and English lacks.
    """
    scripts = _scripts_of(languages)
    if ("LATIN" not in scripts or not text.isascii()) and foreign_script(text, scripts):
        return True
    parts = word_parts(text)
    if not parts or "en" not in languages:
        return False
    found: dict[str, set[str]] = {}
    for part in parts:
        for code in _LANGUAGES_OF.get(part, ()):
            found.setdefault(code, set()).add(part)
    if not found and text.isascii():  # the usual case: no evidence of another language
        return False
    english = sum(part in FUNCTION_WORDS for part in parts)
    accented = sum(not part.isascii() for part in parts)
    if accented and languages == {"en"}:
        rare = sum(not _RARE_LETTERS.isdisjoint(part) for part in parts)
        if rare >= 2 and 2 * rare >= len(parts) and not english:
            return True
    best = 0.0
    for code, hits in found.items():
        doubtful = hits & _AMBIGUOUS
        score = len(hits) - 0.5 * len(doubtful)
        if code in languages:
            english += int(score)
        elif (
            hits != doubtful
            or len(hits) > 2
            or sum(len(word) > 1 for word in hits - _PARTICLES) > 1
        ):
            best = max(best, score)
    evidence = best + 0.5 * accented if best else 0.0
    enough = best > english if english else evidence >= 1.0
    return enough and best + accented >= 0.2 * len(parts)
