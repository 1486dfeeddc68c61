"""The proxy on the machine's own clock, its server and its upstream in threads of their own.

What is exact here is tested on a manual clock elsewhere; these tests leave room for a busy machine.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from time import perf_counter
from typing import Any
from urllib.parse import quote_plus, urlsplit

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from middleware import Answer, Cancelled, Limits, Reason, Reformulator, ReverseProxy, SearchRule
from middleware.serving.server import served_in_thread
from tests.upstream.wire import exchange, get, split

from .driving import RESULT, parsed, until

pytestmark = pytest.mark.anyio

BUDGET = 0.1
# Seconds that a request may lose to a busy machine: two servers, 200 clients and the engine
# are in this one process.
ROOM = 0.6


@dataclass
class Steady:
    """An engine that takes ``seconds`` a call in ten steps, and gives up what nobody wants."""

    seconds: float
    calls: list[list[str]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    name: str = "steady"
    revision: str = "1"

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> list[Answer]:
        """Put ``lifted`` before each text."""
        self.calls.append(list(texts))
        cut: set[int] = set()
        for _ in range(10):
            self.stopped.wait(self.seconds / 10)
            cut |= {i for i in range(len(texts)) if i not in cut and cancelled(i)}
            if len(cut) == len(texts):
                break
        return [Cancelled() if i in cut else f"lifted {text}" for i, text in enumerate(texts)]


@contextmanager
def running(engine: Steady) -> Iterator[tuple[int, Reformulator, list[str]]]:
    """Run proxy and upstream; gives the port, the reformulator, and the queries as they arrive."""
    arrived: list[str] = []

    async def search(request: Request) -> JSONResponse:
        arrived.append(request.query_params["q"])
        return JSONResponse({"query": arrived[-1]})

    reformulator = Reformulator(engine, budget=BUDGET)
    with served_in_thread(Starlette(routes=[Route("/search", search)])) as backend:
        proxy = ReverseProxy(
            backend,
            reformulator=reformulator,
            rules=[SearchRule("/search")],
            trust_control=True,
        )
        with served_in_thread(proxy) as url:
            try:
                yield urlsplit(url).port or 0, reformulator, arrived
            finally:
                engine.stopped.set()


@dataclass(frozen=True)
class Answered:
    """A search's answer: the item of the header, the query that was sent, and seconds it took."""

    outcome: str
    parameters: dict[str, Any]
    body: bytes
    seconds: float

    @property
    def word(self) -> str:
        return str(self.parameters.get("reason") or self.parameters.get("src"))


async def ask(port: int, text: str, *lines: bytes) -> Answered:
    started = perf_counter()
    target = b"/search?q=" + quote_plus(text).encode()
    status, headers, body = split(await exchange(port, get(target, *lines)))
    assert status == 200
    outcome, parameters = parsed(dict(headers)[RESULT])
    return Answered(outcome, parameters, body, perf_counter() - started)


async def test_slower_than_the_budget_then_from_the_memo() -> None:
    engine = Steady(0.4)
    with running(engine) as (port, reformulator, arrived):
        first = await ask(port, "red lamp")
        assert (first.outcome, first.word) == ("fallback", Reason.TIMEOUT)
        assert BUDGET - 0.001 <= first.parameters["dur"] / 1000 < BUDGET + ROOM
        assert first.seconds < BUDGET + ROOM
        await until(lambda: reformulator.memo.stats().entries)
        second = await ask(port, "red lamp")
        assert (second.outcome, second.word) == ("rewritten", "memo")
        assert second.seconds < ROOM
        assert arrived == ["red lamp", "lifted red lamp"]
    assert engine.calls == [["red lamp"]]


async def test_fifty_equal_at_once_are_one_engine_call() -> None:
    engine = Steady(0.05)
    with running(engine) as (port, _, arrived):
        line = b"Query-Reformulation-Control: budget=5000"
        answers = await asyncio.gather(*[ask(port, "red lamp", line) for _ in range(50)])
        assert engine.calls == [["red lamp"]]
        assert arrived == ["lifted red lamp"] * 50
        assert {answer.outcome for answer in answers} == {"rewritten"}
        assert {answer.word for answer in answers} <= {"engine", "shared", "memo"}


@pytest.mark.parametrize("known", [True, False])
async def test_a_burst_that_the_engine_cannot_serve(known: bool) -> None:
    """200 at once at an engine of 300 ms: nobody waits past the budget, and nothing is left."""
    kinds = "red green blue small large heavy light quiet strong cheap".split()
    things = "garden kitchen bicycle window table chair mirror blanket pillow basket".split()
    texts = [f"{k} {t} {w}" for w, k, t in product(("lamp", "shop"), kinds, things)]
    assert len(set(texts)) == 200
    engine, limits = Steady(0.3), Limits()
    with running(engine) as (port, reformulator, arrived):
        # The code is warm then, and with the first also what the engine takes is known.
        await ask(port, "warm up" if known else '"warm up"')
        answers = await asyncio.gather(*[ask(port, text) for text in texts])
        ended = perf_counter()
        stats = reformulator.stats()
        assert stats.foreground <= limits.foreground
        assert stats.background <= limits.background

        assert {answer.outcome for answer in answers} == {"fallback"}
        told = Counter(answer.word for answer in answers)
        assert set(told) <= {Reason.OVERLOADED, Reason.PREDICTED_LATE, Reason.TIMEOUT}
        assert told[Reason.OVERLOADED] + told[Reason.PREDICTED_LATE] > 100, "most, at once"
        waits = sorted(answer.parameters["dur"] / 1000 for answer in answers)
        assert waits[-1] < BUDGET + ROOM
        assert waits[100] < BUDGET / 2, "who is turned away does not wait"
        assert sorted(arrived[1:]) == sorted(texts), "each original once, none lost"

        calls = len(engine.calls)
        patient = b"Query-Reformulation-Control: budget=5000"
        after = await ask(port, "quiet reading corner", patient)
        assert (after.outcome, after.word) == ("rewritten", "engine")
        # What runs is given up for it within a step, and nothing dead is before it.
        assert perf_counter() - ended < engine.seconds + 2 * engine.seconds / 10 + ROOM
        assert len(engine.calls) - calls <= 2


async def test_an_engine_that_hangs_costs_the_budget_and_no_more() -> None:
    engine = Steady(3600.0)
    with running(engine) as (port, _, arrived):
        answers = await asyncio.gather(*[ask(port, f"red lamp {kind}") for kind in "abcdefgh"])
        assert {answer.outcome for answer in answers} == {"fallback"}
        assert max(answer.seconds for answer in answers) < BUDGET + ROOM
        assert len(arrived) == 8
        assert not [query for query in arrived if "lifted" in query]
