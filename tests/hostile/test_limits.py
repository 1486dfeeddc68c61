"""What lies within a bound is searched, and what lies beyond one is passed on as it came."""

from __future__ import annotations

import pytest

from middleware import Admission, Reason, Reformulator, SearchRequest
from middleware.core.text import stacks_marks
from middleware.dialects.base import MAX_TEXT
from middleware.dialects.jsonspans import MAX_VALUES
from middleware.dialects.registry import load_dialect
from middleware.dialects.urlencoded import MAX_PARAMS
from middleware.testing import ScriptedEngine
from tests.hostile.worst import FORM, JSON, LINES

_SEARCH = '{}\n{"query":{"match":{"a":"red lamp"}}}\n'
_MANY = "/1/indexes/*/queries"
_MATCH = '{"query":{"match":{"a":"#"}}}'


def skips(name: str, path: str, body: str, kind: str = JSON) -> list[Reason | None]:
    """Return why each text that a dialect finds is skipped."""
    options = {"pointers": ["/query"]} if name == "plain" else {}
    request = SearchRequest("POST", path, b"", ((b"content-type", kind.encode()),), body.encode())
    return [span.skip for span in load_dialect(name, **options).spans(request)]


@pytest.mark.parametrize("unit", ["a", "é", "水", "\\n", "😀", " a", "%20", "%C3%A9", "\\u00e9"])
@pytest.mark.parametrize(
    ("name", "path", "kind", "body"),
    [
        ("plain", "/s", FORM, "q=#"),
        ("plain", "/s", JSON, '{"query":"#"}'),
        ("meilisearch", "/multi-search", JSON, '{"queries":[{"q":"#"}]}'),
        ("elasticsearch", "/_search", JSON, _MATCH),
    ],
)
def test_a_text_is_read_up_to_its_bound(
    name: str, path: str, kind: str, body: str, unit: str
) -> None:
    """The bound is in bytes as they came."""
    number = (MAX_TEXT - 2) // len(unit.encode())
    [skip] = skips(name, path, body.replace("#", unit * number), kind)
    assert skip is not Reason.TOO_LONG
    assert skips(name, path, body.replace("#", unit * (number + 3)), kind) == [Reason.TOO_LONG]


@pytest.mark.parametrize(
    ("name", "path", "kind", "body", "unit", "within", "beyond"),
    [
        ("plain", "/s", FORM, "#q=a", "a=&", MAX_PARAMS - 1, MAX_PARAMS),
        ("plain", "/s", FORM, "q=a#", "&", MAX_PARAMS - 1, MAX_PARAMS),
        ("solr", "/solr/c/select", FORM, "q=a#", "&b=", MAX_PARAMS - 1, MAX_PARAMS),
        ("groonga", "/d/select", FORM, "query=a#", "&b", MAX_PARAMS - 1, MAX_PARAMS),
        ("elasticsearch", "/_msearch", LINES, "#", _SEARCH, 128, 129),
        ("elasticsearch", "/_msearch", LINES, f"#{_SEARCH}", "{}\n{}\n", 127, 128),
        (
            "elasticsearch",
            "/_search",
            JSON,
            '{"a":[#1],"query":{"match":{"a":"b"}}}',
            "1,",
            19_900,
            20_000,
        ),
        ("solr", "/solr/c/select", JSON, '{"query":"a","b":[#1]}', "[],", 9_900, 10_000),
        ("plain", "/s", JSON, '{"query":"a"#}', ',"b":1', 998, MAX_VALUES),
        ("typesense", "/multi_search", JSON, '{"searches":[{"q":"a"}#]}', ',"b"', 990, MAX_VALUES),
        ("meilisearch", "/multi-search", JSON, '{"queries":[#{"q":"a"}]}', '{"b":1},', 490, 500),
        ("algolia", _MANY, JSON, '{"requests":[{"params":"query=a#"}]}', "&b=", 990, 1_000),
        ("algolia", _MANY, JSON, '{"requests":[{"query":"a"},{"b":"#"}]}', "&", 2_000, 2_001),
        ("algolia", _MANY, JSON, '{"requests":[{"query":"a"},{"b":"#"}]}', "\\n", 2_000, 2_001),
    ],
)
def test_a_request_is_searched_up_to_its_bound(
    name: str, path: str, kind: str, body: str, unit: str, within: int, beyond: int
) -> None:
    """One with more of anything goes on as it came."""
    assert skips(name, path, body.replace("#", unit * within), kind)
    assert skips(name, path, body.replace("#", unit * beyond), kind) == []


@pytest.mark.parametrize(
    "text",
    [
        "e\u0301 a\u0327\u0301 lamp", "Tiếng Việt", "हिन्दी में खोज", "ภาษาไทยที่นี่",
        "שָׁלוֹם עֲלֵיכֶם", "a" + "\u0301" * 30, ("o" + "\u0308\u0323" * 15) * 5, "각" * 100,
        "\u1112\u1161\u11ab" * 100, "المَكْتَبَة", "ཨོཾ་མ་ཎི་པདྨེ་ཧཱུྃ",
    ],
)  # fmt: skip
def test_marks_of_languages_are_no_stacks(text: str) -> None:
    assert not stacks_marks(text)
    assert Admission().check_raw(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "a" + "\u0301" * 31, "\u0316\u0301" * 16, "lamp " * 20 + "\u0327" * 31,
        "é" + "\u0f71\u0f72" * 16,
        "\u20d0" * 40 + "a", "a\u0344" * 3 + "\u0344" * 31, "\u05b0\u05b1" * 100, "\u3099" * 33,
        "\ufe20" * 31, "😀" + "\U0001d165\U0001d16d" * 16, "x" * 400 + "\u0483\u0301" * 60,
    ],
)  # fmt: skip
def test_stacked_marks_are_no_text(text: str) -> None:
    result = Reformulator(ScriptedEngine()).look_up(text)
    assert getattr(result, "reason", None) is Reason.UNENCODABLE


@pytest.mark.parametrize(
    "text", ["x" * 2049, " " * 3000, "é" * 2049, "a\u0301" * 2000, "\n" * 10**6]
)
def test_a_long_text_is_not_normalized(text: str) -> None:
    result = Reformulator(ScriptedEngine()).look_up(text)
    assert getattr(result, "reason", None) is Reason.TOO_LONG
    assert getattr(result, "query", None) == text
