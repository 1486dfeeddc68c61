"""The reverse proxy: the middleware around an application that forwards to one upstream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, Unpack

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from .asgi import MiddlewareOptions, ReformulationMiddleware, without_control
from .core.arguments import checked
from .errors import UpstreamBusyError
from .http.matching import SearchRule
from .http.responses import error_response
from .runtime.reformulator import Reformulator
from .upstream.client import UpstreamClient
from .upstream.forwarder import Forwarder
from .upstream.headers import Forwarding

__all__ = ["BackgroundService", "ReverseProxy"]


class BackgroundService(Protocol):
    """A task beside the requests, on their event loop."""

    def start(self) -> None:
        """Start; does nothing if it runs."""
        ...

    async def stop(self) -> None:
        """Stop, and return once nothing runs any more."""
        ...


class ReverseProxy:
    """Forwards every request to one upstream, with the texts of searches rewritten.

    ``upstream`` is a URL, ``http(s)://host[:port][/base]``, or an ``UpstreamClient``. ``rules``
    select the searches. Without a ``reformulator`` it only forwards. ``forwarding`` says which
    headers the proxy adds. ``transport`` replaces the connections to a URL by any httpx transport:
    ``httpx.ASGITransport(app)`` for tests in process, ``httpx.AsyncHTTPTransport(uds=…)`` for a
    Unix socket. The other options are those of ``ReformulationMiddleware``.

    Requests for which the upstream has no free connection are answered with 503 and
    ``Retry-After``, before their texts are looked up.

    The attribute ``background`` holds a ``BackgroundService`` or ``None``. The proxy starts the
    service at start-up, or at the first request if the server runs no lifespan, and stops it at
    shutdown.

    Serve it with uvicorn's own ``Date`` and ``Server`` headers off, as those of the upstream are
    passed on, and with ``http="h11", ws="none"``, as uvicorn otherwise loses the bodies of requests
    that offer another protocol. Errors: ``ConfigurationError`` from the constructor.
    """

    @checked
    def __init__(
        self,
        upstream: str | UpstreamClient,
        *,
        rules: Iterable[SearchRule],
        reformulator: Reformulator | None = None,
        forwarding: Forwarding | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        **options: Unpack[MiddlewareOptions],
    ) -> None:
        unknown = options.keys() - MiddlewareOptions.__annotations__
        if unknown:  # also without a middleware that would say so
            raise TypeError(f"ReverseProxy got unknown options: {', '.join(sorted(unknown))}")
        self.metrics = options.get("metrics")
        self._on_error = None if self.metrics is None else self.metrics.failed
        self.client = (
            upstream
            if isinstance(upstream, UpstreamClient)
            else UpstreamClient(upstream, transport=transport)
        )
        clients = options.get("clients")
        self._forwarder = Forwarder(
            self.client,
            forwarding=forwarding,
            kept=() if clients is None else clients.headers,
            server_timing=options.get("server_timing", True),
            on_error=self._on_error,
        )
        self.reformulator = reformulator
        self.background: BackgroundService | None = None
        self._background_started = False
        self._app: ASGIApp = self._forward_only
        self._middleware: ReformulationMiddleware | None = None
        if reformulator is not None:
            self._app = self._middleware = ReformulationMiddleware(
                self._forwarder, reformulator, rules=rules, **options
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        if scope["type"] == "http":
            if not self._background_started:
                self._start_background()
            if self.client.saturated:
                busy = UpstreamBusyError()
                if self._on_error is not None:
                    self._on_error(busy.kind, "")
                response = error_response(
                    busy.status, busy.kind, busy.detail, retry_after=busy.retry_after
                )
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def set_rules(self, rules: Iterable[SearchRule], *, guessed: bool = False) -> None:
        """Replace the rules from the next request on.

        Pass ``guessed`` if their dialect was detected or assumed, and nobody chose it; ``/readyz``
        tells it.
        """
        if self._middleware is not None:
            self._middleware.set_rules(rules, guessed=guessed)

    def dialects(self) -> dict[str, Any]:
        """Return the dialects in use, for ``/readyz``."""
        return {} if self._middleware is None else self._middleware.dialects()

    async def aclose(self) -> None:
        """Close the connections to the upstream; for servers that run no lifespan."""
        if self.background is not None:
            await self.background.stop()
        await self._forwarder.aclose()

    def _start_background(self) -> None:
        self._background_started = True
        if self.background is not None:
            self.background.start()

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._start_background()
        try:
            await self._app(scope, receive, send)
        finally:
            self._background_started = False
            if self.background is not None:
                await self.background.stop()

    async def _forward_only(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _, scope = without_control(scope)
        await self._forwarder(scope, receive, send)
