"""A bounded run with requests that are new each time; and that the run would tell."""

from __future__ import annotations

import dataclasses
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest

from .cases import JSON, Case
from .judge import wrongs
from .mutations import make
from .run import fuzz, rules
from .wire import Answered, Record

COUNT = 600


@pytest.mark.anyio
async def test_nothing_goes_wrong_that_the_upstream_did_not_do(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """No error, byte, hop or request too many; the seed to repeat it with is printed."""
    seed = random.SystemRandom().randrange(2**32)
    with capsys.disabled():
        print(f"\npython -m tests.fuzz --count {COUNT} --seed {seed}")
    caplog.set_level(logging.CRITICAL)  # servers warn of each broken request
    figures = await fuzz(seed, COUNT)
    assert figures.violations == []
    assert figures.requests == COUNT
    assert figures.arrived > COUNT / 2
    assert (
        sum(count for said, count in figures.outcomes.items() if "rewritten" in said) > COUNT / 20
    )


def test_a_number_gives_the_same_request_again() -> None:
    """What is found can be looked at."""
    for number in range(50):
        assert make(7, number).wire(number) == make(7, number).wire(number)
    assert len({make(7, number).target for number in range(50)}) > 20


CASE = Case(
    b"POST", b"/search?q=red+lamp&b=%zz", [JSON, (b"X-Odd", b"\xe9")], b'{"query": "red hat"}'
)
ANSWER = Answered(200, [(b"query-reformulation", b"rewritten;src=memo;dur=0.1")], b"ok", False)
RECORD = Record(
    b"POST",
    b"/search?q=lifted+red+lamp&b=%zz",
    [JSON, (b"x-odd", b"\xe9"), (b"host", b"upstream")],
    b'{"query": "lifted red hat"}',
    200,
    b"ok",
)


def told(
    record: Record | None = RECORD, answer: Answered | None = ANSWER, case: Case = CASE
) -> list[str]:
    """Return what is wrong."""
    return list(wrongs(case, answer, record, rules(), expands=False))


def test_a_right_answer_is_not_wrong() -> None:
    """Texts and hops may change."""
    assert told() == []


CONDITION = (b"If-None-Match", b'"x"')
CONDITIONED = dataclasses.replace(CASE, headers=[*CASE.headers, CONDITION])
PASSED = dataclasses.replace(
    RECORD, headers=[*RECORD.headers, CONDITION], validators=frozenset((b"etag",))
)
UNCHANGED = dataclasses.replace(PASSED, target=CASE.target, body=CASE.body or b"")
TAGGED = dataclasses.replace(ANSWER, headers=[*ANSWER.headers, (b"etag", b"x")])
STAYED = dataclasses.replace(
    ANSWER, headers=[(b"query-reformulation", b"skipped;reason=syntax"), (b"etag", b"x")]
)
TWICE = dataclasses.replace(CASE, target=b"/search?q=red+lamp", body=b'{"query": "red lamp"}')


def test_conditions_of_a_search_that_stays_may_go_both_ways() -> None:
    """Or neither way; and those of other requests go."""
    plain = [line for line in STAYED.headers if line[0] == b"etag"]
    assert told(UNCHANGED, STAYED, CONDITIONED) == []
    none = dataclasses.replace(UNCHANGED, headers=RECORD.headers)
    assert told(none, dataclasses.replace(STAYED, headers=STAYED.headers[:1]), CONDITIONED) == []
    assert told(UNCHANGED, dataclasses.replace(STAYED, headers=plain), CONDITIONED) == []


def test_an_early_answer_says_nothing_about_the_body() -> None:
    """Nobody has read it."""
    early = dataclasses.replace(RECORD, body=b"", early=True)
    assert told(early) == []
    assert told(dataclasses.replace(early, target=b"/search?q=lifted&b=%zz&c")) != []


GRAMMAR: dict[str, Callable[[Case], object]] = {
    "upgrades": lambda case: any(name.lower() == b"upgrade" for name, _ in case.headers),
    "upgrades with bodies": lambda case: (
        case.body and any(name.lower() == b"upgrade" for name, _ in case.headers)
    ),
    "early answers": lambda case: b"early" in case.answer and case.body,
    "conditions": lambda case: any(name.lower().startswith(b"if-") for name, _ in case.headers),
    "ranges": lambda case: any(name.lower() == b"range" for name, _ in case.headers),
    "not modified": lambda case: case.answer.startswith(b"304"),
    "filters of Solr": lambda case: b"fq=%7B%21" in case.target + (case.body or b""),
    "filters of Elasticsearch": lambda case: b'"must_not"' in (case.body or b""),
    "filters after the search": lambda case: b'"post_filter"' in (case.body or b""),
    "later pages": lambda case: b"page=2" in case.target or b"start=10" in case.target,
}


@pytest.mark.parametrize("kind", GRAMMAR)
def test_the_grammar_has(kind: str) -> None:
    """Each kind, a thousand times in 200,000 requests."""
    count = sum(bool(GRAMMAR[kind](make(1, number))) for number in range(4000))
    assert count >= 20


CHANGES: dict[str, Callable[[], list[str]]] = {
    "method": lambda: told(dataclasses.replace(RECORD, method=b"GET")),
    "a byte of the target": lambda: told(
        dataclasses.replace(RECORD, target=b"/search?q=lifted+red+lamp&b=%25zz")
    ),
    "a byte of the body": lambda: told(dataclasses.replace(RECORD, body=b'{"query":"lifted x"}')),
    "a header": lambda: told(dataclasses.replace(RECORD, headers=[JSON, (b"x-odd", b"e")])),
    "a header too many": lambda: told(
        dataclasses.replace(RECORD, headers=[*RECORD.headers, (b"cookie", b"a=b")])
    ),
    "a second time": lambda: told(dataclasses.replace(RECORD, times=2)),
    "another status": lambda: told(dataclasses.replace(RECORD, status=201)),
    "another answer": lambda: told(dataclasses.replace(RECORD, answered=b"ko")),
    "no answer": lambda: told(answer=None),
    "an error of its own": lambda: told(None, dataclasses.replace(ANSWER, status=502)),
    "a refusal": lambda: told(None, dataclasses.replace(ANSWER, status=400)),
    "an unchanged request that changed": lambda: told(
        answer=dataclasses.replace(ANSWER, headers=[])
    ),
    "two results": lambda: told(answer=dataclasses.replace(ANSWER, headers=ANSWER.headers * 2)),
    "conditions of a rewritten search": lambda: told(PASSED, case=CONDITIONED),
    "validators of a rewritten search": lambda: told(
        dataclasses.replace(RECORD, validators=frozenset((b"etag",))), TAGGED
    ),
    "conditions without validators": lambda: told(
        UNCHANGED, dataclasses.replace(STAYED, headers=STAYED.headers[:1]), CONDITIONED
    ),
    "validators that are lost": lambda: told(
        UNCHANGED, dataclasses.replace(ANSWER, headers=[]), CONDITIONED
    ),
    "one place of two": lambda: told(
        dataclasses.replace(RECORD, target=b"/search?q=lifted+red+lamp", body=TWICE.body or b""),
        case=TWICE,
    ),
    "an order": lambda: told(
        dataclasses.replace(RECORD, target=b"/i/_delete_by_query?q=lifted+red+lamp"),
        case=dataclasses.replace(CASE, target=b"/i/_delete_by_query?q=red+lamp"),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_wrong_is_told(name: str) -> None:
    """Each kind of fault on its own."""
    assert CHANGES[name]() != []


def test_what_a_server_may_refuse() -> None:
    """Broken HTTP may be refused, and answered by closing; never with a fault of the proxy's."""
    broken: Any = dataclasses.replace(CASE, target=b"/a b")
    assert told(None, None, broken) == []
    assert told(None, dataclasses.replace(ANSWER, status=400), broken) == []
    assert told(None, dataclasses.replace(ANSWER, status=500), broken) != []
