"""The endpoints of whoever runs the proxy, on a port of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send

from ..core.memo import MemoKey
from ..core.text import normalize
from ..http.health import readiness
from ..http.messages import send_page
from ..instrumentation.metrics import Metrics
from ..runtime.reformulator import Reformulator
from ..upstream.errors import error_body

__all__ = ["Admin", "PortRouter"]

_READ = ("GET", "HEAD")
_JSON = "application/json"


class Admin:
    """Answers ``/readyz``, ``/metrics`` and ``/memo``; everything else is 404.

    ``GET /memo`` tells entries, bytes, hits and misses. ``DELETE /memo`` forgets all, with
    ``?text=`` the rewrites of one text and with ``?scope=`` those of one scope, and tells how many
    there were; a request with ``Origin`` is refused there, as a web page in the browser of
    somebody who may reach this port could have sent it. No answer holds the text of a query.
    ``dialects`` gives what ``/readyz`` tells beside the engine's state; ``purged`` is called, in a
    thread, before a purge is answered.

    Concurrency: holds no state of a request. It has no access control: who reaches its port is
    obeyed.
    """

    def __init__(
        self,
        reformulator: Reformulator,
        *,
        metrics: Metrics | None = None,
        degraded: bool = False,
        dialects: Callable[[], dict[str, Any]] = dict,
        purged: Callable[[], None] = lambda: None,
    ) -> None:
        self._purged = purged
        self._dialects = dialects
        self._reformulator = reformulator
        self._metrics = metrics
        self._degraded = degraded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        method, path = scope["method"], scope["path"]
        if path == "/readyz" and method in _READ:
            status, told = readiness(self._reformulator, degraded=self._degraded)
            answer = (status, _JSON, json.dumps({**told, **self._dialects()}).encode())
        elif path == "/metrics" and method in _READ and self._metrics is not None:
            answer = (200, *self._metrics.page())
        elif path == "/memo" and method in _READ:
            stats = self._reformulator.memo.stats()
            told = {name: getattr(stats, name) for name in ("entries", "bytes", "hits", "misses")}
            answer = (200, _JSON, json.dumps(told).encode())
        elif path == "/memo" and method == "DELETE":
            answer = self._purge(scope)
            if answer[0] == 200:
                await asyncio.to_thread(self._purged)
        else:
            answer = _error(404, "not_found", f"there is no {method} {path} here")
        status, kind, content = answer
        await send_page(send, status, kind, content, head=method == "HEAD")

    def _purge(self, scope: Scope) -> tuple[int, str, bytes]:
        if any(name == b"origin" for name, _ in scope["headers"]):
            return _error(403, "from_a_web_page", "a page in a browser must not purge the memo")
        asked = parse_qs(scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True)
        if not asked.keys() <= {"text", "scope"}:  # a slip must not forget all
            return _error(400, "unknown_parameter", "only text and scope can be told")
        texts = {normalize(text) for text in asked.get("text", ())}
        scopes = set(asked.get("scope", ()))
        matches: Callable[[MemoKey], bool] = lambda key: (  # noqa: E731
            (not texts or key.text in texts) and (not scopes or key.scope in scopes)
        )
        told: dict[str, Any] = {"purged": self._reformulator.memo.purge(matches)}
        return 200, _JSON, json.dumps(told).encode()


def _error(status: int, kind: str, detail: str) -> tuple[int, str, bytes]:
    return status, _JSON, error_body(status, kind, detail)


class PortRouter:
    """One server on two sockets: what comes in on the port ``admin_port`` goes to ``admin``.

    The port is the socket's own, which no header and no target of a request can change.
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
