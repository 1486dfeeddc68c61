"""The decorator: every kind of handler, every way of passing the text, and what stays of it."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from middleware import (
    ConfigurationError,
    Mode,
    Reason,
    Reformulation,
    Reformulator,
    Source,
    reformulated,
)
from middleware.testing import ManualClock, ScriptedEngine

from .conftest import Build

pytestmark = pytest.mark.anyio

TEXT, LIFTED = "red lamp", "lifted red lamp"


async def settle(value: Any) -> Any:
    """Await what has to be awaited, and collect what is a stream."""
    if inspect.isasyncgen(value):
        return [item async for item in value]
    if inspect.isgenerator(value):
        return await asyncio.to_thread(list, value)
    return await value if inspect.isawaitable(value) else value


def handlers(reformulator: Reformulator) -> dict[str, tuple[Any, Any]]:
    """Return handlers of all kinds that give their arguments back, with the kind's own check."""
    mark = reformulated(reformulator)

    @mark
    def function(query: str = TEXT, limit: int = 10) -> Any:
        return query, limit

    @mark
    async def coroutine(query: str = TEXT, limit: int = 10) -> Any:
        return query, limit

    @mark
    def generator(query: str = TEXT, limit: int = 10) -> Any:
        yield from (query, limit)

    @mark
    async def stream(query: str = TEXT, limit: int = 10) -> Any:
        yield query
        yield limit

    class Service:
        @mark
        def method(self, query: str = TEXT, limit: int = 10) -> Any:
            return query, limit

        @mark
        async def slow_method(self, query: str = TEXT, limit: int = 10) -> Any:
            return query, limit

        @classmethod
        @mark
        def of_class(cls, query: str = TEXT, limit: int = 10) -> Any:
            assert cls is Service
            return query, limit

        @mark
        @classmethod
        async def outside_of_class(cls, query: str = TEXT, limit: int = 10) -> Any:
            assert cls is Service
            return query, limit

        @staticmethod
        @mark
        async def static(query: str = TEXT, limit: int = 10) -> Any:
            return query, limit

        @mark
        @staticmethod
        def outside_static(query: str = TEXT, limit: int = 10) -> Any:
            return query, limit

        def __call__(self, query: str = TEXT, limit: int = 10) -> Any:
            return query, limit

    class Slow:
        async def __call__(self, query: str = TEXT, limit: int = 10) -> Any:
            return query, limit

    async def more(first: str, query: str = TEXT, limit: int = 10) -> Any:
        assert first == "bound"
        return query, limit

    service = Service()
    return {
        "function": (function, inspect.isfunction),
        "coroutine": (coroutine, inspect.iscoroutinefunction),
        "generator": (generator, inspect.isgeneratorfunction),
        "stream": (stream, inspect.isasyncgenfunction),
        "method": (service.method, inspect.ismethod),
        "slow method": (service.slow_method, inspect.iscoroutinefunction),
        "class method": (service.of_class, inspect.ismethod),
        "class method inside": (Service.outside_of_class, inspect.iscoroutinefunction),
        "static method": (service.static, inspect.iscoroutinefunction),
        "static method inside": (service.outside_static, inspect.isfunction),
        "object": (mark(service), inspect.isfunction),
        "object with a coroutine": (mark(Slow()), inspect.iscoroutinefunction),
        "partial": (mark(functools.partial(more, "bound")), inspect.iscoroutinefunction),
    }


KINDS = [*handlers(Reformulator(ScriptedEngine()))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("args", "kwargs", "limit"),
    [
        ((TEXT,), {}, 10),
        ((TEXT, 3), {}, 3),
        ((), {"query": TEXT}, 10),
        ((), {"limit": 3, "query": TEXT}, 3),
        ((), {"limit": 3}, 3),
        ((), {}, 10),
    ],
)
async def test_every_kind_however_the_text_is_passed(
    reformulator: Reformulator, kind: str, args: tuple[Any, ...], kwargs: Any, limit: int
) -> None:
    handler, is_kind = handlers(reformulator)[kind]
    assert is_kind(handler), "a framework takes it for what it was"
    called = functools.partial(handler, *args, **kwargs)
    plain = not (inspect.iscoroutinefunction(handler) or inspect.isasyncgenfunction(handler))
    result = await settle(await asyncio.to_thread(called) if plain else called())
    assert tuple(result) == (LIFTED, limit)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_signature_is_kept(reformulator: Reformulator, kind: str) -> None:
    handler, _ = handlers(reformulator)[kind]
    assert str(inspect.signature(handler)) == (
        "(query: 'str' = 'red lamp', limit: 'int' = 10) -> 'Any'"
    )
    with pytest.raises(TypeError):
        await settle(handler(TEXT, 1, 2))
    with pytest.raises(TypeError):
        await settle(handler(unknown=1))


@pytest.mark.parametrize("value", [None, 3, b"red lamp", ["red lamp"], ("red lamp",)])
async def test_what_is_no_text_goes_on_as_it_is(
    reformulator: Reformulator, engine: ScriptedEngine, value: Any
) -> None:
    @reformulated(reformulator)
    async def search(query: Any, result: Reformulation = None) -> Any:  # type: ignore[assignment]
        return query, result

    query, result = await search(value)
    assert query is value
    assert (result.query, result.reason) == ("", Reason.NO_TEXT), "there is always a decision"
    assert result.looked_in == "the argument query"
    assert not engine.calls


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_with_what_is_no_text(
    reformulator: Reformulator, engine: ScriptedEngine, kind: str
) -> None:
    handler, _ = handlers(reformulator)[kind]
    assert tuple(await settle(handler(None))) == (None, 10)
    assert not engine.calls


async def test_parameters_of_all_kinds_beside_it(reformulator: Reformulator) -> None:
    @reformulated(reformulator, param="text")
    async def search(
        index: str, /, text: str, *rest: int, limit: int = 5, **filters: str
    ) -> dict[str, Any]:
        return dict(locals())

    assert await search("i", TEXT, 1, 2, limit=3, colour="red", text_="x", index="y") == {
        "index": "i",
        "text": LIFTED,
        "rest": (1, 2),
        "limit": 3,
        "filters": {"colour": "red", "text_": "x", "index": "y"},
    }
    assert (await search("i", text=TEXT))["text"] == LIFTED

    @reformulated(reformulator)
    def only(query: str, /) -> str:
        return query

    @reformulated(reformulator)
    def named(*, query: str) -> str:
        return query

    assert await asyncio.to_thread(only, TEXT) == LIFTED
    assert await asyncio.to_thread(lambda: named(query=TEXT)) == LIFTED
    with pytest.raises(TypeError):
        only(query=TEXT)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        named(TEXT)  # type: ignore[call-arg]


async def test_a_mutable_default_is_the_handlers_own(reformulator: Reformulator) -> None:
    """Nothing is passed that the caller did not pass, but for the text."""

    @reformulated(reformulator)
    async def search(query: str = "x", seen: list[str] = []) -> list[str]:  # noqa: B006
        seen.append(query)
        return seen

    await search("red lamp")
    assert await search() == [LIFTED, "x"]


# --- The decision as an argument ---


async def test_what_a_handler_raises_is_its_own(reformulator: Reformulator) -> None:
    @reformulated(reformulator)
    async def search(query: str) -> str:
        raise LookupError(query)

    with pytest.raises(LookupError, match=LIFTED):
        await search(TEXT)


async def test_options_are_passed_on(
    build: Build, clock: ManualClock, engine: ScriptedEngine
) -> None:
    reformulator = build(engine=ScriptedEngine({"garden lamp": "outdoor lamp"}, clock=clock))

    @reformulated(reformulator, mode="expand", scope="tenant")
    async def search(query: str) -> str:
        return query

    assert await search("garden lamp") == "garden lamp outdoor"
    shared = await reformulator.reformulate("garden lamp", mode=Mode.EXPAND, scope="tenant")
    assert shared.source is Source.MEMO
    other = await reformulator.reformulate("garden lamp", mode=Mode.EXPAND)
    assert other.source is Source.ENGINE

    engine.delay = 10.0

    @reformulated(build(), budget=0.02)
    async def hasty(query: str, *, decision: Reformulation | None = None) -> Any:
        return decision

    task = asyncio.ensure_future(hasty(TEXT))
    await clock.advance(0.02)
    decision = await asyncio.wait_for(task, 5)
    assert decision.reason is Reason.TIMEOUT
    assert decision.timings.total == pytest.approx(0.02)


def test_a_handler_without_the_parameter_is_told_at_once(reformulator: Reformulator) -> None:
    def search(text: str, *query: str) -> None: ...

    with pytest.raises(ConfigurationError, match=r"search has no parameter 'q' .*\(it has: text\)"):
        reformulated(reformulator, param="q")(search)
    with pytest.raises(ConfigurationError, match="'query'"):
        reformulated(reformulator)(search)

    def decision_only(*, query: Reformulation) -> None: ...

    with pytest.raises(ConfigurationError, match="'query'"):
        reformulated(reformulator)(decision_only)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "louder"}, "mode 'louder'"),
        ({"budget": 0}, "budget"),
        ({"budget": -0.1}, "budget"),
        ({"budget": 100}, "0.1 is 100 ms"),
        ({"budget": float("nan")}, "budget"),
    ],
)
def test_wrong_options_are_told_at_once(
    reformulator: Reformulator, options: Any, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        reformulated(reformulator, **options)


# --- Types: checked by mypy, which refuses an ignore that is not needed ---


async def test_types_hold(reformulator: Reformulator) -> None:
    @reformulated(reformulator)
    def count(query: str, limit: int = 3) -> int:
        return len(query) + limit

    @reformulated(reformulator)
    async def words(query: str) -> list[str]:
        return query.split()

    @reformulated(reformulator)
    async def letters(query: str) -> AsyncIterator[str]:
        for letter in query:
            yield letter

    class Service:
        @reformulated(reformulator)
        def letters(self, query: str) -> Iterator[str]:
            yield from query

        @classmethod
        @reformulated(reformulator)
        def length(cls, query: str) -> int:
            return len(query)

    number: int = await asyncio.to_thread(count, "red lamp", 2)
    assert number == len(LIFTED) + 2
    found: list[str] = await words("red lamp")
    assert found == ["lifted", "red", "lamp"]
    joined: str = "".join([letter async for letter in letters("red lamp")])
    assert joined == LIFTED
    characters: Iterator[str] = Service().letters("red lamp")
    assert "".join(characters) == LIFTED
    length: int = Service.length("red lamp")
    assert length == len(LIFTED)
    with pytest.raises(TypeError):
        count("red lamp", limits=2)  # type: ignore[call-arg]
    with pytest.raises(AttributeError):
        await words(3)  # type: ignore[arg-type]
