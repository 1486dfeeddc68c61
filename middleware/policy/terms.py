"""Kinds of terms in a text: numbers, units, negations, identifiers, names, words of grammar.

Admission and acceptance share them. All functions are pure and take microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..core.text import PUNCTUATION, tokens

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*", re.UNICODE)

_NEGATIONS = frozenset(
    "no not never none without nor neither cannot except excluding excludes exclude minus "
    "sans non w/o nobody nothing nowhere free-of "
    "dont doesnt didnt isnt wasnt arent werent cant couldnt wouldnt shouldnt hasnt havent hadnt "
    "aint mustnt neednt".split()
)
# Before "but", these leave everything but what follows.
_ALL_BUT = frozenset(
    "all any anybody anyone anything anywhere everybody everyone everything everywhere".split()
)
_NEGATION_PATTERN = re.compile(r"(?:.+n['’]t|non-.+|un-.+|.+-free|.+-less)", re.IGNORECASE)

# A number with an optional sign of money in front and an optional unit behind, or a
# number that stands inside a model name ("12v", "1/2in", "3,5mm", "$40", "4k", "24-70mm").
_NUMBER = re.compile(
    r"[$€£¥#~<>=≤≥±+-]?\d+(?:[.,:/x×-]\d+)*(?:st|nd|rd|th|s|%|°[cf]?|[a-zµ]{1,4}²?|\"|'|″|′)?",
    re.IGNORECASE,
)
_PRONOUN_I = re.compile(r"I(?:['’]\w+)?")
_HAS_DIGIT = re.compile(r"\d")

_UNITS = frozenset(
    "mm cm m km in inch inches ft feet foot yd yard yards mile miles mg g kg oz lb lbs pound "
    "pounds ml cl l liter liters litre litres gal gallon gallons qt quart pint cup cups tsp tbsp "
    "v volt volts kv mv w watt watts kw kwh mwh a amp amps ma mah hz khz mhz ghz kb mb gb tb kib "
    "mib gib tib bit bits byte bytes mbps gbps fps dpi ppi psi bar pa kpa mpa nm um µm °c °f k "
    "percent % usd eur gbp dollars euros btu cc hp rpm db lumens lm pcs pack ct count "
    "sec secs second seconds min mins minute minutes hr hrs hour hours day days week weeks month "
    "months year years".split()
)

_IDENTIFIER = re.compile(
    r"""
      (?:https?|ftp|file|s3|ssh|git|urn|doi):\S+          # URL, URN
    | www\.\S+
    | [\w.+-]+@[\w-]+(?:\.[\w-]+)+                        # e-mail address
    | [\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|dev|edu|gov|co|uk|de|fr|app|ai)(?:/\S*)?
    | (?:~|\.{1,2})?/[\w.-]+(?:/[\w.@+-]*)*               # path
    | [A-Za-z]:\\\S+
    | \\\\\S+
    | [\w-]+(?:/[\w.-]+){2,}
    | (?:[A-Za-z_]\w*)(?:(?:\.|::|->|\#)[A-Za-z_]\w*)+(?:\(\))?   # os.path.join, std::vector
    | [A-Za-z]\w*\(\)                                     # call()
    | [\w-]+\.(?:py|js|ts|c|h|cpp|rs|go|java|rb|sh|json|ya?ml|toml|ini|cfg|md|txt|csv|pdf|exe
        |dll|so|zip|gz|tar|png|jpe?g)
    | --?[A-Za-z][\w-]*(?:=\S+)?                          # --option
    | [A-Za-z]\+\+ | [A-Za-z]\#                           # c++, c#
    | \.[A-Za-z]\w+                                       # .net
    | (?:0x)?(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,}   # hash
    | [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}         # UUID
    | (?:97[89][- ]?)?(?:\d[- ]?){9}[\dx]                 # ISBN
    | \d{7,}                                              # EAN, UPC, part number
    | (?=\w*[a-z0-9]_[a-z0-9])\w++                        # snake_case
    | v?\d++\.\d++\.\d\S*+                                # version 1.2.3, IPv4
    | \d+(?:\.\d+)*-?rc\d+
    | (?:CVE|ISO|IEC|RFC|PEP|DIN|EN)-?\d[\w.:-]*
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LONGEST_WORD = 64  # characters; beyond, a token is a key, a hash or no text at all
_CAMEL = re.compile(r"[a-z][a-z0-9]*+(?:[A-Z][a-z0-9]++)++|(?:[A-Z][a-z0-9]++){2,}+[A-Z]?")
_NAME = re.compile(r"[^\W\d_]{1,4}/[^\W\d_]{1,4}|(?=\w?\w?\d)[^\W_]{2,3}")
# Letters and digits in turn, upper case or joined by hyphens: a stock or part number. As "\w" holds
# the underscore too, one that joins has an alternative of its own: with two ways to read it, a run
# of them would have exponentially many.
_PART_NUMBER = re.compile(
    r"(?=[^a-z]*\d)(?=[^a-z]*[A-Z])[A-Z0-9]++(?:[-_./][A-Z0-9]++)*+"
    r"|(?=\S*\d)(?=\S*[A-Za-z])(?:\w++(?:[-./]\w++)++|(?=\w+_\w)\w++)"
    r"|[A-Za-z]++\d++[A-Za-z]++\d*+|\d++[A-Za-z]++\d\w*+"
)
_KNOWN_COMPOUND = re.compile(
    r"\d+(?:[.,]\d+)?-(?:inch|in|year|years|month|day|week|hour|minute|pack|piece|piece|foot|ft|mm"
    r"|cm|way|speed|door|person|volt|watt|gallon|ounce|oz|lb|pound|pin|port|bit|core|d|star|ply"
    r"|point|step|part|page|man|old|in-1)(?:-old)?|(?:covid|type|mp|usb|hdmi|ps|pm|co)-?\d+\w*"
    r"|\w+-\d{1,2}",
    re.IGNORECASE,
)

CONTRACTIONS = frozenset(
    "i'm i've i'd i'll you're you've you'd you'll he's he'd he'll she's she'd she'll we're we've "
    "we'd we'll they're they've they'd they'll it's it'd it'll that's that'd that'll there's "
    "there'd here's what's what're who's who'd where's how's how'd when's why's let's y'all".split()
)
"""Contractions of pronouns and question words with a verb; all are words of grammar."""

FUNCTION_WORDS = CONTRACTIONS | frozenset(
    "a an the and or but if of in on at by for with about into onto to from as is are was were be "
    "been being am do does did done doing have has had having will would shall should can could "
    "may might must i me my mine myself we us our ours you your yours he him his she her hers it "
    "its they them their theirs this that these those there here what which who whom whose when "
    "where why how all any both each few more most other some such only own same so than too very "
    "just also then once again further during before after above below up down out off over under "
    "between through because until while whether per via get got gets getting let lets".split()
)
"""English words that carry grammar rather than meaning."""

GRAMMAR = frozenset(
    "what what's whats which who who's whos whom whose when where where's why how how's is are was "
    "were do does did can could should would will has have had am a an the this that these those "
    "there here it its it's i i'm im me my mine we us our you your he him his she her they "
    "them their be been being of to for in on at by with from into onto about as and or if so than "
    "then such also some any doing shall may might must get gets got lets let just really very "
    "please exactly actually".split()
)
"""Function words that keywords do without; others ("under", "each") carry meaning."""

BOILERPLATE = frozenset(
    "please pls plz thanks thank thankyou hi hello hey dear kindly ok okay well um uh er hmm erm "
    "ah oh like actually basically really maybe perhaps probably somehow something someone anyone "
    "anybody anything everything everybody stuff thing things kind sort lot lots bit little quick "
    "quickly show tell give find finding found look looking looked search searching searched want "
    "wants wanted wanting need needs needed needing wish hope hoping try trying tried help helps "
    "helping assist know knows knew think thinking guess suppose wonder wondering wondered ask "
    "asking question questions recommend recommended recommendation recommendations suggest "
    "suggestion suggestions suggested list lists listed provide explain describe discuss discusses "
    "discussed document documents article articles paper papers information info details detail "
    "material pertaining concerning regarding "
    "related relating relate interested interest see seeing seen say "
    "says said mean means meant go going gonna wanna gotta make makes making come came available "
    "possible sure curious today now bring pull fetch display buy buying purchase order ordering "
    "shop shopping sell "
    "i'm i'd i've i'll im ive id you're you've let's what's whats where's how's it's its that's "
    "there's who's right wait sorry no-problem appreciate appreciated great good nice best "
    "uhm excuse alright cheers grateful asap somewhere anywhere morning evening afternoon everyone "
    "assistant librarian moment browse check identify locate retrieve send mention read learn "
    "known written published done writing boss friend told work research studies study reports "
    "report resources literature references publications results result page pages website "
    "websites topic query google dealing deal deals describing discussing describes discussions "
    "descriptions urgent places u many much dig document".split()
)
"""Words of requests that address the listener, and say nothing about what is searched for."""


def folded(word: str) -> str:
    """Return a word case-folded and with a straight apostrophe, as the lists here have them."""
    return word.casefold().replace("’", "'")


def is_pronoun_i(word: str) -> bool:
    """Return whether a word is "I" or a contraction of it ("I'm")."""
    return bool(_PRONOUN_I.fullmatch(word))


def word_parts(token: str) -> list[str]:
    """Return the runs of letters and digits of a token, case-folded."""
    return [part.casefold() for part in _WORD.findall(token)]


def is_sentence(pieces: Sequence[str]) -> bool:
    """Return whether a text is a sentence: six words or more, with grammar among them."""
    grammar = sum(piece.strip(PUNCTUATION).casefold() in GRAMMAR for piece in pieces)
    return len(pieces) >= 6 and grammar >= 1


def is_headline(found: Sequence[str]) -> bool:
    """Return whether words are capitalized as in a headline, so that capitals show no names.

    In a headline most words have a capital, among them the first and each content word. So "use IBM
    Cloudant Query" and "Dua Lipa tour" are none, and their capitals show names.
    """
    if 2 * sum(word[0].isupper() for word in found) <= len(found) or not found[0][0].isupper():
        return False
    little = FUNCTION_WORDS | BOILERPLATE
    return not any(word[0].islower() and word not in little for word in found)


def is_identifier(token: str) -> bool:
    """Return whether a token is an exact identifier: a SKU, EAN, URL, path, symbol, hash, c++."""
    if len(token) > _LONGEST_WORD:
        return True
    if _KNOWN_COMPOUND.fullmatch(token) or is_number(token):
        return token.isdigit() and len(token) >= 7
    return bool(
        _IDENTIFIER.fullmatch(token) or _CAMEL.fullmatch(token) or _PART_NUMBER.fullmatch(token)
    )


def is_name(token: str) -> bool:
    """Return whether a token may be a name or a word: ``iPhone``, ``G7``, ``ac/dc``.

    Some are identifiers too, but the words beside them may be ordinary words.
    """
    return bool(_NAME.fullmatch(token) or _CAMEL.fullmatch(token))


def is_number(token: str) -> bool:
    """Return whether a token is a number, with or without a unit or a sign of money."""
    return bool(_NUMBER.fullmatch(token))


def is_negation(token: str) -> bool:
    """Return whether a token negates its neighbours (``not``, ``isn't``)."""
    low = token.casefold()
    return low in _NEGATIONS or bool(_NEGATION_PATTERN.fullmatch(low))


def is_unit(token: str) -> bool:
    """Return whether a token is a unit of measure."""
    return token.casefold() in _UNITS


def has_digit(token: str) -> bool:
    """Return whether a token holds a digit."""
    return bool(_HAS_DIGIT.search(token))


def is_protected(token: str) -> bool:
    """Return whether a token is a number, a negation or an identifier."""
    return is_number(token) or has_digit(token) or is_negation(token) or is_identifier(token)


def protected_terms(text: str) -> list[str]:
    """Return the tokens that no rewrite may lose or alter, case-folded, in order.

    They are the numbers (with the unit that follows), negations ("anything but" is one) and
    identifiers.
    """
    found: list[str] = []
    previous_number = False
    before = ""
    for token in tokens(text):
        if token.casefold() == "but" and before in _ALL_BUT:
            found += [before, "but"]
        before = token.casefold()
        number = is_number(token) or has_digit(token)
        if (
            number
            or is_negation(token)
            or is_identifier(token)
            or (previous_number and is_unit(token))
        ):
            found.append(token.casefold())
        previous_number = number
    return found
