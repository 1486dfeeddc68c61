"""The client of one upstream: retries, the total time limit, and the choice of transport.

The response is read while the request's body is sent. Once it is complete, the rest of the body is
not sent any more. 1xx responses are skipped and trailers are dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import httpx

from ..core.arguments import checked
from ..errors import ConfigurationError, StaleConnectionError, UpstreamTimeoutError
from .httpx_transport import HttpxTransport
from .limits import ConnectionLimits, Timeouts
from .pool import OriginPool
from .request_head import HeaderLines
from .response import UpstreamResponse
from .target import Upstream

# Idempotent and free of side effects (RFC 9110, 9.2.1): may be sent again.
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class _Transport(Protocol):
    """What sends a request: the pool, or an httpx transport behind ``HttpxTransport``."""

    async def send(
        self,
        method: str,
        target: bytes,
        headers: HeaderLines,
        content: bytes | AsyncIterable[bytes],
        *,
        fresh: bool = False,
    ) -> UpstreamResponse: ...

    async def aclose(self) -> None: ...


class UpstreamClient:
    """Sends requests to one upstream over kept-alive connections.

    ``upstream`` is a URL or an ``Upstream``. ``verify`` is True, False, a path to a CA bundle, or
    an ``ssl.SSLContext``. ``transport`` replaces the connections by any httpx transport, which
    has limits of its own, and whose requests are never sent again.

    Invariants: nothing learned from one response (cookies, credentials) is sent with another
    request; the environment is not read.

    Concurrency: any number of tasks. The first request opens the pool and ties it to the running
    event loop; a request in another loop gets a new pool, and so does the next one after
    ``aclose``. Cancelling an exchange closes its connection. Errors: ``ConfigurationError``.
    """

    @checked
    def __init__(
        self,
        upstream: Upstream | str,
        *,
        timeouts: Timeouts | None = None,
        limits: ConnectionLimits | None = None,
        verify: bool | str | Path | ssl.SSLContext = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.upstream = Upstream.parse(upstream) if isinstance(upstream, str) else upstream
        self._timeouts = timeouts or Timeouts()
        self._limits = limits or ConnectionLimits()
        self._ssl_context = _ssl_context(verify) if self.upstream.scheme == "https" else None
        self._injected = (
            None if transport is None else HttpxTransport(transport, self.upstream, self._timeouts)
        )
        self._pool: OriginPool | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def active_connections(self) -> int:
        """How many connections of the pool carry a request now (0 with a transport of your own)."""
        return 0 if self._pool is None else self._pool.active

    @property
    def saturated(self) -> bool:
        """Whether one more request would be rejected at once."""
        pool = self._pool
        return pool is not None and pool.waiting >= self._limits.max_waiting and pool.exhausted()

    def exchange(
        self,
        method: str,
        target: bytes,
        headers: HeaderLines,
        content: bytes | AsyncIterable[bytes] = b"",
        *,
        retry_safe: bool | None = None,
    ) -> contextlib.AbstractAsyncContextManager[UpstreamResponse]:
        """Send a request and give its response, whose head has arrived and whose body is unread.

        ``target`` and ``headers`` go on the wire as they are; ``headers`` must hold ``Host`` and
        the framing of ``content``. If a kept-alive connection turns out to be closed, a request
        that is ``retry_safe`` (by default: GET, HEAD, OPTIONS) and whose ``content`` is bytes
        is sent again on a new one. Errors: ``UpstreamError``; ``RequestRefusedError`` for a head
        that HTTP forbids; whatever an asynchronous ``content`` raises.
        """
        transport: _Transport | None = self._injected
        if transport is None:
            loop = asyncio.get_running_loop()
            if self._pool is None or self._loop is not loop:
                self._loop = loop
                self._pool = OriginPool(
                    self.upstream.host,
                    self.upstream.port,
                    limits=self._limits,
                    timeouts=self._timeouts,
                    ssl_context=self._ssl_context,
                )
            transport = self._pool
        if retry_safe is None:
            retry_safe = method in _SAFE_METHODS
        repeatable = retry_safe and isinstance(content, bytes)
        exchange = _Exchange(transport, method, target, headers, content, repeatable)
        total = self._timeouts.total
        return exchange if total is None else _bounded(exchange, total)

    async def aclose(self) -> None:
        """Close all connections; requests in flight fail with ``UpstreamError``."""
        if self._injected is not None:
            await self._injected.aclose()
        pool, self._pool = self._pool, None
        if pool is not None and self._loop is asyncio.get_running_loop():
            await pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


@dataclass(eq=False, slots=True)
class _Exchange:
    """One request from its first byte to the release of its response.

    A class, as a generator with its context manager costs every request some microseconds more.
    """

    transport: _Transport
    method: str
    target: bytes
    headers: HeaderLines
    content: bytes | AsyncIterable[bytes]
    repeatable: bool
    response: UpstreamResponse | None = None

    async def __aenter__(self) -> UpstreamResponse:
        send = self.transport.send
        try:
            response = await send(self.method, self.target, self.headers, self.content)
        except StaleConnectionError:
            if not self.repeatable:
                raise
            response = await send(self.method, self.target, self.headers, self.content, fresh=True)
        self.response = response
        return response

    async def __aexit__(self, *error: object) -> None:
        if self.response is not None:
            await self.response.release()


@contextlib.asynccontextmanager
async def _bounded(exchange: _Exchange, seconds: float) -> AsyncIterator[UpstreamResponse]:
    """Limit the time of a whole exchange."""
    timer = asyncio.timeout(seconds)
    try:
        async with timer, exchange as response:
            yield response
    except TimeoutError:
        if timer.expired():
            raise UpstreamTimeoutError("total") from None
        raise


def _ssl_context(verify: bool | str | Path | ssl.SSLContext) -> ssl.SSLContext:
    if isinstance(verify, ssl.SSLContext):
        return verify
    try:
        if isinstance(verify, str | Path):
            return ssl.create_default_context(cafile=str(verify))
        return httpx.create_ssl_context(verify=verify, trust_env=False)
    except OSError as error:
        raise ConfigurationError(
            f"the CA bundle {str(verify)!r} can't be read ({error.strerror or 'not PEM'})"
        ) from None
