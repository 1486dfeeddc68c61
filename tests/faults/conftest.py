"""An upstream for the process under test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from middleware.serving.server import served_in_thread


def app() -> Starlette:
    """Return an app that answers each search with the query that arrived."""

    async def search(request: Request) -> JSONResponse:
        return JSONResponse({"query": request.query_params.get("q", "")})

    return Starlette(routes=[Route("/search", search)])


@pytest.fixture
def upstream() -> Iterator[str]:
    """Serve that app."""
    with served_in_thread(app()) as url:
        yield url


@pytest.fixture
def behaviour(tmp_path: Path) -> Path:
    """Give the file that tells the faulty engine what to do."""
    file = tmp_path / "behaviour"
    file.write_text("well")
    return file
