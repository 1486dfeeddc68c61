"""Words that are mostly grammar, but sometimes part of what is searched for.

"Can dogs eat grapes" has a verb, "trash can" a thing; "show us lamps" a pronoun, "us citizens" a
country. A query is too short to parse, but the words on both sides tell most cases apart. In doubt
the word counts as searched for: keeping a word too many costs less than losing one that matters.
"""

from __future__ import annotations

from collections.abc import Sequence

from .terms import BOILERPLATE, FUNCTION_WORDS, has_digit

_MODALS = frozenset("can will may might must".split())
# Beside these a modal is the verb that it mostly is ("which can", "will it").
_SUBJECTS = frozenset(
    "i you we they he she it one anyone anybody someone somebody people there this that these "
    "those which who what how where when why whom not also be have".split()
)
_DETERMINERS = frozenset("a an the my your his her their our some any no each every this".split())
_ASKING = frozenset("which who what how where when why whom that whose".split())
# No verb follows these, so that a modal before them is a noun ("a trash can for").
_PREPOSITIONS = frozenset("for with in of on from at and or near by under to".split())
# Ahead of "may" these make it the month, and "at will" and "free will" are a thing.
_BEFORE = {
    "may": frozenset("in of until since by before after late early mid".split()),
    "will": frozenset("at against of free ill good".split()),
}
# Behind these verbs "us" is the person who asks.
_GIVERS = frozenset(
    "show shows tell tells give gives gave get gets got find finds help helps let lets let's send "
    "bring ask buy make teach offer lend told remind".split()
)
_PLACES = frozenset("in across within throughout inside the".split())
_VERBS = frozenset("is are was were do does did has have".split())
_AUXILIARIES = _VERBS | frozenset("can will would should could how".split())
_OF_IT = frozenset(
    "support department company companies consulting consultant security job jobs manager managers "
    "management service services technician infrastructure certification certifications staff "
    "specialist project projects career careers professional outsourcing helpdesk industry skills "
    "degree strategy governance audit equipment policy training course courses director "
    "administrator operations budget sector solutions systems".split()
)
_OF_WHO = frozenset(
    "guidelines guideline guidance recommendations recommendation report reports director criteria "
    "classification europe declaration advisory statement statements definition definitions "
    "vaccine regulations standards data approved".split()
)
# Words for parts of a programming language, whose keywords are words of grammar.
_OF_CODE = frozenset(
    "clause clauses loop loops statement statements keyword keywords operator operators".split()
)
_IN_CODE = frozenset(
    "where having while do for if else this in is as from with then until between and or on when "
    "not vs".split()
)
# Words of place and time that change what the next word means ("under armour").
_RELATIONS = frozenset("under over before after above below between through during until".split())
_PARTICLES = frozenset("up off out down".split())  # at the front; elsewhere they follow verbs
_TO = frozenset("right order".split())  # "right to work", "order of protection"


def is_searched_for(low: Sequence[str], index: int) -> bool:
    """Return whether a word of grammar or request is part of what is searched for.

    ``low`` is a sentence's words, case-folded.
    """
    word = low[index]
    before = low[index - 1] if index else ""
    after = low[index + 1] if index + 1 < len(low) else ""
    if word in _IN_CODE and _in_code(low, index):
        return True
    if word in _MODALS:
        return _is_noun(low, index, before, after)
    if word == "us":
        if _is_content(after):
            return before not in _GIVERS
        if before in _PLACES:
            return True
        return (not after or after in _PREPOSITIONS) and _is_content(before)
    if word == "it":
        return after in _OF_IT and before not in _AUXILIARIES
    if word == "who":
        return after in _OF_WHO
    if word in _RELATIONS:
        return _is_content(after)
    if word in _PARTICLES:
        return not index and _is_content(after)
    return word in _TO and after in ("to", "of") and index + 2 < len(low)


def _is_noun(low: Sequence[str], index: int, before: str, after: str) -> bool:
    word = low[index]
    if before in _BEFORE.get(word, ()) or (word == "may" and has_digit(after)):
        return True
    if before in _SUBJECTS or after in _SUBJECTS:
        return False
    if before in _DETERMINERS:
        return True
    if not before:  # "can opener", but "can dogs eat grapes"
        return len(low) in (2, 3) and _is_content(after)
    if not after or after in _PREPOSITIONS:
        return _is_content(before)
    # "Which foods can harm": the clause has no other verb. "What is the best steel can opener" has.
    asked = max((at for at in range(index) if low[at] in _ASKING), default=None)
    return asked is None or not _VERBS.isdisjoint(low[asked + 1 : index])


def _in_code(low: Sequence[str], index: int) -> bool:
    """Return whether keywords up to "loop", "clause" or the like follow a word."""
    for word in low[index + 1 :]:
        if word in _OF_CODE:
            return True
        if word not in _IN_CODE:
            return False
    return False


def _is_content(word: str) -> bool:
    return bool(word) and word not in FUNCTION_WORDS and word not in BOILERPLATE
