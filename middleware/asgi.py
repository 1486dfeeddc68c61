"""The ASGI middleware: rewrites the texts of search requests, and reports it in headers."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypedDict

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .core.arguments import checked
from .dialects.base import SearchRequest
from .dialects.detection.pending import PendingDialect
from .errors import ConfigurationError
from .http.clients import Clients
from .http.control import DEFAULT_CONTROL, Control, Trust, parse_control
from .http.extensions import RETRY_SAFE
from .http.matching import SearchRule, canonical_path, first_match
from .http.request_body import FRAMING, read_ahead, replay, with_length
from .http.responses import answer_nobody, status_routes
from .http.rewriting import SearchRewriter
from .instrumentation.headers import CONTROL_HEADER, RESULT_HEADER, result_headers
from .instrumentation.metrics import Metrics
from .runtime.reformulator import Reformulator

__all__ = ["MiddlewareOptions", "ReformulationMiddleware"]

MAX_BODY = 256 * 1024
"""Bytes of a body up to which texts are looked for."""
MAX_BUDGET = 10.0
"""Seconds that a request may ask for with ``budget=``."""

_CONTROL = CONTROL_HEADER.encode()
_RESULT = RESULT_HEADER.encode()

# A validator of the upstream may only know its index, and not which query was sent. A client that
# compared with it could keep the answer to another query (RFC 9110, 8.8 and 13).
_CONDITIONS = frozenset(
    (b"if-match", b"if-modified-since", b"if-none-match", b"if-range", b"if-unmodified-since",
     b"range")
)  # fmt: skip
_RESULT_ONLY = frozenset((_RESULT,))
_RESULT_AND_VALIDATORS = frozenset((_RESULT, b"accept-ranges", b"etag", b"last-modified"))
# What a client sends so that its write is not applied to another state (RFC 9110, 13.1).
# Segments of unreserved characters and others that no server has to decode (RFC 3986, 3.3).
_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~!$&'()*+,;=:@-]+)*")
_GUARDS = frozenset((b"if-match", b"if-unmodified-since"))

_log = logging.getLogger("querylift.asgi")


class MiddlewareOptions(TypedDict, total=False):
    """The keyword options of ``ReformulationMiddleware``, which ``ReverseProxy`` passes on."""

    prefix: str | None
    trust_control: bool | Trust
    expose_query: bool
    server_timing: bool
    max_body: int
    clients: Clients | None
    metrics: Metrics | None


class ReformulationMiddleware:
    """Rewrites the texts of requests that ``rules`` select, and adds response headers about it.

    ``prefix`` is the path below which ``/readyz`` answers, and with ``metrics`` also ``/metrics``
    (default: neither). ``trust_control``: which clients may send the request header
    ``Query-Reformulation-Control``: all, none, or those a function of the scope trusts; the
    application never sees it. ``expose_query`` adds the query that was sent to the response header.
    ``server_timing`` appends ``Server-Timing``. A body of more than ``max_body`` bytes is not
    searched for texts. ``clients`` remembers what earlier searches of a client were sent with.

    All other requests and scope types pass unchanged. The reformulator starts with the lifespan's
    start-up, or with the first search or ``/readyz`` if the server runs no lifespan. A dialect or
    function that raises is logged, and the search passes unchanged.

    Errors: ``ConfigurationError`` from the constructor; never from a request.
    Concurrency: holds no state of a request except in ``clients``.
    """

    @checked
    def __init__(
        self,
        app: ASGIApp,
        reformulator: Reformulator,
        *,
        rules: Iterable[SearchRule],
        prefix: str | None = None,
        trust_control: bool | Trust = False,
        expose_query: bool = False,
        server_timing: bool = True,
        max_body: int = MAX_BODY,
        clients: Clients | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        if prefix and not _PREFIX.fullmatch(prefix):
            raise ConfigurationError(
                f"prefix {prefix!r} must be a path that starts with '/' and does not end with one; "
                "write it like '/-/querylift'"
            )
        if max_body < 0:
            raise ConfigurationError(f"max_body ({max_body}) is in bytes and cannot be negative")
        self.app = app
        self.reformulator = reformulator
        self.set_rules(rules)
        routes = (
            [] if prefix is None else status_routes(reformulator, prefix=prefix, metrics=metrics)
        )
        self._routes = {route.path: route for route in routes}
        self._trusts: Trust = (
            trust_control if callable(trust_control) else lambda scope: bool(trust_control)
        )
        self._expose_query = expose_query
        self._server_timing = server_timing
        self._max_body = max_body
        self._rewriter = SearchRewriter(reformulator, Clients() if clients is None else clients)

    def set_rules(self, rules: Iterable[SearchRule], *, guessed: bool = False) -> None:
        """Replace the rules from the next request on.

        Pass ``guessed`` if their dialect was detected or assumed, and nobody chose it; ``/readyz``
        tells it.
        """
        checked = (rules,) if isinstance(rules, SearchRule) else tuple(rules)
        for rule in checked:
            if not isinstance(rule, SearchRule):
                raise ConfigurationError(f"rules must be SearchRule objects, not {rule!r}")
        self.rules: Sequence[SearchRule] = checked
        self._guessed = guessed
        self._writes_by_get = any(rule.dialect.writes_by_get for rule in checked)

    def dialects(self) -> dict[str, Any]:
        """Return the dialects in use, for ``/readyz``; ``None`` while they are not known."""
        names = {rule.dialect.name for rule in self.rules} - {PendingDialect.name}
        return {"dialect": ", ".join(sorted(names)) or None, "dialect_guessed": self._guessed}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] != "http":
            serve = self._lifespan if scope["type"] == "lifespan" else self.app
            await serve(scope, receive, send)
            return
        method, path = scope["method"], canonical_path(scope)
        route = self._routes.get(path)
        if route is not None and method in (route.methods or ()):
            await route.handle(scope, receive, send)
            return
        has_body, controlled = method not in ("GET", "HEAD"), False
        for name, _ in scope["headers"]:  # one pass, as every request pays for it
            if name in FRAMING:
                has_body = True
            elif name == _CONTROL:
                controlled = True
        wishes = b""
        if controlled:
            wishes, scope = without_control(scope)
        rule = first_match(self.rules, method, path)
        if rule is None or (method != "GET" and not rule.chosen and _is_guarded(scope)):
            if self._writes_by_get and method == "GET":
                scope = _with_retry_safe(scope, False)
            await self.app(scope, receive, send)
            return
        control = DEFAULT_CONTROL
        if wishes and self._obeys(scope):
            control = parse_control(wishes.decode("latin-1"), max_budget=MAX_BUDGET)
        request = SearchRequest(method, path, scope.get("query_string", b""), scope["headers"])
        await self._search(rule, request, control, has_body, scope, receive, send)

    async def _search(
        self,
        rule: SearchRule,
        request: SearchRequest,
        control: Control,
        has_body: bool,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Serve a request that matches a rule."""
        read: list[Message] = []
        if has_body and _wants_body(rule, request):
            read, body = await read_ahead(receive, self._max_body)
            if read[-1]["type"] != "http.request":  # the client left in the middle of its request
                await answer_nobody(send)
                return
            if body is not None:
                request = replace(request, body=body)
        rewritten = await self._rewriter.rewrite(rule, request, control, scope)
        result, edited, has_texts, editable = rewritten
        if edited is not None:
            query_string, body = edited
            scope = {**scope, "query_string": query_string}
            if request.body is not None and body != request.body:
                scope["headers"] = with_length(scope["headers"], len(body))
                read = [{"type": "http.request", "body": body, "more_body": False}]
        # Without a text, or under a rule for every path, the request may change something.
        if has_texts and request.method != "GET" and rule.chosen:
            scope = _with_retry_safe(scope, True)
        replaced = _RESULT_ONLY
        if editable:
            replaced = _RESULT_AND_VALIDATORS
            headers = scope["headers"]
            kept_lines = [line for line in headers if line[0].lower() not in _CONDITIONS]
            if len(kept_lines) < len(headers):
                scope = {**scope, "headers": kept_lines}
        lines = result_headers(result, expose_query=self._expose_query, timing=self._server_timing)

        async def send_with_result(message: Message) -> None:
            kind = message["type"]
            if kind == "http.response.start" or (editable and kind == "http.response.trailers"):
                # A result from the upstream would be about another rewrite.
                headers = message.get("headers", [])  # any iterable, which may be read once
                kept = [line for line in headers if line[0].lower() not in replaced]
                if kind == "http.response.start":
                    kept += lines
                if kept != headers:
                    message = {**message, "headers": kept}
            await send(message)

        await self.app(scope, replay(read, receive) if read else receive, send_with_result)

    def _obeys(self, scope: Scope) -> bool:
        try:
            return self._trusts(scope)
        except Exception:
            _log.exception("trust_control failed")
            return False

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start the worker before the app and stop it after, if the app has a lifespan.

        Without one, the server goes on serving, and the worker runs on.
        """
        has_lifespan = False

        async def note(message: Message) -> None:
            nonlocal has_lifespan
            has_lifespan = True
            await send(message)

        self.reformulator.start()
        try:
            await self.app(scope, receive, note)
        except asyncio.CancelledError:
            has_lifespan = True  # the server is shutting down
            raise
        finally:
            if has_lifespan:
                await asyncio.to_thread(self.reformulator.close)


def without_control(scope: Scope) -> tuple[bytes, Scope]:
    """Return the value of the control header, and the scope without it."""
    value = b",".join(value for name, value in scope["headers"] if name == _CONTROL)
    return value, {**scope, "headers": [line for line in scope["headers"] if line[0] != _CONTROL]}


def _is_guarded(scope: Scope) -> bool:
    """Return whether a request says which state it may change, so that it is no search."""
    return any(
        name.lower() in _GUARDS or (name.lower() == b"if-none-match" and value.strip() == b"*")
        for name, value in scope["headers"]
    )


def _with_retry_safe(scope: Scope, safe: bool) -> Scope:
    """Return a scope that says whether its request may be sent twice."""
    return {**scope, "extensions": {**(scope.get("extensions") or {}), RETRY_SAFE: safe}}


def _wants_body(rule: SearchRule, request: SearchRequest) -> bool:
    try:
        return rule.dialect.wants_body(request)
    except Exception:
        _log.exception("a dialect failed")
        return False
