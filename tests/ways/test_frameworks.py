"""The middleware in Starlette and FastAPI apps, added, wrapped and mounted, through httpx."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import BackgroundTasks, Body, FastAPI, Form, Query
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from middleware import PlainDialect, ReformulationMiddleware, Reformulator, SearchRule
from middleware.testing import ScriptedEngine

from .driving import RESULT, parsed, said

pytestmark = pytest.mark.anyio

RULES = [SearchRule("/search", dialect=PlainDialect(["q"], ["/query"]))]


@contextlib.asynccontextmanager
async def client(app: Any) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://front.test") as opened:
        yield opened


def result(response: httpx.Response) -> str:
    return said(parsed(response.headers[RESULT.decode()].encode()))


async def search(request: Request) -> Response:
    """Answer with all that the request says."""
    form = [*(await request.form()).multi_items()] if "form" in str(request.headers) else []
    json = await request.json() if "json" in request.headers.get("content-type", "") else None
    return JSONResponse({"params": request.query_params.multi_items(), "form": form, "json": json})


ROUTES = [Route("/search", search, methods=["GET", "POST"]), Route("/other", search)]


def added(reformulator: Reformulator) -> Starlette:
    options = Middleware(ReformulationMiddleware, reformulator, rules=RULES, prefix="/ops")
    return Starlette(routes=ROUTES, middleware=[options])


def wrapped(reformulator: Reformulator) -> Any:
    return ReformulationMiddleware(
        Starlette(routes=ROUTES), reformulator, rules=RULES, prefix="/ops"
    )


def mounted(reformulator: Reformulator) -> Starlette:
    return Starlette(routes=[Mount("/deep/er", app=wrapped(reformulator))])


def mount_inside_fastapi(reformulator: Reformulator) -> FastAPI:
    app = FastAPI()
    app.mount("/deep", Starlette(routes=[Mount("/er", app=wrapped(reformulator))]))
    return app


@pytest.mark.parametrize(
    ("make", "prefix"),
    [(added, ""), (wrapped, ""), (mounted, "/deep/er"), (mount_inside_fastapi, "/deep/er")],
)
async def test_all_three_places_of_a_query(
    reformulator: Reformulator, make: Any, prefix: str
) -> None:
    """Rules judge the path behind the mount's prefix, however deep that is."""
    async with client(make(reformulator)) as http:
        response = await http.get(f"{prefix}/search?fq=a&q=red+lamp&fq=b&flag")
        params = [["fq", "a"], ["q", "lifted red lamp"], ["fq", "b"], ["flag", ""]]
        assert response.json()["params"] == params
        assert result(response) == "rewritten;src=engine"
        response = await http.post(f"{prefix}/search", data={"a": "&=%", "q": "red lamp"})
        assert response.json()["form"] == [["a", "&=%"], ["q", "lifted red lamp"]]
        assert result(response) == "rewritten;src=memo"
        response = await http.post(f"{prefix}/search?b=1", json={"query": "red lamp", "n": [1]})
        assert response.json()["json"] == {"query": "lifted red lamp", "n": [1]}
        assert response.json()["params"] == [["b", "1"]]
        assert result(response) == "rewritten;src=memo"
        response = await http.get(f"{prefix}/other?q=red+lamp")
        assert response.json()["params"] == [["q", "red lamp"]]
        assert RESULT.decode() not in response.headers
        assert (await http.get(f"{prefix}/ops/readyz")).json() == {"status": "ready"}


async def test_a_chunked_body(reformulator: Reformulator) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for part in (b'{"que', b'ry":"red ', b'lamp"}'):
            yield part

    async with client(wrapped(reformulator)) as http:
        headers = {"content-type": "application/json"}
        response = await http.post("/search", content=chunks(), headers=headers)
        assert response.json()["json"] == {"query": "lifted red lamp"}


def fast(reformulator: Reformulator) -> tuple[FastAPI, list[str]]:
    app, done = FastAPI(), []  # type: tuple[FastAPI, list[str]]
    app.add_middleware(ReformulationMiddleware, reformulator=reformulator, rules=RULES)

    @app.get("/search")
    async def by_get(q: Annotated[str, Query(max_length=40)], tasks: BackgroundTasks) -> str:
        tasks.add_task(done.append, q)
        return q

    @app.post("/search")
    def by_post(q: Annotated[str, Form()]) -> str:
        return q

    @app.put("/search")
    def by_put(query: Annotated[str, Body(embed=True)]) -> str:
        return query

    return app, done


async def test_fastapi_parameters_and_background_tasks(reformulator: Reformulator) -> None:
    app, done = fast(reformulator)
    async with client(app) as http:
        assert (await http.get("/search?q=red+lamp")).json() == "lifted red lamp"
        assert done == ["lifted red lamp"]
        assert (await http.post("/search", data={"q": "red lamp"})).json() == "lifted red lamp"
        response = await http.put("/search", json={"query": "red lamp"})
        assert response.json() == "red lamp", "no rule names PUT"
        wrong = await http.get("/search")
        assert wrong.status_code == 422
        assert result(wrong) == "skipped;reason=no_text;looked=q in the URL"
        assert (await http.get("/openapi.json")).json()["paths"]["/search"].keys() == {
            "get",
            "post",
            "put",
        }


async def test_head_where_a_rule_names_it(reformulator: Reformulator) -> None:
    """The headers of a HEAD are those that the GET would have."""
    app = ReformulationMiddleware(
        Starlette(routes=ROUTES), reformulator, rules=[SearchRule("/search", ["GET", "HEAD"])]
    )
    async with client(app) as http:
        get = await http.get("/search?q=red+lamp")
        head = await http.head("/search?q=red+lamp")
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]
    assert result(head) == "rewritten;src=memo"


async def test_streaming_and_compressed_answers(reformulator: Reformulator) -> None:
    """An answer comes through in its own encoding, compressed by who stands behind or in front."""
    text = "found " * 400

    async def stream(request: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            for part in (text[:1000], text[1000:]):
                yield part.encode()

        return StreamingResponse(parts())

    async def packed(request: Request) -> Response:
        return Response(gzip.compress(text.encode()), headers={"content-encoding": "gzip"})

    inner = Starlette(routes=[Route("/search", stream), Route("/packed", packed)])
    rules = [SearchRule("/*")]
    behind = ReformulationMiddleware(GZipMiddleware(inner), reformulator, rules=rules)
    in_front = GZipMiddleware(ReformulationMiddleware(inner, reformulator, rules=rules))
    for app in (behind, in_front):
        async with client(app) as http:
            for path in ("/search", "/packed"):
                response = await http.get(f"{path}?q=red+lamp")
                assert response.text == text
                assert response.headers["content-encoding"] == "gzip"
                assert result(response).startswith("rewritten;src=")


async def test_fifty_equal_searches_at_once_are_one_engine_call(
    reformulator: Reformulator, engine: ScriptedEngine
) -> None:
    async with client(wrapped(reformulator)) as http:
        responses = await asyncio.gather(*[http.get("/search?q=red+lamp") for _ in range(50)])
    assert engine.calls == [["red lamp"]]
    assert {dict(r.json()["params"])["q"] for r in responses} == {"lifted red lamp"}
    sources = [result(response) for response in responses]
    assert sources.count("rewritten;src=engine") == 1
    assert set(sources) <= {f"rewritten;src={word}" for word in ("engine", "shared", "memo")}
