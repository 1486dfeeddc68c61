"""A bounded run with requests that are new each time; and that the run would tell."""

from __future__ import annotations

import dataclasses
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest

from .cases import JSON, Case
from .mutations import make
from .run import fuzz, rules, wrongs
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
