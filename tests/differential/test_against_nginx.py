"""What nginx does with the same bytes, in both directions: all differences are listed."""

from __future__ import annotations

from collections import Counter

import pytest

from .both import Both, run_both
from .cases import Case, Plan, answer, head
from .compare import Difference, compare, known, lines_of, parse_answers
from .running import nginx_program
from .table import ANSWERS, REQUESTS
from .wire import LAST, Arrived

KINDS = list(dict.fromkeys(case.kind for case in REQUESTS + ANSWERS))
LISTED = known()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Both]:
    """Send all cases through both, once."""
    return run_both(nginx_program(), REQUESTS + ANSWERS, tmp_path_factory.mktemp("nginx"))


@pytest.mark.parametrize("kind", KINDS)
def test_they_differ_where_it_is_listed_and_nowhere_else(kind: str, found: list[Both]) -> None:
    """``python -m tests.differential`` prints what a new difference is listed as."""
    differ: dict[str, Difference] = {}
    for each in found:
        difference = compare(each.case, each.ours, each.nginx)
        if each.case.kind == kind and difference is not None:
            differ[each.case.name] = difference
    listed = {name: entry for (of, name), entry in LISTED.items() if of == kind}
    assert {name: each.sides for name, each in differ.items()} == {
        name: each.sides for name, each in listed.items()
    }


def test_nothing_hangs(found: list[Both]) -> None:
    """Every client gets an answer, or the end of its connection."""
    assert [each.case.name for each in found if "hangs" in each.ours] == []


def test_the_table_is_large_and_each_difference_has_its_reason() -> None:
    """300 requests and 100 answers, each under a name of its own."""
    names = Counter((case.kind, case.name) for case in REQUESTS + ANSWERS)
    assert set(names.values()) == {1}
    assert len(REQUESTS) >= 300
    assert len(ANSWERS) >= 100
    assert set(LISTED) <= set(names)
    assert [key for key, entry in LISTED.items() if len(entry.why.split()) < 6] == []


CASE = Case((head(),))
ARRIVED = [Arrived(b"GET", b"/x", ((b"host", b"a"), (b"x-a", b"1")), b"")]
OK = answer(b"Content-Length: 2", body=b"ok")
KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(LAST), LAST)
SAME = lines_of(CASE, ARRIVED, OK + KEPT)


def test_what_each_proxy_writes_for_itself_is_no_difference() -> None:
    """The framing, the address of the upstream, the time."""
    own = [Arrived(b"GET", b"/x", ((b"x-a", b"1"), (b"cdn-loop", b"q"), (b"host", b"b")), b"")]
    chunks = answer(b"Transfer-Encoding: chunked", b"Date: now", body=b"2\r\nok\r\n0\r\n\r\n")
    assert compare(CASE, SAME, lines_of(CASE, own, chunks + KEPT)) is None


OTHERS: dict[str, list[str]] = {
    "nothing arrived": lines_of(CASE, [], OK + KEPT),
    "two arrived": lines_of(CASE, ARRIVED * 2, OK + KEPT),
    "method": lines_of(CASE, [Arrived(b"PUT", b"/x", ARRIVED[0].lines, b"")], OK + KEPT),
    "target": lines_of(CASE, [Arrived(b"GET", b"/x?", ARRIVED[0].lines, b"")], OK + KEPT),
    "body": lines_of(CASE, [Arrived(b"GET", b"/x", ARRIVED[0].lines, b"x")], OK + KEPT),
    "header": lines_of(CASE, [Arrived(b"GET", b"/x", (), b"")], OK + KEPT),
    "status": lines_of(CASE, ARRIVED, OK.replace(b"200", b"201") + KEPT),
    "answer's body": lines_of(CASE, ARRIVED, OK.replace(b"ok", b"no") + KEPT),
    "answer's header": lines_of(CASE, ARRIVED, OK.replace(b"OK\r\n", b"OK\r\nX-A: 1\r\n") + KEPT),
    "answer is cut off": lines_of(CASE, ARRIVED, OK[:-1]),
    "answer of its own": lines_of(
        CASE, ARRIVED, b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nok" + KEPT
    ),
    "two answers": lines_of(CASE, ARRIVED, OK * 2 + KEPT),
    "no answer": lines_of(CASE, ARRIVED, KEPT),
    "nothing": lines_of(CASE, ARRIVED, b""),
    "no HTTP": lines_of(CASE, ARRIVED, b"garbage" + OK),
    "closed": lines_of(CASE, ARRIVED, OK),
    "bytes after the last": lines_of(CASE, ARRIVED, OK + KEPT + b"x"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_each_kind_of_difference_is_told(name: str) -> None:
    """Each on its own."""
    assert compare(CASE, SAME, OTHERS[name]) is not None


def test_lines_of_one_name_keep_their_order() -> None:
    """Servers differ in which one they read."""
    first = [Arrived(b"GET", b"/x", ((b"x-a", b"1"), (b"b", b"2"), (b"x-a", b"3")), b"")]
    second = [Arrived(b"GET", b"/x", ((b"b", b"2"), (b"x-a", b"1"), (b"x-a", b"3")), b"")]
    assert lines_of(CASE, first, OK) == lines_of(CASE, second, OK)
    third = [Arrived(b"GET", b"/x", ((b"b", b"2"), (b"x-a", b"3"), (b"x-a", b"1")), b"")]
    assert lines_of(CASE, first, OK) != lines_of(CASE, third, OK)


def test_many_values_are_told_apart_by_their_checksum() -> None:
    """A list of differences has short lines."""
    same = [Arrived(b"GET", b"/x", (), b"x" * 1000)]
    other = [Arrived(b"GET", b"/x", (), b"x" * 999 + b"y")]
    difference = compare(CASE, lines_of(CASE, same, OK), lines_of(CASE, other, OK))
    assert difference is not None
    assert all(len(line) < 100 for side in difference.sides for line in side)


def test_answers_to_head_have_no_body() -> None:
    """Whatever length they tell."""
    told = answer(b"Content-Length: 9")
    assert [each.body for each in parse_answers(told + OK, frozenset({0}))] == [b"", b"ok"]


def test_of_a_case_that_varies_all_that_ours_comes_to_is_listed() -> None:
    """What nginx does is left open."""
    case = Case((head(),), Plan(), varies=True)
    assert compare(case, ["a"], ["a"]) == compare(case, ["a"], ["b"]) == Difference(("a",), ())
