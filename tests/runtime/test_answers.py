"""Engines that misbehave: the original goes on with the right reason, and little is kept."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from middleware import (
    Limits,
    Memo,
    Outcome,
    Reason,
    Reformulation,
    Reformulator,
    Refusal,
    Source,
    Truncated,
)
from middleware.runtime.scheduler import Scheduler
from middleware.testing import ManualClock, ScriptedEngine
from tests.conftest import at_most

from .conftest import Build
from .lookups import answered, distinct

pytestmark = pytest.mark.anyio

REJECTED = [
    ("warm winter jacket", "", Reason.REJECTED_EMPTY),
    ("warm winter jacket", " \n ", Reason.REJECTED_EMPTY),
    ("warm winter jacket", "...", Reason.REJECTED_EMPTY),
    ("warm winter jacket", "warm warm warm warm jacket", Reason.REJECTED_LOOP),
    (
        "warm winter jacket",
        "warm winter jacket winter jacket winter jacket",
        Reason.REJECTED_LOOP,
    ),
    ("warm winter jacket", Truncated(), Reason.REJECTED_TRUNCATED),
    ("warm winter jacket", "warm \u2047 jacket", Reason.REJECTED_UNKNOWN_TOKEN),
    ("warm winter jacket", Refusal(Reason.REJECTED_UNKNOWN_TOKEN), Reason.REJECTED_UNKNOWN_TOKEN),
    ("bike lamp 12 volt for kids", "bike lamp volt for kids", Reason.REJECTED_LOST_TERM),
    ("phone case without logo", "phone case logo", Reason.REJECTED_LOST_TERM),
    ("hotels not near the airport", "hotels near the airport", Reason.REJECTED_LOST_TERM),
    ("warm winter jacket", "cheap flights to london", Reason.REJECTED_DRIFT),
    (
        "warm winter jacket for women",
        "chaude veste pour les femmes en hiver dans la neige",
        Reason.REJECTED_LANGUAGE,
    ),
    ("tv", "a " + " ".join(f"tv{chr(97 + i)}xyz" for i in range(20)), Reason.REJECTED_LENGTH),
]


@pytest.mark.parametrize(("text", "answer", "reason"), REJECTED)
async def test_a_bad_answer_is_rejected_and_kept_for_a_short_while_only(
    build: Build, clock: ManualClock, text: str, answer: Any, reason: Reason
) -> None:
    engine = ScriptedEngine({text: answer}, clock=clock)
    reformulator = build(engine=engine, memo=Memo(rejection_ttl=60))
    found = await reformulator.reformulate(text)
    assert (found.query, found.outcome, found.reason) == (text, Outcome.FALLBACK, reason)

    await clock.advance(59)
    again = await reformulator.reformulate(text)
    assert (again.reason, again.source) == (reason, Source.MEMO)
    assert len(engine.calls) == 1
    await clock.advance(1)
    engine.script = {text: text}
    assert (await reformulator.reformulate(text)).outcome is Outcome.UNCHANGED
    assert len(engine.calls) == 2


@pytest.mark.parametrize("reason", [Reason.UNENCODABLE, Reason.TOO_LONG])
async def test_an_engine_may_refuse_a_text(
    build: Build, clock: ManualClock, reason: Reason
) -> None:
    engine = ScriptedEngine(lambda text: Refusal(reason), clock=clock)
    found = await build(engine=engine).reformulate("warm winter jacket")
    assert (found.outcome, found.reason) == (Outcome.SKIPPED, reason)


async def test_an_answer_that_only_differs_in_white_space_is_unchanged(
    build: Build, clock: ManualClock
) -> None:
    engine = ScriptedEngine(lambda text: f"  {text.replace(' ', '  ')} ", clock=clock)
    found = await build(engine=engine).reformulate("warm winter jacket")
    assert (found.outcome, found.query) == (Outcome.UNCHANGED, "warm winter jacket")


class Misbehaving(ScriptedEngine):
    """An engine that hands back, or raises, one thing for any call."""

    def __init__(self, thing: Any) -> None:
        super().__init__()
        self.thing = thing

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Any:
        self.calls.append(list(texts))
        if isinstance(self.thing, BaseException):
            raise self.thing
        return self.thing


FAULTS: list[Any] = [
    RuntimeError("no"),
    MemoryError(),
    SystemExit(1),
    KeyboardInterrupt(),
    asyncio.CancelledError(),
    StopIteration(),
    None,
    [],
    ["one", "too many"],
    "x",
    42,
    [42],
    [b"warm jacket"],
    [["warm jacket"]],
    [object()],
    iter(["warm jacket"]),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: re.sub(r" at 0x\w+", "", repr(fault)))
async def test_a_fault_of_the_engine_is_never_one_of_the_caller(
    build: Build, clock: ManualClock, fault: Any, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Misbehaving(fault)
    reformulator = build(engine=engine)
    with caplog.at_level(logging.WARNING, "querylift.runtime"):
        found = await reformulator.reformulate("warm winter jacket")
    assert (found.query, found.reason) == ("warm winter jacket", Reason.ENGINE_ERROR)
    assert found.source is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]

    engine.thing = ["warm winter jacket"]  # not kept, and the worker still lives
    again = await reformulator.reformulate("warm winter jacket")
    assert (again.outcome, again.source) == (Outcome.UNCHANGED, Source.ENGINE)


async def test_timeouts_are_not_kept(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    engine.delay = 0.2
    reformulator = build(limits=Limits(late_fill=False))
    found = await answered(clock, 0.1, reformulator.reformulate("warm winter jacket"))
    assert found.reason is Reason.TIMEOUT
    await clock.advance(1)
    assert len(reformulator.memo) == 0
    engine.delay = 0.0
    found = await reformulator.reformulate("warm winter jacket", budget=1)
    assert (found.outcome, found.source) == (Outcome.REWRITTEN, Source.ENGINE)


async def test_one_poisonous_text_does_not_spoil_the_others(
    build: Build, clock: ManualClock
) -> None:
    texts = distinct(8)

    def script(text: str) -> str | BaseException:
        return ValueError("poison") if text == texts[3] else f"lifted {text}"

    engine = ScriptedEngine(script, delay=0.01, clock=clock)
    reformulator = build(engine=engine, budget=1)
    first = asyncio.create_task(reformulator.reformulate("a first query"))
    await clock.settle()
    asked = [asyncio.create_task(reformulator.reformulate(text)) for text in texts]
    await clock.advance(0.5)
    assert first.done()
    assert engine.calls[1] == texts
    found = [task.result() for task in asked]
    assert [r.reason for r in found] == [None] * 3 + [Reason.ENGINE_ERROR] + [None] * 4
    assert [r.query for r in found[4:]] == [f"lifted {text}" for text in texts[4:]]
    assert reformulator.memo.stats().entries == 8  # the first query and the other seven


async def test_those_behind_a_poisonous_text_are_not_run_for_nobody(
    build: Build, clock: ManualClock
) -> None:
    """Each is run again by itself, unless its callers have gone meanwhile."""
    engine = ScriptedEngine(lambda text: ValueError("poison"), delay=0.03, steps=1, clock=clock)
    reformulator = build(engine=engine, budget=0.1, limits=Limits(late_fill=False))
    first = asyncio.create_task(reformulator.reformulate("a first query"))
    await clock.settle()
    asked = [asyncio.create_task(reformulator.reformulate(text)) for text in distinct(8)]
    await clock.advance(1)
    assert first.done()
    reasons = [task.result().reason for task in asked]
    assert set(reasons) == {Reason.ENGINE_ERROR, Reason.TIMEOUT}
    assert len(engine.calls) <= 2 + 3  # 30 ms each from 60 ms on, for a budget of 100 ms


# --- Anything at all ---


def rewriter(script: Callable[[str], Any]) -> Reformulator:
    return Reformulator(ScriptedEngine(script), budget=30, memo=Memo(max_entries=100))


@pytest.fixture(scope="module")
def echo() -> Any:
    with rewriter(lambda text: f"{text} please") as reformulator:
        yield reformulator


ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)


def check(found: Reformulation, text: str) -> None:
    assert found.original == text
    if found.outcome is Outcome.REWRITTEN:
        assert found.reason is None
        assert found.query != text
    else:
        assert found.query == text
    if found.outcome in {Outcome.SKIPPED, Outcome.FALLBACK}:
        assert found.reason is not None
        assert found.reason.outcome is found.outcome
    assert found.reason is not Reason.ENGINE_ERROR


@given(text=ANY_TEXT, mode=st.sampled_from(["replace", "expand", "shadow", "off"]))
@settings(max_examples=at_most(300), deadline=None)
def test_no_text_raises_or_is_a_fault(echo: Reformulator, text: str, mode: str) -> None:
    check(echo.reformulate_sync(text, mode=mode), text)


@given(
    text=st.lists(st.sampled_from("warm winter jacket not 12 volt café 日本".split()), min_size=1),
    answer=st.just(Truncated()) | ANY_TEXT,
)
@settings(
    max_examples=at_most(200),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_answer_raises_or_is_a_fault(
    adversary: tuple[Reformulator, dict[str, Any]], text: list[str], answer: str | Truncated
) -> None:
    reformulator, script = adversary
    asked = " ".join(text)
    script[asked] = answer
    check(reformulator.reformulate_sync(asked, cached=False, stored=False), asked)


@pytest.fixture(scope="module")
def adversary() -> Any:
    script: dict[str, Any] = {}
    with rewriter(script.__getitem__) as reformulator:
        yield reformulator, script


@pytest.mark.parametrize(
    "thing", [None, 5, b"warm", ["warm"], object()], ids=lambda thing: type(thing).__name__
)
async def test_what_is_no_text_passes_too(echo: Reformulator, thing: Any) -> None:
    for found in (await echo.reformulate(thing), echo.reformulate_sync(thing)):
        assert found.query is thing
        assert found.reason is Reason.ENGINE_ERROR


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Reason.EMPTY),
        ("  \n", Reason.EMPTY),
        ("a", Reason.TOO_SHORT),
        ("long " * 400, Reason.TOO_LONG),
        ('"quoted phrase" lamp', Reason.QUOTED),
        ("title:lamp", Reason.SYNTAX),
        ("lamp AND shade", Reason.SYNTAX),
        ("+lamp -shade", Reason.SYNTAX),
        ("lam*", Reason.SYNTAX),
        ("https://example.org/a", Reason.IDENTIFIER),
        ("someone@example.org", Reason.IDENTIFIER),
        ("54-QR323014", Reason.IDENTIFIER),
        ("4006381333931", Reason.IDENTIFIER),
        ("Schuhe für den Winter mit einer warmen Sohle", Reason.LANGUAGE),
        ("warm \ud800 jacket", Reason.UNENCODABLE),
    ],
)
async def test_what_admission_says_is_what_callers_hear(
    build: Build, engine: ScriptedEngine, text: str, reason: Reason
) -> None:
    reformulator = build()
    for found in (await reformulator.reformulate(text), reformulator.reformulate_sync(text)):
        assert (found.query, found.outcome, found.reason) == (text, Outcome.SKIPPED, reason)
    assert engine.calls == []
    assert len(reformulator.memo) == 0


class BrokenMemo(Memo):
    """A memo that raises whatever it is asked."""

    def get(self, key: Any, now: float, *, count: bool = True) -> Any:
        raise RuntimeError("broken memo")

    def put(self, key: Any, verdict: Any, now: float, *, left: float | None = None) -> None:
        raise RuntimeError("broken memo")


async def test_a_fault_of_the_memo_is_a_miss(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    reformulator = build(memo=BrokenMemo())
    for _ in range(2):
        found = await reformulator.reformulate("warm winter jacket")
        assert (found.outcome, found.source) == (Outcome.REWRITTEN, Source.ENGINE)
    assert "broken memo" in caplog.text


async def test_a_fault_in_admission_is_a_fallback(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    reformulator = build()

    def broken(text: str) -> None:
        raise RuntimeError("broken admission")

    monkeypatch.setattr(reformulator.policy.admission, "check", broken)
    found = await reformulator.reformulate("warm winter jacket")
    assert (found.query, found.reason) == ("warm winter jacket", Reason.ENGINE_ERROR)


async def test_a_fault_in_acceptance_is_a_fallback_and_not_kept(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    reformulator = build()

    def broken(original: str, rewrite: str, mode: object) -> None:
        raise RuntimeError("broken acceptance")

    with monkeypatch.context() as patch:
        patch.setattr(reformulator.policy.acceptance, "check", broken)
        found = await reformulator.reformulate("warm winter jacket")
        assert (found.query, found.reason) == ("warm winter jacket", Reason.ENGINE_ERROR)
    assert (await reformulator.reformulate("warm winter jacket")).source is Source.ENGINE


async def test_a_fault_at_the_desk_leaves_no_flight_that_never_runs(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    reformulator = build()

    def broken(*given: object) -> None:
        raise RuntimeError("broken lanes")

    with monkeypatch.context() as patch:
        patch.setattr(Scheduler, "submit", broken)
        found = await reformulator.reformulate("warm winter jacket")
        assert found.reason is Reason.ENGINE_ERROR
    assert reformulator.stats().flights == 0
    assert (await reformulator.reformulate("warm winter jacket")).outcome is Outcome.REWRITTEN


async def test_an_engine_may_ask_from_threads_of_its_own(build: Build, clock: ManualClock) -> None:
    """``cancelled`` tells the same on whatever thread the engine decodes."""
    asked: list[bool] = []

    class Threaded(ScriptedEngine):
        def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Any:
            thread = threading.Thread(target=lambda: asked.append(cancelled(0)))
            thread.start()
            thread.join()
            return super().generate(texts, cancelled)

    engine = Threaded(lambda text: f"lifted {text}", clock=clock)
    found = await build(engine=engine).reformulate("warm winter jacket")
    assert (found.outcome, asked) == (Outcome.REWRITTEN, [False])
