"""``--dialect auto``: what is made of an upstream's answers."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from middleware.errors import ConfigurationError
from middleware.recognition import recognized_dialect
from middleware.serve import build_proxy
from middleware.serving import bound_socket, served_in_thread
from middleware.settings import Settings

from .conftest import client


async def _elasticsearch(request: Request) -> Response:
    body = {"version": {"number": "9.0.0", "lucene_version": "10.1.0"}, "tagline": "t"}
    return JSONResponse(body, headers={"x-elastic-product": "Elasticsearch"})


async def _refused(request: Request) -> Response:
    return PlainTextResponse("no", 403)


async def _typesense(request: Request) -> Response:
    return JSONResponse({"ok": True})


async def _solr(request: Request) -> Response:
    return PlainTextResponse('<html ng-app="solrAdminApp">' + " " * 200_000)


@pytest.mark.parametrize(
    ("routes", "dialect"),
    [
        ([Route("/", _elasticsearch)], "elasticsearch"),
        ([Route("/", _refused), Route("/health", _typesense)], "typesense"),
        ([Route("/solr/", _solr)], "solr"),
    ],
)
def test_the_first_answer_that_tells_counts(routes: list[Route], dialect: str) -> None:
    """Refusals and unknown paths before it do not matter, nor how long a page is."""
    with served_in_thread(Starlette(routes=routes)) as upstream:
        assert recognized_dialect(upstream) == dialect
    with served_in_thread(Starlette(routes=[Mount("/base", routes=routes)])) as upstream:
        assert recognized_dialect(f"{upstream}/base/") == dialect


def test_one_that_does_not_tell() -> None:
    """The error says what to do, and which words there are."""
    with (
        served_in_thread(Starlette(routes=[Route("/", _refused)])) as upstream,
        pytest.raises(ConfigurationError, match=r"name it with --dialect: algolia, .*typesense"),
    ):
        recognized_dialect(upstream)


def test_one_that_is_not_there() -> None:
    """The error says so."""
    with bound_socket("127.0.0.1", 0) as bound:
        upstream = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=r"no connection.*start it first"):
            recognized_dialect(upstream)


def test_serve_asks_at_the_start() -> None:
    """Searches of the API that answers are searches, and others are not."""

    async def search(request: Request) -> Response:
        return JSONResponse({})

    both = ["GET", "POST"]
    backend = Starlette(
        routes=[
            Route("/", _elasticsearch),
            Route("/i/_search", search, methods=both),
            Route("/find", search, methods=both),
        ]
    )
    with served_in_thread(backend) as upstream:
        proxy = build_proxy(Settings(upstream=upstream, dialect="auto"))
        with served_in_thread(proxy) as base, client(base) as asking:
            found = asking.post("/i/_search", json={"query": {"match": {"t": "red lamp"}}})
            assert found.headers["query-reformulation"].startswith("skipped;reason=not_ready")
            assert "query-reformulation" not in asking.get("/find?q=red+lamp").headers
