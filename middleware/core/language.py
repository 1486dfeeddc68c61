"""A guess at a short text's language from its script and function words.

Queries are too short for statistical language identification to be trusted, and the
question here is narrower: is this text plainly in a language the model does not know?
The answer is yes only on evidence, so that an English query is never turned away for
a borrowed word. The function words are the most frequent ones of each language.
"""

from __future__ import annotations

import unicodedata

from .terms import FUNCTION_WORDS, word_parts

__all__ = ["foreign_script", "is_foreign"]

_FUNCTION_WORDS = {
    "de": "der die das und für mit nicht ein eine einen einer auf ist von zu im den dem wie ich "
    "auch bei nach oder ohne wo kann aus sind über zum zur was welche wird",
    "fr": "le les des du une et est pour dans avec sur pas qui que au aux sans ou je vous nous "
    "comment quel quelle où meilleur cette ce mon sont par",
    "es": "el los las del una para con por que en es cómo como dónde qué cuál sin mejor y al sus "
    "más está son mi",
    "it": "il gli dei della delle per con che di una non come dove sono nel nella è senza alla "
    "dal più migliore",
    "pt": "os dos das uma para com que em não como onde um qual melhor na no da são mais sem ao",
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
_BY_LANGUAGE = {code: frozenset(text.split()) for code, text in _FUNCTION_WORDS.items()}
# Words that an English query may well hold: they count only beside clearer evidence.
_AMBIGUOUS = frozenset(
    "die den was war des en es me par an man in on no of la le de a i per con van do as to com da "
    "el is so at men most all hat am du mi non una bin los las et is son more que sin mon art "
    "ce y s z w v na se se je ne sur di al dal il gli mit und das det den hoe wat op om ut en ett "
    "til for med er par pas ou or est sans sins do ai au aux des for all nu cum ce din via dos em "
    "um os na com ja on ei se".split()
)


def foreign_script(text: str, scripts: frozenset[str] = frozenset({"LATIN"})) -> bool:
    """Tell whether most letters of a text are of a script outside ``scripts``.

    A script is the first word of a letter's Unicode name (``LATIN``, ``CYRILLIC``, ``CJK``).
    """
    letters = foreign = 0
    for char in text:
        if char.isalpha():
            letters += 1
            if char > "\x7f" and unicodedata.name(char, "?").split(" ", 1)[0] not in scripts:
                foreign += 1
    return foreign * 2 > letters


def is_foreign(text: str, languages: frozenset[str] = frozenset({"en"})) -> bool:
    """Tell whether a text is plainly in none of ``languages`` (ISO 639-1 codes).

    Only Latin script is told apart by words; any other script is foreign to ``en``.
    """
    if text.isascii() is False and foreign_script(text):
        return True
    parts = word_parts(text)
    if not parts or "en" not in languages:
        return False
    english = sum(part in FUNCTION_WORDS for part in parts)
    accented = sum(not part.isascii() for part in parts)
    best = 0.0
    for code, known in _BY_LANGUAGE.items():
        hits = {part for part in parts if part in known}
        score = sum(0.5 if part in _AMBIGUOUS else 1.0 for part in hits)
        if code in languages:
            english += int(score)
        else:
            best = max(best, score)
    evidence = best + 0.5 * accented
    return evidence >= 1.0 and evidence > english and best + accented >= 0.2 * len(parts)
