"""The reverse proxy: the middleware around an application that forwards to one upstream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .asgi import DEFAULT_PREFIX, MAX_BODY, ReformulationMiddleware
from .errors import ConfigurationError
from .http.body_timeout import SlowClientError, has_body, patient
from .http.clients import Clients
from .http.control import Trust
from .http.matching import SearchRule
from .instrumentation.headers import CONTROL_HEADER
from .instrumentation.metrics import Metrics
from .runtime.reformulator import Reformulator
from .upstream.answers import answer
from .upstream.client import UpstreamClient
from .upstream.forwarder import Forwarder

__all__ = ["BackgroundService", "ReverseProxy"]

_CONTROL = CONTROL_HEADER.encode()
_RETRY_AFTER = 1  # seconds


class BackgroundService(Protocol):
    """What runs beside the requests, on their event loop."""

    def start(self) -> None:
        """Begin; again is no harm."""
        ...

    async def stop(self) -> None:
        """End, and return once nothing is under way."""
        ...


class ReverseProxy:
    """Forwards every request to one upstream, searches with their text rewritten.

    ``upstream`` is a URL, ``http(s)://host[:port][/base]``, or a client for one; the
    remaining options are those of ``ReformulationMiddleware`` and
    ``Forwarder``. Without a reformulator it only forwards.

    At most ``max_requests`` requests are under way at a time (``None``: any number). Further
    ones, and those for which the upstream has no room, are answered with 503 and ``Retry-After``
    at once, before anything is rewritten for them. A client that takes more than ``body_timeout``
    seconds for the next part of its request's body (``None``: any time) is answered with 408, and
    its connection closed.

    What is put into ``beside`` runs from start-up to shutdown, or where the server runs no
    lifespan from the first request on; it may change the rules with ``search_by``.

    Serve it with uvicorn's own ``Date`` and ``Server`` headers off, as the upstream's go through.
    Errors: ``ConfigurationError`` from the constructor.
    """

    def __init__(
        self,
        upstream: str | UpstreamClient,
        *,
        reformulator: Reformulator | None = None,
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
        preserve_host: bool = False,
        forwarded: bool = False,
        via: str | None = None,
        max_requests: int | None = None,
        body_timeout: float | None = None,
    ) -> None:
        if max_requests is not None and max_requests < 1:
            raise ConfigurationError(f"max_requests ({max_requests}) must be at least 1")
        if body_timeout is not None and not body_timeout > 0:
            raise ConfigurationError(f"body_timeout ({body_timeout}) must be above 0")
        self._patience = body_timeout
        self._failed = None if metrics is None else metrics.failed
        self.forwarder = Forwarder(
            upstream,
            preserve_host=preserve_host,
            forwarded=forwarded,
            via=via,
            server_timing=server_timing,
            failed=self._failed,
        )
        self._most = max_requests
        self._under_way = 0
        self.reformulator = reformulator
        self.metrics = metrics
        self.beside: BackgroundService | None = None
        self._begun = False
        self._app: ASGIApp = self._bare
        self._middleware: ReformulationMiddleware | None = None
        if reformulator is not None:
            self._app = self._middleware = ReformulationMiddleware(
                self.forwarder,
                reformulator,
                rules=rules,
                trust_control=trust_control,
                expose_query=expose_query,
                server_timing=server_timing,
                max_body=max_body,
                prefix=prefix,
                scope_of=scope_of,
                metrics=metrics,
                clients=clients,
                degraded=degraded,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        if not self._begun:
            self._begin()
        if self._most is not None and self._under_way >= self._most:
            await self._busy(send, "proxy_busy", "too many requests are under way")
        elif self.forwarder.client.saturated:
            await self._busy(send, "upstream_busy", "every connection to the upstream is in use")
        else:
            self._under_way += 1
            try:
                if self._patience is None or not has_body(scope):
                    await self._app(scope, receive, send)
                else:
                    await self._uploaded(scope, patient(receive, self._patience), send)
            finally:
                self._under_way -= 1

    def search_by(self, rules: Iterable[SearchRule], *, guessed: bool = False) -> None:
        """Take requests for searches by other rules from now on; they may be ``guessed``."""
        if self._middleware is not None:
            self._middleware.search_by(rules, guessed=guessed)

    def dialects(self) -> dict[str, Any]:
        """Return what ``/readyz`` tells of the dialects in use."""
        return {} if self._middleware is None else self._middleware.dialects()

    @property
    def under_way(self) -> int:
        """How many requests are under way."""
        return self._under_way

    def _begin(self) -> None:
        self._begun = True
        if self.beside is not None:
            self.beside.start()

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        self._begin()
        try:
            await self._app(scope, receive, send)
        finally:
            self._begun = False
            if self.beside is not None:
                await self.beside.stop()

    async def _uploaded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request with a body, whose client may be too slow with it."""
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except SlowClientError:
            if self._failed is not None:
                self._failed("client_timeout", "")
            if started:  # an answer that the rest of the request cannot follow
                raise
            detail = "the request's body took too long to arrive"
            await answer(send, 408, "client_timeout", detail, close=True)

    async def _busy(self, send: Send, kind: str, detail: str) -> None:
        if self._failed is not None:
            self._failed(kind, "")
        await answer(send, 503, kind, detail, retry_after=_RETRY_AFTER)

    async def _bare(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward without rewriting: what steers a rewrite goes no further all the same."""
        if scope["type"] == "http" and any(name == _CONTROL for name, _ in scope["headers"]):
            headers = [line for line in scope["headers"] if line[0] != _CONTROL]
            scope = {**scope, "headers": headers}
        await self.forwarder(scope, receive, send)

    async def aclose(self) -> None:
        """Close the upstream's connections; for servers that run no lifespan."""
        if self.beside is not None:
            await self.beside.stop()
        await self.forwarder.aclose()
