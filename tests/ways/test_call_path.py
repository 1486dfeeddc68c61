"""How many functions of the package a search passes on its way through the proxy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from middleware import Reformulator, ReverseProxy, SearchRule
from middleware.testing import ScriptedEngine
from tests.call_path import recorded
from tests.upstream.wire import upstream

from .driving import Client, http_scope, said

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.anyio


ROWS = re.compile(r"^\| (\d+) \| `([\w/]+)\.py` \| `([^`]+)` \|", re.M)


async def test_a_memo_hit_passes_25_functions_to_the_upstream_client() -> None:
    """Each of them once; the page about the decision path shows them, and those that follow."""
    async with upstream() as raw:
        with Reformulator(ScriptedEngine(lambda text: f"lifted {text}"), budget=30) as reformulator:
            proxy = ReverseProxy(raw.url, rules=[SearchRule("/search")], reformulator=reformulator)
            for _ in range(2):  # fills the memo, the caches, and the pool of connections
                client = Client()
                scope = http_scope(query=b"q=red+lamp")
                await proxy(scope, client.receive, client.send)
            client = Client()
            with recorded(until="Connection._put") as path:
                await proxy(http_scope(query=b"q=red+lamp"), client.receive, client.send)
            await proxy.aclose()
    assert said(client.result) == "rewritten;src=memo"
    assert raw.requests[-1].target == b"/search?q=lifted+red+lamp"
    assert path.calls[0] == ("proxy", "ReverseProxy.__call__")
    assert path.functions.index(("upstream.exchange", "Exchange.run")) < 25, path.table()
    page = (ROOT / "docs" / "explanation" / "decision-path.md").read_text("utf-8")
    shown = [(module.replace("/", "."), function) for _, module, function in ROWS.findall(page)]
    assert shown == path.functions, path.table()
