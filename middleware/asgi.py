"""The ASGI middleware: finds the texts of a search request, and puts the rewrites in place."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .core.reformulation import Reformulation
from .dialects.base import SearchRequest
from .dialects.detection.pending import PendingDialect
from .errors import ConfigurationError
from .http.body_timeout import FRAMING
from .http.clients import Clients
from .http.control import DEFAULT_CONTROL, Control, Trust, parse_control
from .http.extensions import RETRY_SAFE
from .http.health import readiness
from .http.matching import SearchRule, canonical_path, first_match
from .http.messages import read_ahead, replay, send_page, with_length
from .http.rewriting import SearchRewriter
from .instrumentation.headers import CONTROL_HEADER, RESULT_HEADER, result_headers, summary
from .instrumentation.metrics import Metrics
from .runtime.reformulator import Reformulator

__all__ = ["DEFAULT_PREFIX", "ReformulationMiddleware"]

DEFAULT_PREFIX = "/-/querylift"
"""Where ``/readyz`` is, unless configured otherwise."""
MAX_BODY = 256 * 1024
"""Bytes of a body in which texts are looked for."""
MAX_BUDGET = 10.0
"""Seconds that a caller's ``budget=`` can ask for."""

_CONTROL = CONTROL_HEADER.encode()
_RESULT = RESULT_HEADER.encode()

_log = logging.getLogger("querylift.asgi")


class ReformulationMiddleware:
    """Rewrites the texts of requests that ``rules`` say are searches, and adds headers that tell.

    ``trust_control`` obeys the request header ``Query-Reformulation-Control``, of all clients or
    of those that a function of the scope trusts; it is never passed on either way.
    ``expose_query`` adds the effective query to the response header; ``server_timing`` appends
    ``Server-Timing``. Bodies of more than ``max_body`` bytes stream through unread. ``prefix``
    is where ``/readyz`` answers (``None``: nowhere), and ``/metrics`` where ``metrics`` are given;
    ``scope_of`` names who may share a rewrite of a request (a tenant, an index), from its scope.
    ``clients`` remembers which query a search's first page was sent with. ``degraded`` lets
    ``/readyz`` answer 200 where the model cannot be loaded, as requests pass all the same.

    Any other request, and every other scope type, passes as it came. The worker starts
    with the lifespan's start-up, or where no lifespan runs with the first search or the
    first question for ``/readyz``. A dialect or ``scope_of`` that raises is logged, and the
    search passes as it came.

    Errors: ``ConfigurationError`` from the constructor; never at a request.
    Concurrency: holds no state of a request but what ``clients`` keeps.
    """

    def __init__(
        self,
        app: ASGIApp,
        reformulator: Reformulator,
        *,
        rules: Iterable[SearchRule] | None = None,
        trust_control: bool | Trust = False,
        expose_query: bool = False,
        server_timing: bool = True,
        max_body: int = MAX_BODY,
        prefix: str | None = DEFAULT_PREFIX,
        scope_of: Callable[[Scope], str] | None = None,
        metrics: Metrics | None = None,
        clients: Clients | None = None,
        degraded: bool = False,
    ) -> None:
        self.app = app
        self.reformulator = reformulator
        self.search_by((SearchRule(),) if rules is None else rules)
        if prefix is not None and prefix and (not prefix.startswith("/") or prefix.endswith("/")):
            raise ConfigurationError(f"prefix {prefix!r} must start with '/' and not end with one")
        if max_body < 0:
            raise ConfigurationError(f"max_body ({max_body}) is in bytes and cannot be negative")
        self._trusts: Trust = (
            trust_control if callable(trust_control) else lambda scope: bool(trust_control)
        )
        self._expose_query = expose_query
        self._server_timing = server_timing
        self._max_body = max_body
        self._ready_path = None if prefix is None else f"{prefix}/readyz"
        self._metrics = metrics
        self._metrics_path = None if prefix is None or metrics is None else f"{prefix}/metrics"
        clients = Clients() if clients is None else clients
        self._rewriter = SearchRewriter(reformulator, clients, scope_of)
        self._degraded = degraded

    def search_by(self, rules: Iterable[SearchRule], *, guessed: bool = False) -> None:
        """Go by other rules from the next request on; ``guessed`` is told on ``/readyz``."""
        self.rules: Sequence[SearchRule] = _checked(rules)
        self._guessed = guessed
        self._writes_by_get = any(rule.dialect.writes_by_get for rule in self.rules)

    def dialects(self) -> dict[str, Any]:
        """Return what ``/readyz`` tells of the dialects in use: none while they are not known."""
        names = {rule.dialect.name for rule in self.rules} - {PendingDialect.name}
        return {"dialect": ", ".join(sorted(names)) or None, "dialect_guessed": self._guessed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope; see the class."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], canonical_path(scope)
        if path == self._ready_path and method in ("GET", "HEAD"):
            status, body = readiness(self.reformulator, degraded=self._degraded)
            body.update(self.dialects())
            content = json.dumps(body).encode()
            await send_page(send, status, "application/json", content, head=method == "HEAD")
            return
        if path == self._metrics_path and self._metrics is not None and method in ("GET", "HEAD"):
            await send_page(send, 200, *self._metrics.page(), head=method == "HEAD")
            return
        steered, framed = False, method not in ("GET", "HEAD")
        for name, _ in scope["headers"]:  # one pass: this is on every request's way
            if name in FRAMING:
                framed = True
            elif name == _CONTROL:
                steered = True
        steering = b""
        if steered:
            steering = b",".join(value for name, value in scope["headers"] if name == _CONTROL)
            headers = [line for line in scope["headers"] if line[0] != _CONTROL]
            scope = {**scope, "headers": headers}
        rule = first_match(self.rules, method, path)
        if rule is None:
            if self._writes_by_get and method == "GET":
                scope = _repeatable(scope, False)
            await self.app(scope, receive, send)
            return
        control = DEFAULT_CONTROL
        if steering and self._obeys(scope):
            control = parse_control(steering.decode("latin-1"), max_budget=MAX_BUDGET)
        await self._search(rule, control, path, framed, scope, receive, send)

    async def _search(
        self,
        rule: SearchRule,
        control: Control,
        path: str,
        framed: bool,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        request = SearchRequest(
            scope["method"], path, scope.get("query_string", b""), scope["headers"]
        )
        read: list[Message] = []
        if framed and _wants_body(rule, request):
            read, body = await read_ahead(receive, self._max_body)
            if read[-1]["type"] != "http.request":
                return  # the client left before its request was whole: nothing goes on
            if body is not None:
                request = replace(request, body=body)
        done = await self._rewriter.rewrite(rule, request, control, scope)
        if done.edited is not None:
            query_string, body = done.edited
            scope = {**scope, "query_string": query_string}
            if request.body is not None and body != request.body:
                scope["headers"] = with_length(scope["headers"], len(body))
                read = [{"type": "http.request", "body": body, "more_body": False}]
        # Where no text was found, or every path is looked into, it may be an order.
        if done.searches and request.method != "GET" and rule.chosen:
            scope = _repeatable(scope, True)
        receive = replay(read, receive) if read else receive
        await self.app(scope, receive, self._telling(summary(done.results), send))

    def _telling(self, result: Reformulation, send: Send) -> Send:
        """Return a send that adds the headers to the response's start."""
        lines = result_headers(result, expose_query=self._expose_query, timing=self._server_timing)

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                # An upstream's own line of the name would be another hop's word.
                kept = [line for line in message.get("headers", ()) if line[0].lower() != _RESULT]
                message = {**message, "headers": [*kept, *lines]}
            await send(message)

        return tell

    def _obeys(self, scope: Scope) -> bool:
        try:
            return self._trusts(scope)
        except Exception:
            _log.exception("what tells trusted callers failed")
            return False

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the worker before the app, and stop it after one that has a lifespan.

        Where the app has none the server goes on without one, and so does the worker.
        """
        answered = False

        async def listen(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        self.reformulator.start()
        try:
            await self.app(scope, receive, listen)
        except asyncio.CancelledError:
            answered = True  # the server goes down
            raise
        finally:
            if answered:
                await asyncio.to_thread(self.reformulator.close)


def _checked(rules: Iterable[SearchRule]) -> tuple[SearchRule, ...]:
    checked = (rules,) if isinstance(rules, SearchRule) else tuple(rules)
    for rule in checked:
        if not isinstance(rule, SearchRule):
            raise ConfigurationError(f"rules must be SearchRule objects, and {rule!r} is none")
    return checked


def _repeatable(scope: Scope, safe: bool) -> Scope:
    """Return a scope that says whether its request may be sent twice."""
    return {**scope, "extensions": {**(scope.get("extensions") or {}), RETRY_SAFE: safe}}


def _wants_body(rule: SearchRule, request: SearchRequest) -> bool:
    try:
        return rule.dialect.wants_body(request)
    except Exception:
        _log.exception("a dialect failed")
        return False
