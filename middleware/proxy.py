"""The reverse proxy: the middleware around an application that forwards to one upstream."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from middleware.asgi import (
    DEFAULT_PREFIX,
    MAX_BODY,
    ASGIApp,
    Receive,
    ReformulationMiddleware,
    Scope,
    Send,
)
from middleware.clients import Clients
from middleware.instrumentation.metrics import Metrics
from middleware.rules import SearchRule
from middleware.runtime.reformulator import Reformulator
from middleware.upstream.client import UpstreamClient
from middleware.upstream.forwarder import Forwarder

__all__ = ["ReverseProxy"]


class ReverseProxy:
    """Forwards every request to one upstream, searches with their text rewritten.

    ``upstream`` is a URL, ``http(s)://host[:port][/base]``, or a client for one; the
    remaining options are those of :class:`ReformulationMiddleware` and
    :class:`~middleware.upstream.forwarder.Forwarder`. Without a reformulator it only forwards.

    Serve it with uvicorn's own ``Date`` and ``Server`` headers off, as the upstream's go through.
    Errors: :class:`~middleware.errors.ConfigurationError` from the constructor.
    """

    def __init__(
        self,
        upstream: str | UpstreamClient,
        *,
        reformulator: Reformulator | None = None,
        rules: Iterable[SearchRule] | None = None,
        trust_control: bool = False,
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
    ) -> None:
        self.forwarder = Forwarder(
            upstream,
            preserve_host=preserve_host,
            forwarded=forwarded,
            via=via,
            server_timing=server_timing,
        )
        self.reformulator = reformulator
        self._app: ASGIApp = self.forwarder
        if reformulator is not None:
            self._app = ReformulationMiddleware(
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
        await self._app(scope, receive, send)

    async def aclose(self) -> None:
        """Close the upstream's connections; for servers that run no lifespan."""
        await self.forwarder.aclose()
