"""Which words of a text are the request around the query, so that a rewrite may drop them.

"Could you show me papers on drill bits, thanks" asks for "drill bits". Request words are common
words, and each can also belong to a query ("paper towels", "best buy", "display case"). A list of
words would lose these, so the position decides: request words are an unbroken run at the start or
the end of a sentence, and nouns among them never touch the query's own words. Inside the query only
words of grammar may be dropped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from ..core.text import holds_word, words
from .ambiguous_words import is_searched_for
from .terms import BOILERPLATE, FUNCTION_WORDS, folded, is_headline, is_pronoun_i, is_protected

# Words that may be dropped anywhere.
_FILLERS = frozenset(
    "um uh uhm er erm hmm please pls plz thanks thx thankyou kindly especially particularly "
    "specifically mainly etc".split()
)
# Verbs of requests. Beside the query's own words one is dropped only behind another request word
# ("can you list"), because it may belong to the query ("list comprehension").
_VERBS = frozenset(
    "show tell give find look looking looked search searching searched want wants wanted wanting "
    "need needs needed needing hope hoping try trying tried help helps know recommend suggest list "
    "provide explain describe discuss see bring pull fetch get buy buying purchase order ordering "
    "shop shopping sell ask asking wonder wondering browse check identify locate retrieve send "
    "mention make have read learn hello hi hey dear well okay ok alright so oh sorry "
    "listen right now i'm i'd i've i'll im id what's whats where's how's it's its let's "
    "anyone like many much dig u concerning regarding pertaining describing discussing google "
    "cheers interested".split()
)
# Words of conversation that belong to a request only before the query's first own word: what people
# do when they ask, where they look, and for whom.
_FRONT = frozenset(
    "yeah yes yep hiya exist exists existing "
    "pardon alexa computer siri point pointing direct direction directions turn "
    "turned run running come comes coming came hold chance carry collect gather compile whatever "
    "whichever available lovely happy glad kind results result hits hit bother bothering "
    "catalogue catalog database archive library collection index shop store suppose showed shown "
    "gave given pull together bunch few couple several clue idea ideas trouble stuck lost "
    "confused heard hear hearing seen saw noticed remember forgot forget remind walk talk talks "
    "talking talked tells told asks asked requested wondered mentions mentioned keeps kept wrote "
    "writing preparing prepare studying study researching reading working class homework essay "
    "project presentation exam assignment job meeting mother mom mum father dad parents son "
    "daughter brother sister wife husband partner kids kid children friends colleague colleagues "
    "coworker manager teacher professor doctor neighbour neighbor client customer customers "
    "student students uncle aunt roommate girlfriend boyfriend grandma grandpa team favour favor "
    "request require required requesting seeking enquiring enquire inquire inquiring hunt hunting "
    "track tracking dig digging catch inform fill figure understand understanding studied "
    "dear sir madam librarian folks guys hits advice assist assistance fancy prefer rather guide "
    "lead take brief gotten obtain acquire".split()
)
# The same behind the query ("which makes sense", "in advance"); words that touch the query stay.
_BACK = frozenset(
    "sense clue advance bunch hurry rush trouble bother favour favor hesitate kind regards bye "
    "obliged awesome lovely wonderful fantastic brilliant helpful useful forward hearing reply "
    "ages".split()
)
# Words that end a request, also beside the query, if that is no title.
_CLOSING = frozenset("today now right somewhere asap anywhere cheers".split())
# Pronouns and particles that are titles by themselves ("it movie", "the who", "up").
_TITLES = frozenset("it us up her him them you out".split())
_PARTICLES = frozenset("up off out down on".split())
# With a capital inside a text, a month and a name.
_MONTHS = frozenset("may will".split())
# Verbs for obtaining a thing, not for using it: "how do i find a lamp" asks for a lamp.
_SOUGHT = frozenset("find get buy know locate tell look go learn obtain order purchase".split())
_ANYBODY = frozenset("i you we one they people".split())
ASKERS = frozenset(
    "i i'm i've i'd i'll we we're we've we'd we'll you you've you'd me us y'all".split()
)
"""Pronouns for the person who asks or is asked; with a verb of asking they make a request."""
# Words that a single letter follows ("vitamin a"), so that "a" and "i" behind them stay.
_LETTERED = frozenset(
    "vitamin hepatitis type grade class influenza plan series level factor group section part war "
    "phase stage model size".split()
)
# "e.g." and initials end no sentence.
_SENTENCE_END = re.compile(
    r"(?<![.!?;:])(?:(?<![.\s]\w)(?<!^\w)[.!?;:]|[.!?;:]{2})[.!?;:]*+[)\"'”’]*+$"
)
_COURTESY = re.compile(
    r"^(?:hi|hello|hey|ok|okay|dear) (?:there|everyone|all|guys|assistant|librarian)\b"
    r"|^(?:hi|hello|hey|ok|okay|so|well|oh|alright|right|now|listen|sorry)(?=\s?[,.!-]+\s)"
    r"|\b(?:good (?:morning|evening|afternoon)|excuse me|quick question|thanks (?:a lot|in advance)"
    r"|thank you(?: (?:so|very) much)?|many thanks|right now|as soon as possible"
    r"|(?:would be|much) (?:appreciated|grateful|great|nice)|is that possible|if possible"
    r"|if you (?:do not|don['’]?t) mind|if you have (?:any|it)|if you can|when you have a moment"
    r"|(?:i|we) (?:do not|don['’]?t) suppose"
    r"|(?:i|we) (?:have|['’]ve got) no (?:clue|idea)|no (?:rush|hurry)"
    r"|you (?:would not|wouldn['’]?t) happen to (?:know|have)"
    r"|where (?:can|could|does|might|would) one|where one (?:can|could|might|would)"
    r"|(?:any|some) (?:ideas|suggestions|help|clue|pointers)"
    r"|let me know|you know|or something(?: like that)?"
    r"|and so on|or so|i (?:guess|think|wonder)|not sure if you can help|my boss asked me"
    r"|i (?:can['’]?t|cannot) find it anywhere|i (?:do not|don['’]?t) know where to start)\b",
    re.IGNORECASE,
)


def without_courtesy(text: str) -> str:
    """Return a text without its set phrases of courtesy ("if you don't mind")."""
    return _COURTESY.sub(" ", text)


def droppable_words(text: str) -> list[tuple[str, bool]]:
    """Return the words of a text, case-folded, each with whether a rewrite may drop it."""
    polite: list[bool] = []
    found: list[str] = []
    starts: list[bool] = []
    start = 0
    fresh = True
    for phrase in _COURTESY.finditer(text):
        for piece, is_polite in ((text[start : phrase.start()], False), (phrase.group(), True)):
            more, begun, fresh = _sentences(piece, fresh)
            found += more
            starts += begun
            polite += [is_polite] * len(more)
        start = phrase.end()
    rest, begun, _ = _sentences(text[start:], fresh)
    found += rest
    starts += begun
    polite += [False] * len(rest)
    shouting = text.isupper()
    bounds = [place for place, begins in enumerate(starts) if begins and place]
    spans = list(pairwise([0, *bounds, len(found)]))
    sentences = [_sentence(found[a:b], polite[a:b], shouting) for a, b in spans]
    alone = not any(parts.own for parts in sentences)
    result = [may for parts in sentences for may in (parts.alone if alone else parts.result)]
    return list(zip(map(str.casefold, found), result, strict=True))


def _sentences(text: str, fresh: bool) -> tuple[list[str], list[bool], bool]:
    """Return the words of a text, whether each starts a sentence, and whether the next would."""
    found = words(text)
    starts = []
    for piece in filter(holds_word, text.split()):
        starts.append(fresh)
        fresh = bool(_SENTENCE_END.search(piece))
    return found, starts, fresh


@dataclass(frozen=True, slots=True)
class _Sentence:
    """Which words of a sentence may be dropped.

    ``own`` is whether it has words of the query. ``alone`` is used in place of ``result`` if no
    sentence of the text has any.
    """

    own: bool
    result: list[bool]
    alone: list[bool]


def _sentence(found: list[str], polite: list[bool], shouting: bool) -> _Sentence:
    low = list(map(folded, found))
    headline = is_headline(found)
    own: list[bool] = []  # words of the query itself
    for index, word in enumerate(found):
        before = low[index - 1] if index else ""
        own.append(
            not polite[index]
            and (
                _carries_content(low[index], any(own))
                or is_protected(word)
                or (len(word) > 1 and word.isupper() and not shouting)  # "US", "IT", "WHO"
                or is_searched_for(low, index)
                or (low[index] in _MONTHS and index > 0 and word[0].isupper() and not headline)
                or (index > 0 and _titled(found, index) and not headline)
                or (low[index] in {"a", "i"} and before in _LETTERED)
                or (low[index] in _PARTICLES and index > 0 and own[-1] and _glued(low, index))
                or _instructed(low, index)
                # "pull up bar", but "can you pull up"
                or (index < 2 and _phrasal(low))
            )
        )
    if not any(own):
        fillers = [word in _FILLERS or is_set for word, is_set in zip(low, polite, strict=True)]
        return _Sentence(False, [True] * len(found), fillers)
    front, back = own.index(True), len(own) - 1 - own[::-1].index(True)
    many = sum(own) > 2
    asides = _asides(low, own, front, back)
    result = []
    for index, word in enumerate(low):
        if polite[index] or word in _FILLERS:
            result.append(True)
        elif own[index]:
            result.append(False)
        elif index in asides:
            result.append(True)
        elif word in FUNCTION_WORDS:
            alone = (index == 0 and front == 1) or (index == back + 1 == len(low) - 1)
            result.append(not (alone and word in _TITLES))
        elif index < front:
            asks = any(w in FUNCTION_WORDS or w in _VERBS for w in low[:index])
            after = low[index + 1]
            leads = after in FUNCTION_WORDS or after.endswith("ing")
            leads = leads or (word in _VERBS and after in _VERBS)
            inside = index + 1 < front
            result.append((inside and (asks or leads)) or (word in _VERBS and asks))
        elif index > back:
            result.append(index - 1 > back or (word in _CLOSING and many))
        else:
            result.append(False)
    return _Sentence(True, result, result)


def _asides(low: list[str], own: list[bool], front: int, back: int) -> set[int]:
    """Return the places of a request inside a query ("for my desk i'd like to find a lamp").

    It is an unbroken run of request words with both a pronoun and a verb of asking.
    """
    found: set[int] = set()
    run: list[int] = []
    for index in range(front, back + 1):
        if not own[index]:
            run.append(index)
            continue
        said = {low[place] for place in run}
        if len(run) > 2 and not said.isdisjoint(ASKERS) and not said.isdisjoint(_VERBS):
            found.update(run)
        run = []
    return found


def _titled(found: list[str], index: int) -> bool:
    """Return whether a word and the next one have capitals ("after The Office")."""
    after = found[index + 1 : index + 2]
    return (
        bool(after)
        and found[index][0].isupper()
        and after[0][0].isupper()
        and not is_pronoun_i(found[index])
    )


def _carries_content(word: str, behind: bool) -> bool:
    """Return whether a word is neither grammar nor request.

    ``behind`` is whether a word of the query stands before it.
    """
    if word in FUNCTION_WORDS or word in BOILERPLATE:
        return False
    return word not in (_BACK if behind else _FRONT)


def _instructed(low: list[str], index: int) -> bool:
    """Return whether a word is the verb of a how-to question ("how to list files")."""
    if index < 2 or low[index] in _SOUGHT or low[index] in FUNCTION_WORDS:
        return False
    asked = low[index - 2 : index] == ["how", "to"]
    return asked or (low[index - 3 : index - 2] == ["how"] and low[index - 1] in _ANYBODY)


def _phrasal(low: list[str]) -> bool:
    """Return whether a text starts with a verb, its particle and a noun ("pull up bar")."""
    return len(low) > 2 and low[0] in _VERBS and low[1] in _PARTICLES and _glued(low, 1)


def _glued(low: list[str], index: int) -> bool:
    """Return whether a content word follows a particle ("pull up bar")."""
    return low[index] != "on" and index + 1 < len(low) and low[index + 1] not in FUNCTION_WORDS
