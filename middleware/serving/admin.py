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
from ..http.client_keys import tenant_key
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
    scope_of: Callable[[bytes], str] | None = None,
) -> ASGIApp:
    """Return an app with ``/readyz``, ``/metrics`` and ``/memo`` for operators.

    ``GET /memo`` returns entries, bytes, hits and misses. ``DELETE /memo`` removes all entries, and
    returns how many. Both take ``?text=`` for one text and ``?scope=`` for one scope: then ``GET``
    returns the entries and bytes of these, and ``DELETE`` removes these, or answers 404 if there
    are none. ``scope_of`` returns the scope for a value of ``?scope=`` (default: ``plain_scope``).

    ``DELETE`` refuses requests with ``Origin``: a web page in the browser of somebody who can reach
    this port may have sent them. No answer holds the text of a query. ``dialects`` returns what
    ``/readyz`` adds to the engine's state; ``purged`` is called, in a thread, before a purge is
    answered, and returns whether it is lasting.

    There is no access control: anyone who can reach the port may use it.
    Concurrency: holds no state of a request.
    """
    memo = reformulator.memo

    async def memo_endpoint(request: Request) -> Response:
        if request.method == "DELETE" and "origin" in request.headers:
            return error_response(
                403, "from_a_web_page", "a page in a browser must not purge the memo"
            )
        # As bytes: curl sends them as they were typed, and headers have no encoding.
        query = request.scope["query_string"].decode("latin-1")
        given = parse_qs(query, keep_blank_values=True, encoding="latin-1")
        if not given.keys() <= {"text", "scope"}:  # a typo must not remove all entries
            return error_response(400, "unknown_parameter", "the parameters are text and scope")
        texts, scopes = (
            {meant(value.encode("latin-1")) for value in given.get(name, ())}
            for name, meant in (("text", _normal), ("scope", scope_of or plain_scope))
        )

        def matches(key: MemoKey) -> bool:
            return (not texts or key.text in texts) and (not scopes or key.scope in scopes)

        if request.method == "DELETE":
            return await purge(matches, bool(given))
        if given:
            entries, size = memo.measure(matches)
            return JSONResponse({"entries": entries, "bytes": size}, headers=_NOT_STORED)
        stats = memo.stats()
        names = ("entries", "bytes", "hits", "misses")
        return JSONResponse({name: getattr(stats, name) for name in names}, headers=_NOT_STORED)

    async def purge(matches: Callable[[MemoKey], bool], chosen: bool) -> Response:
        removed = memo.purge(matches)
        if not await asyncio.to_thread(purged):
            return error_response(
                507,
                "snapshot_not_written",
                "purged from memory, but the snapshot could not be written and still has it, so "
                "that it would be back after a restart; the log says why; purge again then",
            )
        if chosen and not removed:
            return error_response(
                404,
                "nothing_matched",
                "the memo of this process has no entry of that text or scope",
            )
        return JSONResponse({"purged": removed}, headers=_NOT_STORED)

    routes = [
        *status_routes(reformulator, metrics=metrics, details=dialects),
        Route("/memo", memo_endpoint, methods=["GET", "DELETE"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_endpoint})
    app.router.redirect_slashes = False
    return app


def plain_scope(value: bytes) -> str:
    """Return the scope that a value of ``?scope=`` names by itself."""
    return value.decode("utf-8", "replace")


def hashed_scope(value: bytes) -> str:
    """Return the scope of the tenant whose header has a value; see ``by_tenant``."""
    return tenant_key([value])


def _normal(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    # No entry has a text that stacks marks, which would take long to normalize.
    return text if stacks_marks(text) else normalize(text)


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
