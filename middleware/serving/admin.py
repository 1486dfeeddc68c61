"""The endpoints for operators, on their own port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from ..core.memo import MemoKey
from ..core.text import normalize
from ..http.responses import error_response, status_routes
from ..instrumentation.metrics import Metrics
from ..runtime.reformulator import Reformulator

__all__ = ["Admin", "PortRouter"]

_NOT_STORED = {"cache-control": "no-store"}


class Admin:
    """An ASGI app with ``/readyz``, ``/metrics`` and ``/memo`` for operators.

    ``GET /memo`` returns entries, bytes, hits and misses. ``DELETE /memo`` removes all entries,
    with ``?text=`` those of one text and with ``?scope=`` those of one scope, and returns how many.
    It refuses requests with ``Origin``: a web page in the browser of somebody who can reach this
    port may have sent them. No answer holds the text of a query. ``dialects`` returns what
    ``/readyz`` adds to the engine's state; ``purged`` is called, in a thread, before a purge is
    answered.

    There is no access control: anyone who can reach the port may use it.
    Concurrency: holds no state of a request.
    """

    def __init__(
        self,
        reformulator: Reformulator,
        *,
        metrics: Metrics | None = None,
        dialects: Callable[[], dict[str, Any]] = dict,
        purged: Callable[[], None] = lambda: None,
    ) -> None:
        self._purged = purged
        self._memo = reformulator.memo
        self._router = Router(
            [
                *status_routes(reformulator, metrics=metrics, details=dialects),
                Route("/memo", self._counts),
                Route("/memo", self._purge, methods=["DELETE"]),
            ],
            redirect_slashes=False,
            default=_not_found,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._router(scope, receive, send)

    async def _counts(self, request: Request) -> Response:
        stats = self._memo.stats()
        names = ("entries", "bytes", "hits", "misses")
        return JSONResponse({name: getattr(stats, name) for name in names}, headers=_NOT_STORED)

    async def _purge(self, request: Request) -> Response:
        if "origin" in request.headers:
            return error_response(
                403, "from_a_web_page", "a page in a browser must not purge the memo"
            )
        # Starlette reads the query string as Latin-1, but curl sends UTF-8 as it was typed.
        query = request.scope["query_string"].decode("utf-8", "replace")
        given = parse_qs(query, keep_blank_values=True)
        if not given.keys() <= {"text", "scope"}:  # a typo must not remove all entries
            return error_response(400, "unknown_parameter", "the parameters are text and scope")
        texts = {normalize(text) for text in given.get("text", ())}
        scopes = set(given.get("scope", ()))

        def matches(key: MemoKey) -> bool:
            return (not texts or key.text in texts) and (not scopes or key.scope in scopes)

        purged = self._memo.purge(matches)
        await asyncio.to_thread(self._purged)
        return JSONResponse({"purged": purged}, headers=_NOT_STORED)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    detail = f"there is no {scope['method']} {scope['path']} here"
    await error_response(404, "not_found", detail)(scope, receive, send)


class PortRouter:
    """Routes requests by the port that they came in on: ``admin_port`` leads to ``admin``.

    The port is that of the server's socket, which no header or target of a request can change.
    """

    def __init__(self, app: ASGIApp, admin: Admin, admin_port: int) -> None:
        self._app = app
        self._admin = admin
        self._port = admin_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        server = scope.get("server")
        if scope["type"] == "http" and server is not None and server[1] == self._port:
            await self._admin(scope, receive, send)
        elif scope["type"] != "websocket" or server is None or server[1] != self._port:
            await self._app(scope, receive, send)
