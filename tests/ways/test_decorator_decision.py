"""The decorator: handlers that are given the decision, and streams."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Optional

import pytest

import middleware
from middleware import Outcome, Reason, Reformulation, Reformulator, Source, reformulated

if TYPE_CHECKING:
    from somewhere import Unknown  # type: ignore[import-not-found]

pytestmark = pytest.mark.anyio

TEXT, LIFTED = "red lamp", "lifted red lamp"


def receivers(reformulator: Reformulator) -> list[Any]:
    """Return handlers that take the decision in different places and spellings."""
    mark = reformulated(reformulator)

    @mark
    async def last(query: str = TEXT, limit: int = 10, decision: Reformulation = ...) -> Any:  # type: ignore[assignment]
        return query, limit, decision

    @mark
    async def keyword(query: str = TEXT, limit: int = 10, *, decision: Reformulation) -> Any:
        return query, limit, decision

    @mark
    async def first(decision: Reformulation, query: str = TEXT, limit: int = 10) -> Any:
        return query, limit, decision

    @mark
    async def between(
        query: str = TEXT, decision: Reformulation | None = None, limit: int = 10, /
    ) -> Any:
        return query, limit, decision

    @mark
    async def optional(
        query: str = TEXT,
        limit: int = 10,
        decision: Optional[Reformulation] = None,  # noqa: UP045
    ) -> Any:
        return query, limit, decision

    @mark
    async def qualified(
        query: str = TEXT, decision: middleware.Reformulation | None = None, limit: int = 10
    ) -> Any:
        return query, limit, decision

    @mark
    async def unresolvable(
        query: str = TEXT,
        decision: Reformulation | None = None,
        limit: int = 10,
        other: Unknown = None,
    ) -> Any:
        return query, limit, decision

    @mark
    async def unresolvable_and_qualified(
        query: str = TEXT,
        decision: middleware.Reformulation | None = None,
        limit: int = 10,
        other: Unknown = None,
    ) -> Any:
        return query, limit, decision

    @mark
    async def among_many(
        query: str = TEXT,
        decision: Reformulation = ...,  # type: ignore[assignment]
        limit: int = 10,
        *rest: int,
    ) -> Any:
        return query, limit, decision

    return [
        last,
        keyword,
        first,
        between,
        optional,
        qualified,
        unresolvable,
        unresolvable_and_qualified,
        among_many,
    ]


@pytest.mark.parametrize("index", range(9))
@pytest.mark.parametrize("args", [(), (TEXT,), (TEXT, 3)])
async def test_the_decision_is_given_and_hidden(
    reformulator: Reformulator, index: int, args: tuple[Any, ...]
) -> None:
    handler = receivers(reformulator)[index]
    query, limit, decision = await handler(*args)
    assert (query, limit) == (LIFTED, [*args, 10][1] if len(args) > 1 else 10)
    assert isinstance(decision, Reformulation)
    assert (decision.original, decision.query) == (TEXT, LIFTED)
    assert (decision.outcome, decision.source) == (Outcome.REWRITTEN, Source.ENGINE)
    assert "decision" not in inspect.signature(handler).parameters
    assert "decision" not in handler.__annotations__
    assert {"query", "limit", "return"} <= set(handler.__annotations__)
    assert list(inspect.signature(handler).parameters)[:2] == ["query", "limit"]


async def test_a_default_that_stays_before_a_decision_that_goes_by_position(
    reformulator: Reformulator,
) -> None:
    """What was not passed has its place all the same."""

    @reformulated(reformulator)
    async def search(
        first: int = 1, query: str | None = None, decision: Reformulation | None = None, /
    ) -> Any:
        return first, query, decision

    nothing = Reformulation("", "", Outcome.SKIPPED, Reason.NO_TEXT, looked_in="the argument query")
    assert await search() == (1, None, nothing)
    assert await search(2) == (2, None, nothing)


async def test_the_decision_of_a_text_that_stays(reformulator: Reformulator) -> None:
    @reformulated(reformulator)
    async def search(query: str, *, decision: Reformulation | None = None) -> Any:
        return query, decision

    query, decision = await search('"red lamp"')
    assert query == '"red lamp"'
    assert decision.reason is Reason.QUOTED


# --- What stays of a function ---


def test_a_generator_is_driven_as_before(reformulator: Reformulator) -> None:
    """What is sent, thrown and returned goes through, and closing runs the clean-up."""
    steps: list[Any] = []

    @reformulated(reformulator)
    def search(query: str) -> Generator[Any, Any, str]:
        try:
            steps.append((yield query))
            try:
                yield 2
            except LookupError as error:
                yield error
        finally:
            steps.append("closed")
        return "end"

    found = search(TEXT)
    assert not steps
    assert next(found) == LIFTED
    assert found.send("sent") == 2
    error = LookupError()
    assert found.throw(error) is error
    with pytest.raises(StopIteration) as end:
        next(found)
    assert end.value.value == "end"
    assert steps == ["sent", "closed"]
    found = search(TEXT)
    next(found)
    found.close()
    assert steps == ["sent", "closed", "closed"]


async def test_an_asynchronous_generator_is_driven_as_before(reformulator: Reformulator) -> None:
    steps: list[Any] = []

    @reformulated(reformulator)
    async def search(query: str) -> Any:
        try:
            steps.append((yield query))
            try:
                yield 2
            except LookupError as error:
                yield error
        finally:
            await asyncio.sleep(0)
            steps.append("closed")

    found = search(TEXT)
    assert not steps
    assert await anext(found) == LIFTED
    assert await found.asend("sent") == 2
    error = LookupError()
    assert await found.athrow(error) is error
    with pytest.raises(StopAsyncIteration):
        await anext(found)
    assert steps == ["sent", "closed"]
    found = search(TEXT)
    await anext(found)
    await found.aclose()
    assert steps == ["sent", "closed", "closed"], "at once, not when it is collected"
    found = search(TEXT)
    await anext(found)
    with pytest.raises(ZeroDivisionError):
        await found.athrow(ZeroDivisionError())
    assert steps[3:] == ["closed"]


# --- Options ---


async def test_metadata(reformulator: Reformulator) -> None:
    async def search(query: str, limit: int = 3) -> list[str]:
        """Search."""
        return [query]

    search.route = "/s"  # type: ignore[attr-defined]
    decorated = reformulated(reformulator)(search)
    assert decorated.__name__ == "search"
    assert decorated.__qualname__ == search.__qualname__
    assert decorated.__module__ == __name__
    assert decorated.__doc__ == "Search."
    assert decorated.route == "/s"  # type: ignore[attr-defined]
    assert decorated.__wrapped__ is search  # type: ignore[attr-defined]
    assert inspect.signature(decorated) == inspect.signature(search)
    assert decorated.__annotations__ == search.__annotations__
    assert "decision" in inspect.signature(receivers(reformulator)[0].__wrapped__).parameters
