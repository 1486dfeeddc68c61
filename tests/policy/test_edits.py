"""Merging: what of a refused rewrite is still used, and that nothing exact is touched."""

from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from middleware import Acceptance, Admission, Mode, Outcome, Reason
from middleware.core.text import normalize, tokens, words
from middleware.policy.edits import apply_safe_edits, capitalized_names, same_words
from middleware.policy.request_words import droppable_words, without_courtesy
from middleware.policy.spelling import close_spelling
from middleware.policy.terms import is_protected, protected_terms

ACCEPTANCE = Acceptance()
ADMISSION = Admission()

MENDED = [  # text, rewrite that goes too far, what is sent
    ("so basically what I am after is egg donor a good business if that makes sense",
     "egg donor business", "egg donor good business"),
    ('could you find me the articles that say "all the world is a stage" on hamlit the prince',
     'hamlet prince', '"all the world is a stage" hamlet prince'),
    ("could you find the lower surface presures of a flat wing in supersonic flow",
     "lower surface pressures of a flat surface pressures of a flat surface pressures of a flat",
     "lower surface pressures flat wing supersonic flow"),
    ("who wrote the sequel to The Great Gatsby", "sequel Great Gatsby writer",
     "sequel The Great Gatsby"),
    ("Fz/PCP-dependent Pk localizes to the membrane", "Fz/P-dependent Pk localizes membrane",
     "Fz/PCP-dependent Pk localizes membrane"),
    ("could you show me tan srappy heeels for women", "srappy heels women",
     "tan srappy heels women"),
    ("how can I updatte the cluster mater?", "update cluster", "update cluster mater?"),
    ("hi, could you find me forward located controls please", "ward located controls",
     "forward located controls"),
    ("could you tell me about wirless 12 v lamps without cord, thanks", "wireless lamps",
     "wireless 12 v lamps without cord"),
    ("hello - red leather shoes", "red shoes", "red leather shoes"),
    ("i'm looking for (wirless) garden lamps, please", "wireless lamps",
     "(wireless) garden lamps"),
    ("show me lamps without cord, if you don't mind", "lamps", "lamps without cord"),
    ("Can you find JAVA Runing Shoes", "java running", "JAVA running Shoes"),
]  # fmt: skip

KEPT = [  # nothing of the rewrite is safe
    ("capital of peru?", "lima"), ("can you show me red shoes", "show me boots"),
    ("phone case without logo", "phone case logo"),
    ("paper towels", "towels"), ("bike lamp 12v usb", "bike lamp usb"), ("usa today", "usa"),
    ("pull up bar", "bar"), ("jobs US", "jobs"), ("PE clamp", "polyethylene clamp"),
    ("lamp witout cord", "lamp without"), ("30 mintues timer kitchen", "30 minutes kitchen"),
    ("iPhon cover blue", "iPhone cover"), ("usb-c cabel-tie set", "usb-c cable-tie"),
    ("mate 20 in case cover", "mate 20 cover"), ("songs by Will Smith top", "songs by Smith"),
    ("life Okazaki town", "life inazaki"), ("mach number flow", "machine flow"),
    ("vitamin a dose", "vitamin"), ("red bra size", "red"), ("size 12 with v neck", "12 v neck"),
    ("don't panic movie", "panic movie"), ("tea-thank you note", "note"),
]  # fmt: skip

SAME = [
    ("red shoes.", "red shoes"), ("Red Shoes", "red shoes"), ("couch...", "couch"),
    ("is it waterproof?", "is it waterproof"), ("red, blue; green", "Red blue green!"),
    ("jobs in the US", "jobs in the us"), ("red shoes", '"red shoes"'), ("a & b test", "a b test"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rewrite", "sent"), MENDED)
def test_the_safe_edits_are_sent(text: str, rewrite: str, sent: str) -> None:
    """Words of the request go and misspelled words are mended; lost words are back."""
    assert ACCEPTANCE.check(text, rewrite) is not None
    assert ACCEPTANCE.judge(text, rewrite) == (sent, None)


@pytest.mark.parametrize(("text", "rewrite"), KEPT)
def test_without_a_safe_edit_the_refusal_stands(text: str, rewrite: str) -> None:
    """The reason is that of the rewrite as a whole."""
    reason = ACCEPTANCE.check(text, rewrite)
    assert reason is not None
    assert ACCEPTANCE.judge(text, rewrite) == (None, reason)


@pytest.mark.parametrize(("text", "rewrite"), SAME)
def test_case_and_punctuation_alone_are_no_rewrite(text: str, rewrite: str) -> None:
    """What a search would not tell apart is unchanged, and no refusal either."""
    assert same_words(text, rewrite)
    assert ACCEPTANCE.judge(text, rewrite) == (None, None)


@pytest.mark.parametrize(
    ("one", "other"), [("c++", "c"), ("wi-fi", "wifi"), ("12.5 v", "125 v"), ("-red", "red"),
                       ("red shoes", "shoes red"), ("it's", "its"), ("$40", "40")],
)  # fmt: skip
def test_punctuation_inside_words_counts(one: str, other: str) -> None:
    """Signs that make another word of one are no punctuation around it."""
    assert not same_words(one, other)


@pytest.mark.parametrize(
    ("text", "named"),
    [("songs by Will Smith of late", "Will Smith"), ("US visa", "US"), ("US", ""), ("shoes", ""),
     ("Could you find me what I want", ""), ("Red Leather Shoes", ""), ("Find it. Red shoes", ""),
     ("lamps - (Philips) only", "Philips"), ("MY LAMP", ""), ("", ""), ("- - -", "")],
)  # fmt: skip
def test_names_are_told_by_their_capitals(text: str, named: str) -> None:
    """Not at the start of a sentence, not where most words have them, and "I" is none."""
    found = words(text)
    assert [
        word for word, is_name in zip(found, capitalized_names(text), strict=True) if is_name
    ] == (named.split())


def test_a_whole_rewrite_is_sent_as_it_is() -> None:
    """An accepted rewrite needs no merging; what is no text is never merged."""
    assert ACCEPTANCE.judge("show me red shoes", "red shoes") == ("red shoes", None)
    unknown = ("show me red shoes", "red \u2047")
    assert ACCEPTANCE.judge(*unknown) == (None, Reason.REJECTED_UNKNOWN_TOKEN)
    loop = ("show me red shoes", "red red red red")
    assert ACCEPTANCE.judge(*loop) == (None, Reason.REJECTED_LOOP)


def test_expand_takes_respelled_words_only() -> None:
    """The original is sent there anyway, so that leaving words out says nothing."""
    text, rewrite = "show me wirless red lamps", "wireless sandals boots sneakers heels"
    assert ACCEPTANCE.check(text, rewrite, Mode.EXPAND) is Reason.REJECTED_DRIFT
    assert ACCEPTANCE.judge(text, rewrite, Mode.EXPAND) == ("show me wireless red lamps", None)
    nothing = ("show me red lamps", "red boots sandals sneakers")
    assert ACCEPTANCE.judge(*nothing, Mode.EXPAND) == (None, Reason.REJECTED_DRIFT)


def test_configured_words_are_left_alone() -> None:
    """Protected words stay, known words are spelled right."""
    text, rewrite = "please show me wirless garden lamps", "wireless lamps"
    mended = "wireless garden lamps"
    assert ACCEPTANCE.judge(text, rewrite) == (mended, None)
    assert Acceptance(protected=["wirless"]).judge(text, rewrite)[0] == "wirless garden lamps"
    assert Acceptance(known=["Wirless"]).judge(text, rewrite)[0] == "wirless garden lamps"
    assert Acceptance(protected=["please"]).judge(text, rewrite)[0] == f"please {mended}"


_WORDS = (
    "red shoes please find me the without 12v 3 cm not c++ 54-QR323014 paper towels can you show "
    "isn't usb-c $40 lamp pull up bar list of a vitamin iPhone um good morning thanks 7.5 W don't "
    "shose runing mintues minutes witout in inch 12 v hello, lamps. - (red) thanks! if mind US us "
    "Will I bra know you knot nto unit unti off Could cannot know-how non-stick .net 1,5 % five"
).split()
WORD = st.sampled_from(_WORDS)
TEXT = st.lists(WORD, min_size=1, max_size=12).map(" ".join)


@st.composite
def edited(draw: st.DrawFn) -> tuple[str, str]:
    """A text with a rewrite of it: words left out, swapped, misspelled, put in other's places."""
    text = draw(TEXT).split()
    rewrite: list[str] = []
    for word in text:
        do = draw(st.sampled_from(["keep", "keep", "drop", "drop", "other", "slip"]))
        if do == "keep":
            rewrite.append(word)
        elif do == "other":
            rewrite.append(draw(WORD))
        elif do == "slip" and len(word) > 2:
            at = draw(st.integers(0, len(word) - 2))
            rewrite.append(word[:at] + draw(st.sampled_from(["", "e", "n", "1"])) + word[at + 1 :])
    return " ".join(text), " ".join(rewrite)


PAIR = st.one_of(edited(), st.tuples(TEXT, TEXT))


@given(PAIR, st.sampled_from([Mode.REPLACE, Mode.EXPAND, Mode.SHADOW]))
@example(("size 12 with v neck", "size 12 v"), Mode.REPLACE)
@example(("lamp if you please don't mind", "lamp if you don't mind"), Mode.REPLACE)
def test_protected_terms_are_exactly_kept(pair: tuple[str, str], mode: Mode) -> None:
    """An edited text has the protected terms of the text: no more, no fewer, in order."""
    text, rewrite = pair
    mended = apply_safe_edits(text, rewrite, close_spelling, deletes=mode is not Mode.EXPAND)
    asked, sent = without_courtesy(text), without_courtesy(mended)
    assert protected_terms(sent) == protected_terms(asked)
    exact = [token for token in tokens(asked) if is_protected(token)]
    assert [token for token in tokens(sent) if is_protected(token)] == exact


@given(PAIR, st.sampled_from([Mode.REPLACE, Mode.EXPAND]))
def test_what_is_sent_passes(pair: tuple[str, str], mode: Mode) -> None:
    """Whatever is judged fit to send is accepted by the check, and has protected terms whole."""
    sent, reason = ACCEPTANCE.judge(*pair, mode)
    assert sent is None or reason is None
    if sent is not None:
        assert ACCEPTANCE.check(pair[0], sent, mode) is None
        assert not same_words(pair[0], sent)
        kept = {token.casefold() for token in tokens(sent)}
        wanted = set(protected_terms(without_courtesy(pair[0])))
        assert mode is Mode.EXPAND or wanted <= kept
    elif reason is not None:
        assert reason.outcome is Outcome.FALLBACK
        assert ACCEPTANCE.check(*pair, mode) is reason


@given(PAIR, st.booleans())
def test_only_words_of_the_text_and_their_respellings(pair: tuple[str, str], deletes: bool) -> None:
    """Each word is of the text, or a spelling, all letters, of one that is gone."""
    text, rewrite = pair
    mended = apply_safe_edits(text, rewrite, close_spelling, deletes=deletes)
    judged = droppable_words(text)
    if [word for word, _ in judged] != list(map(str.casefold, words(text))):
        assert mended == text  # "you know-how": a set phrase ends inside a word
        return
    offered = {word.casefold() for word in words(rewrite)}
    found = [word.casefold() for word in words(mended)]
    ends = {0}  # how many words of the text so far may have led to the first words found
    for word in found:
        ends = {
            at + 1
            for start in ends
            for at in range(start, len(judged))
            if (deletes or at == start)
            and all(droppable for _, droppable in judged[start:at])
            and (word == judged[at][0] or (word in offered and _spelling(judged[at][0], word)))
        }
    rest = [judged[end:] for end in ends]
    assert any(all(droppable and deletes for _, droppable in left) for left in rest)


def _spelling(old: str, new: str) -> bool:
    return (old + new).isalpha() and close_spelling(old, new)


@given(st.one_of(TEXT, st.text(max_size=60)))
def test_identity_stays_identity(text: str) -> None:
    """A rewrite that is the text, or has its words, gives the text and no reason."""
    text = normalize(text)
    assert apply_safe_edits(text, text, close_spelling) == text
    assume(ADMISSION.check(text) is None)
    for mode in Mode:
        assert ACCEPTANCE.judge(text, text, mode) == (None, None)


@given(st.text(st.characters(), max_size=40), st.text(st.characters(), max_size=40))
def test_never_raises(text: str, rewrite: str) -> None:
    """Any two texts can be judged and merged."""
    for mode in Mode:
        sent, reason = ACCEPTANCE.judge(text, rewrite, mode)
        assert sent is None or reason is None
    assert isinstance(apply_safe_edits(text, rewrite, close_spelling), str)
