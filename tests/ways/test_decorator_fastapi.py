"""Decorated handlers as FastAPI routes and dependencies: the decision is no part of the API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Query
from pydantic import BaseModel

from middleware import Reason, Reformulation, Reformulator, reformulated

pytestmark = pytest.mark.anyio


class Found(BaseModel):
    """An answer."""

    query: str | None
    limit: int = 0
    reason: str | None = None


def build_app(reformulator: Reformulator) -> FastAPI:
    app = FastAPI()
    closed: list[Any] = []
    app.state.closed = closed

    @app.get("/async")
    @reformulated(reformulator)
    async def by_async(
        query: Annotated[str | None, Query(max_length=30)] = None,
        limit: int = 10,
        *,
        decision: Reformulation,
    ) -> Found:
        return Found(query=query, limit=limit, reason=decision.reason)

    @app.get("/sync", response_model=Found)
    @reformulated(reformulator)
    def by_sync(query: str, limit: int = 10, *, decision: Reformulation | None = None) -> Any:
        assert decision is not None
        return {"query": query, "limit": limit, "reason": decision.reason}

    @reformulated(reformulator, param="q")
    async def cleaned(q: str) -> str:
        return q

    @app.get("/depends")
    async def by_dependency(query: str = Depends(cleaned)) -> Found:
        return Found(query=query)

    @reformulated(reformulator, param="q")
    async def opened(q: str) -> AsyncIterator[str]:
        try:
            yield q
        except HTTPException as error:
            closed.append(error.status_code)
            raise
        finally:
            closed.append("async")

    @reformulated(reformulator, param="q")
    def opened_sync(q: str) -> Iterator[str]:
        yield q
        closed.append("sync")

    @app.get("/yields")
    async def by_yielding(
        first: str = Depends(opened),
        second: str = Depends(opened_sync),
    ) -> list[str]:
        if first == "x":
            raise HTTPException(418)
        return [first, second]

    return app


async def test_routes_and_dependencies(reformulator: Reformulator) -> None:
    app = build_app(reformulator)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://front.test") as http:
        for path in ("/async", "/sync"):
            answer = (await http.get(f"{path}?query=red+lamp&limit=3")).json()
            assert answer == {"query": "lifted red lamp", "limit": 3, "reason": None}
            answer = (await http.get(f"{path}?query=x")).json()
            assert answer == {"query": "x", "limit": 10, "reason": Reason.TOO_SHORT}
        answer = (await http.get("/async")).json()
        assert answer == {"query": None, "limit": 10, "reason": Reason.NO_TEXT}
        assert (await http.get("/async?query=" + "x" * 31)).status_code == 422
        assert (await http.get("/sync")).status_code == 422
        assert (await http.get("/depends?q=red+lamp")).json()["query"] == "lifted red lamp"

        assert (await http.get("/yields?q=red+lamp")).json() == ["lifted red lamp"] * 2
        assert sorted(app.state.closed) == ["async", "sync"]
        app.state.closed.clear()
        assert (await http.get("/yields?q=x")).status_code == 418
        assert app.state.closed == [418, "async"], "what is raised reaches the dependency"

        paths = (await http.get("/openapi.json")).json()["paths"]
    for path in ("/async", "/sync"):
        parameters = paths[path]["get"]["parameters"]
        assert [parameter["name"] for parameter in parameters] == ["query", "limit"]
