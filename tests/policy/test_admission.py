"""Admission: what is left alone, what is admitted, and nothing ever raises."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from middleware import Admission, ConfigurationError, Outcome, Reason
from middleware.core.text import normalize, tokens
from middleware.policy import admission
from middleware.policy.admission import holds_syntax
from middleware.policy.quotation import asks_for_a_phrase

ADMISSION = Admission()

LEFT_ALONE = {
    Reason.EMPTY: ["", "   ", "\n\t"],
    Reason.TOO_SHORT: ["a", "é", "?", "😀"],
    Reason.TOO_LONG: ["x" * 2_000, "word " * 400, "a b " * 60],
    Reason.UNENCODABLE: [
        "foo\x00bar", "foo\x07bar", "foo\x1bbar", "foo \x7f bar", "foo\ud800bar", "x\udfff",
        "zero\u200bwidth", "zero\u200djoin", "\u202eright to left", "\ufeffbom first",
        "soft\u00adhyphen", "private \ue000 use", "lost \ufffd bytes", "unknown ⁇ piece",
    ],
    Reason.QUOTED: [
        '"red shoes"', 'red "running shoes" nike', '"red shoes', "“exact phrase” here",
        "«texte»", "„genau das“", 'what is the origin of the word "eureka"?', '12" "red shoe"',
    ],
    Reason.SYNTAX: [
        "title:shoes", 'title:"red shoes"', "price:>10", "rdfs:label of it", "a AND b",
        "shoes OR boots", "shoes NOT nike", "NIKE OR ADIDAS", "NOT NIKE", "(a AND b) OR c",
        "apache NEAR/3 lucene", "a && b", "a || b", "+red -blue", "shoes -nike", "red +shoes",
        "(+red shoes)", "!important thing", "sho*", "te?t", "*:*", "roam~ fast",
        '"jakarta apache"~10', "jakarta^4 apache", "[1 TO 5]", "year [2001 TO 2005}",
        'user:/ki.*/ AND -tag:old t:"red shoe"~2 p:[10 TO 20}', "/ki.*/", "{!edismax v=$qq}",
        '_val_:"x"', "${jndi:ldap://x}", "<script>alert(1)</script>", "for (int i=0;i<n;i++)",
        'print("hello")', "def f(x):", "class Foo(Bar):", "SELECT name FROM users",
        "select name from users", "import numpy as np", "from os import path", "x => y", "a=b",
        "$x = 3", "sum(a,b)", "geodist()", "os.remove(x) fails", "C:\\Windows\\System32",
        "return x;", "`ls` output", "$HOME not set", "!!!", "foo.bar()",
    ],
    Reason.IDENTIFIER: [
        "https://example.com/a?b=c", "see https://example.com/ now", "www.example.com",
        "example.com", "bob@example.com", "54-QR323014", "order 54-QR323014", "4006381333931",
        "978-3-16-148410-0", "0306406152", "d41d8cd98f00b204e9800998ecf8427e",
        "550e8400-e29b-41d4-a716-446655440000", "c++", "c++ vs c#", "c#", ".net",
        "os.path.join", "std::vector", "/etc/passwd", "~/notes/a.txt", "src/main/app.py",
        "README.md", "--help", "WH-1000XM4", "getElementById", "snake_case_name", "1.2.3",
        "192.168.0.1", "CVE-2021-44228", "ac/dc", "iPhone", "G7", "123", "10 20 30", "#1", "50%",
        "QmYwAPJzv5CZsnAzt8auVZRnGe2fN9dZ" * 3,
    ],
    Reason.LANGUAGE: [
        "schuhe für damen", "wie kann ich mein passwort ändern", "rucksack ohne rollen",
        "comment changer une roue de vélo", "recette de la tarte aux pommes",
        "zapatos para mujer", "cómo cambiar la contraseña de mi cuenta",
        "recetas de cocina para el verano", "come cambiare la gomma della bicicletta",
        "scarpe per la corsa da donna", "sapatos para mulher", "o que é um buraco negro",
        "schoenen voor dames", "waar kan ik goedkope banden kopen", "buty dla kobiet",
        "gdzie kupić tanie opony zimowe", "kadınlar için ayakkabı", "hur kan jag byta lösenord",
        "hvordan skifter jeg et dæk", "sepatu untuk wanita", "kde koupit levné zimní pneumatiky",
        "mikä on musta aukko", "cách nấu phở bò", "купить кроссовки женские",
        "как сменить пароль", "女士运动鞋", "パスワードを変更する方法", "여성 운동화",
        "أحذية نسائية", "נעלי נשים", "γυναικεία παπούτσια", "महिलाओं के जूते", "รองเท้าผู้หญิง",
    ],
}  # fmt: skip

ADMITTED = [
    "red shoes", "hwo to tei a tie", "runing sheos for wmoen", "login bug", "PE clamp",
    "can you please show me some cheap running shoes", "what is the capital of peru?",
    "how do i reset my password?", "um, like, you know, a really good blender i guess",
    "i don't know what's wrong with my router", "please help me!!", "so... any ideas?",
    "27 inch monitor 144hz", "bike lamp 12v usb", "24-70mm lens for nikon", "10 foot ladder",
    '24" x 36" poster frame', '27" monitor stand', '15.6" laptop sleeve', "500ml bottle",
    "1/2 inch pipe", "size 9 1/2 shoes", "$50 headphones", "50% off sale", "3 pack socks",
    "2x4 lumber", "4x4 truck tires", "vitamin b12", "3d printer", "ps5 controller",
    "rtx 3080 graphics card", "sony wh-1000xm4 headphones black", "canon eos r5 body",
    "usb c to hdmi", "under 100 dollars laptop", "covid-19 symptoms", "24/7 gym",
    "python 3.11 list sort", "windows 11 update error", "5.1 surround sound", "4k tv",
    "crème brûlée recipe", "jalapeño popper dip", "joie de vivre meaning", "café table",
    "Beyoncé tour 2023", "naïve bayes classifier", "são tomé and príncipe",
    "Was János Kádár married?", "dwayne johnson movies", "dr. seuss books", "st. john's wort",
    "who was the first president of the u.s.?", "o'neill wetsuit", "women's running shoes",
    "BLACK AND DECKER DRILL", "HOW TO BOIL AN EGG", "MY PHONE IS NOT CHARGING", "RED SHOES",
    "London TO Paris train", "t-shirt for men", "non-stick frying pan", "spider-man lego set",
    "spider-man: no way home", "star wars: episode iv", "iPhone 13 pro case",
    "YouTube downloader", "MasterCard or Visa", "LaTeX symbols", "G7 countries",
    "where can i get my w2", "ac/dc t shirt", "men/women shoes", "w/o logo phone case",
    "item(s) missing from my order", "plasma Lp(a) levels", "time complexity O(n)",
    "why declined?I tried several times", "why didn;t my payment work", "rock & roll",
    "AT&T plans", "h&m dress", "class action lawsuit: who can join", "import duty on cars (uk)",
    "return policy (amazon)", "select comfort bed (queen)", "las vegas hotels", "dek pro",
    "airpods pro case", "dove body wash", "los angeles lakers jersey", "dan brown books",
    "tai chi for beginners", "van der waals forces", "le creuset dutch oven", "del taco menu",
    "pour over coffee", "les paul guitar", "oscar de la renta dress", "lake como italy",
    "das boot movie", "phone case without logo", "table top bandsaw for metal",
    'what do people mean when they say "break a leg" to an actor before a play',
    "error code 0x80070005 in windows update", "I need a table, 4 chairs and a lamp",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [(text, reason) for reason, texts in LEFT_ALONE.items() for text in texts],
)
def test_left_alone(text: str, reason: Reason) -> None:
    """Each text is left alone, for the reason that fits it."""
    assert ADMISSION.check(normalize(text)) is reason


@pytest.mark.parametrize("text", ADMITTED)
def test_admitted(text: str) -> None:
    """Misspelled, chatty, borrowed, numbered and shouted English is admitted."""
    assert ADMISSION.check(normalize(text)) is None


@given(st.text(alphabet=st.characters(), max_size=80))
def test_never_raises(text: str) -> None:
    """Any text, lone surrogates included, gets a skip reason or is admitted."""
    reason = ADMISSION.check(text)
    assert reason is None or reason.outcome is Outcome.SKIPPED


@given(st.text(max_size=60), st.sampled_from(['"', "*", "{", "}", "\\", " AND ", "title:x "]))
def test_marked_texts_are_never_admitted(text: str, mark: str) -> None:
    """Whatever stands around it, an operator keeps a text from being rewritten.

    Only quotation marks are read as no operator where a letter quotes in passing.
    """
    assume(mark != '"' or len(text.split()) < 7)
    assert ADMISSION.check(normalize(f"find {mark}shoes{mark} {text}")) is not None


def test_shouted_operators() -> None:
    """In a text all in capitals ``AND`` is a word; ``OR`` and ``NOT`` are, in a sentence."""
    assert not holds_syntax("SALT AND PEPPER MILL")
    assert not holds_syntax("THE LAMP DOES NOT WORK")
    assert holds_syntax("LAMP NOT LED")
    assert holds_syntax("lamp AND shade")


@pytest.mark.parametrize("languages", [("ru",), ("ru", "en"), ("el", "ru")])
def test_a_models_own_script_is_admitted(languages: tuple[str, ...]) -> None:
    """A model that knows Russian is given Russian."""
    assert Admission(languages=languages).check("купить кроссовки женские") is None


def test_other_languages_of_a_model() -> None:
    """English is foreign to a model of Russian alone, and German to one of English and French."""
    assert Admission(languages=["ru"]).check("red shoes for women") is Reason.LANGUAGE
    both = Admission(languages=["en", "fr"])
    assert both.check("recette de la tarte aux pommes") is None
    assert both.check("wie kann ich mein passwort ändern") is Reason.LANGUAGE


def test_limits() -> None:
    """Texts outside of the limits are left alone."""
    tight = Admission(min_chars=4, max_chars=12, max_words=2)
    assert tight.check("red") is Reason.TOO_SHORT
    assert tight.check("red shoes") is None
    assert tight.check("red running shoe") is Reason.TOO_LONG
    assert tight.check("a red shoe") is Reason.TOO_LONG


@pytest.mark.parametrize(
    "limits", [{"min_chars": 0}, {"min_chars": 9, "max_chars": 8}, {"max_words": 0}]
)
def test_contradictory_limits(limits: dict[str, int]) -> None:
    """Limits that contradict each other are told at construction."""
    with pytest.raises(ConfigurationError, match="admission"):
        Admission(**limits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "unit", ["a", "a-", "a.", "a/", "aA", "1,", "1-", "a@", "(a", "a(", "[ TO ", "a_", "select a, "]
)
def test_no_text_is_slow(unit: str) -> None:
    """Repetitions that make patterns backtrack stay far below a budget (CPU time)."""
    text = (unit * 512)[:511] + "!"
    start = time.process_time()
    ADMISSION.check(text)
    assert time.process_time() - start < 0.1


_CODE = "select from import class def insert into update set delete as not and or x a1".split()


@given(
    st.from_regex(admission._PLAIN, fullmatch=True)
    | st.lists(st.sampled_from(_CODE), min_size=1, max_size=6).map(" ".join)
)
def test_what_is_taken_for_plain_would_have_passed_every_pattern(text: str) -> None:
    if not admission._PLAIN.fullmatch(text):
        return
    assert not admission._unencodable(text)
    assert not admission._URL.search(text)
    assert not admission.holds_syntax(text)
    assert not asks_for_a_phrase(text)
    assert tokens(text)
