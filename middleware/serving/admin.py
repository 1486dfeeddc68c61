"""The endpoints for operators, on their own port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..core.memo import MemoKey
from ..core.text import normalize, stacks_marks
from ..http.responses import error_response, status_routes
from ..instrumentation.metrics import Metrics
from ..runtime.reformulator import Reformulator

_NOT_STORED = {"cache-control": "no-store"}


def admin_app(
    reformulator: Reformulator,
    *,
    metrics: Metrics | None = None,
    dialects: Callable[[], dict[str, Any]] = dict,
    purged: Callable[[], bool] = lambda: True,
) -> ASGIApp:
    """Return an app with ``/readyz``, ``/metrics`` and ``/memo`` for operators.

    ``GET /memo`` returns entries, bytes, hits and misses. ``DELETE /memo`` removes all entries,
    with ``?text=`` those of one text and with ``?scope=`` those of one scope, and returns how many.
    It refuses requests with ``Origin``: a web page in the browser of somebody who can reach this
    port may have sent them. No answer holds the text of a query. ``dialects`` returns what
    ``/readyz`` adds to the engine's state; ``purged`` is called, in a thread, before a purge is
    answered, and returns whether it is lasting.

    There is no access control: anyone who can reach the port may use it.
    Concurrency: holds no state of a request.
    """
    memo = reformulator.memo

    async def memo_endpoint(request: Request) -> Response:
        if request.method == "DELETE":
            return await purge(request)
        stats = memo.stats()
        names = ("entries", "bytes", "hits", "misses")
        return JSONResponse({name: getattr(stats, name) for name in names}, headers=_NOT_STORED)

    async def purge(request: Request) -> Response:
        if "origin" in request.headers:
            return error_response(
                403, "from_a_web_page", "a page in a browser must not purge the memo"
            )
        # Starlette reads the query string as Latin-1, but curl sends UTF-8 as it was typed.
        query = request.scope["query_string"].decode("utf-8", "replace")
        given = parse_qs(query, keep_blank_values=True)
        if not given.keys() <= {"text", "scope"}:  # a typo must not remove all entries
            return error_response(400, "unknown_parameter", "the parameters are text and scope")
        # No entry has a text that stacks marks, which would take long to normalize.
        texts = {t if stacks_marks(t) else normalize(t) for t in given.get("text", ())}
        scopes = set(given.get("scope", ()))

        def matches(key: MemoKey) -> bool:
            return (not texts or key.text in texts) and (not scopes or key.scope in scopes)

        removed = memo.purge(matches)
        if not await asyncio.to_thread(purged):
            return error_response(
                507,
                "snapshot_not_written",
                "purged from memory, but the snapshot could not be written and still has it, so "
                "that it would be back after a restart; the log says why; purge again then",
            )
        return JSONResponse({"purged": removed}, headers=_NOT_STORED)

    routes = [
        *status_routes(reformulator, metrics=metrics, details=dialects),
        Route("/memo", memo_endpoint, methods=["GET", "DELETE"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_endpoint})
    app.router.redirect_slashes = False
    return app


async def _no_such_endpoint(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    kind = "method_not_allowed" if error.status_code == 405 else "not_found"
    detail = f"there is no {request.method} {request.url.path} here"
    response = error_response(error.status_code, kind, detail)
    response.headers.update(error.headers or {})
    return response


def route_by_port(app: ASGIApp, admin: ASGIApp, admin_port: int) -> ASGIApp:
    """Return an app that sends requests which came in on ``admin_port`` to ``admin``.

    The port is that of the server's socket, which no header or target of a request can change.
    """

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        server = scope.get("server")
        is_admin = server is not None and server[1] == admin_port
        if scope["type"] == "http" and is_admin:
            await admin(scope, receive, send)
        elif scope["type"] != "websocket" or not is_admin:
            await app(scope, receive, send)

    return routed
