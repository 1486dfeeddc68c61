"""Blanks within quotations tell two searches apart, over sockets."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest

from middleware.serving.server import served_in_thread

from .conftest import app
from .running import Served, fresh, serving, until

# What is quoted, in prose that is long enough to be looked at.
PROSE = "please show me all {} that have {} written on the front side of them"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve with an engine that rewrites everything."""
    file = tmp_path_factory.mktemp("engine") / "behaviour"
    file.write_text("well")
    options = ("--engine", "faulty", "--model", str(file), "--budget-ms", "9000")
    with served_in_thread(app()) as upstream, serving(upstream, *options) as running:
        until(lambda: running.ready()[0] == 200)
        yield running


def sent(served: Served, text: str, escaped: str) -> tuple[str, str]:
    """Return where the decision came from, and the query that the upstream saw."""
    answer = served.client.get(f"/search?q={escaped}")
    assert answer.status_code == 200
    result = answer.headers["query-reformulation"]
    return result.partition("src=")[2].partition(";")[0], answer.json()["query"]


@pytest.mark.parametrize(
    "quoted",
    [
        '"blue  door"', "“blue  door”", "„blue  door“", "«blue  door»", "»blue  door«",
        "‹blue  door›", "'blue  door'", "‘blue  door’", "’blue  door’", "「blue  door」",
        "＂blue  door＂", '"blue \u00a0door"', "'the dog's  door'",
    ],
)  # fmt: skip
def test_a_phrase_with_two_blanks_is_another_text(served: Served, quoted: str) -> None:
    """Both are asked about, and what goes to the upstream has each blank that was typed."""
    things = fresh()
    wide = PROSE.format(things, quoted)
    narrow = PROSE.format(things, " ".join(quoted.split()))
    outside = wide.replace(" that", "   that").replace(" of them", "  of  them ")
    assert sent(served, wide, quote_plus(wide))[0] == "engine"
    assert sent(served, narrow, quote_plus(narrow))[0] == "engine", "not the entry of the other"
    source, query = sent(served, outside, quote(outside))
    assert source == "memo", "blanks outside are none of it"
    assert quoted in query


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("don't  want", "don't want"),
        ("the  dogs'  bones", "the dogs' bones"),
        ("l’eau  et  l’air", "l’eau et l’air"),
        ('24" or  27"  ones', '24" or 27" ones'),
        ("6' of  it", "6' of it"),
        ("the '90s  ones", "the '90s ones"),
        ("some  of\tthe", "some of the"),
        ('"a b"  and  "c d"', '"a b" and "c d"'),
    ],
)
def test_other_blanks_are_not(served: Served, one: str, other: str) -> None:
    """Apostrophes, inches and what stands between two quotations."""
    things = fresh()
    first, second = PROSE.format(things, one), PROSE.format(things, other)
    assert sent(served, first, quote(first))[0] == "engine"
    assert sent(served, second, quote_plus(second))[0] == "memo"
