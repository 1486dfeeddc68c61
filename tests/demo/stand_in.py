"""A hand-written stand-in for the proxy that answers with scripted reformulations.

It lets the page's every state be seen: the real product cannot be told to be late.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, quote, urlencode

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send


class ScriptedProxy:
    """Forwards ``GET /search`` to a backend, with the header and the query that the script says.

    The script maps a typed query to the header's start, such as ``rewritten;src=engine``,
    and the query to send. What is not in it is ``unchanged``.
    """

    def __init__(self, backend: ASGIApp, script: Mapping[str, tuple[str, str]]) -> None:
        self._backend = backend
        self._script = script
        self.seen: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self.seen.append(scope["path"])
        typed = parse_qs(scope["query_string"].decode()).get("q", [""])[0]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        item, query = self._script.get(typed, ("unchanged;src=engine", typed))
        if headers.get("query-reformulation-control") == "off":
            item, query = "skipped;reason=disabled", typed
        transport = httpx.ASGITransport(app=self._backend)
        async with httpx.AsyncClient(transport=transport, base_url="http://backend") as client:
            answer = await client.get(f"{scope['path']}?{urlencode({'q': query})}")
        reply = [
            (b"content-type", b"application/json"),
            (b"query-reformulation", f'{item};dur=12.3;q="{quote(query)}"'.encode()),
            (b"server-timing", b"upstream;dur=3.1, reformulate;dur=12.3"),
        ]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": reply})
        await send({"type": "http.response.body", "body": answer.content})
