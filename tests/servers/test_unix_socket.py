"""The example of a proxy in front of a Unix socket."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.upstream.wire import RawUpstream, exchange, front, get, split

from .conftest import load


@pytest.mark.anyio
@pytest.mark.skipif(not hasattr(asyncio, "start_unix_server"), reason="no Unix sockets")
async def test_requests_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upstream behind the socket gets the request, and its response comes back."""
    raw, path = RawUpstream(), tmp_path / "search.sock"
    monkeypatch.setenv("SEARCH_SOCKET", str(path))
    async with await asyncio.start_unix_server(raw._serve, path):
        async with front(load("unix_socket_proxy").app) as port:
            _, lines, body = split(await exchange(port, get(b"/search?q=red+lamps")))
        raw.drop_connections()
    assert body == b"ok"
    assert b"query-reformulation" in dict(lines)
    assert raw.requests[0].target.startswith(b"/search?q=")
