"""The table in the documentation of the functions that a search passes."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from middleware import Reformulator, ReverseProxy, SearchRule
from middleware.serving.server import served_in_thread
from middleware.testing import ScriptedEngine
from tests.call_path import recorded
from tests.project.markdown import DOCS, table

_MOST = 25
"""Functions until the request is handed to the forwarder."""


async def _search(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.query_params["q"])


@pytest.mark.anyio
async def test_the_path_of_a_memo_hit() -> None:
    """A search whose text the memo has passes the functions of the table, in that order."""
    backend = Starlette(routes=[Route("/search", _search)])
    reformulator = Reformulator(ScriptedEngine({"red shos": "red shoes"}))
    with served_in_thread(backend) as upstream:
        proxy = ReverseProxy(upstream, reformulator=reformulator, rules=[SearchRule("/search")])
        transport = httpx.ASGITransport(app=proxy)
        async with reformulator, httpx.AsyncClient(transport=transport) as client:
            for _ in range(2):  # the first fills the memo and opens a connection
                answer = await client.get("http://proxy/search?q=red+shos")
            with recorded("Connection.ask") as path:
                await client.get("http://proxy/search?q=red+shos")
        await proxy.aclose()
    assert answer.text == "red shoes"
    assert answer.headers["query-reformulation"].startswith("rewritten;src=memo")
    page = (DOCS / "explanation" / "decision-path.md").read_text("utf-8")
    listed = [
        (file.strip("`").removesuffix(".py").replace("/", "."), function.strip("`"))
        for heading in ("### Until the decision", "### To the upstream")
        for _, file, function, _ in table(page, heading)
    ]
    assert path.functions == listed, f"the table should be:\n{path.table()}"
    assert len(table(page, "### Until the decision")) <= _MOST
