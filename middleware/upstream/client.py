"""One upstream's client: what is sent again, how long all may take, and over what.

Requests are half duplex: the answer is read once the request's body is sent, or once the upstream
stops taking it. 1xx answers are skipped and trailers are dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import httpx

from ..errors import ConfigurationError
from .connection import Timeouts
from .errors import UpstreamTimeoutError
from .httpx_transport import HttpxTransport, translate
from .pool import OriginPool, StaleConnectionError
from .request_head import HeaderLines
from .response import UpstreamResponse
from .target import Upstream

__all__ = ["UpstreamClient", "UpstreamResponse", "translate"]

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

    Times are seconds; None means no limit. ``read_timeout`` and ``write_timeout`` each wait for
    bytes, ``total_timeout`` is the whole exchange up to the last byte of the body. At most
    ``max_connections`` requests are sent at a time; ``max_waiting`` further ones wait for their
    turn, ``pool_timeout`` at most, and the others are turned away at once. ``verify`` is True,
    False, a path to a CA bundle, or an ``ssl.SSLContext``. ``transport`` replaces the connection
    pool by any httpx transport; such a transport keeps its own limits, and its requests are never
    retried.

    Invariants: nothing learned from one response (cookies, credentials) is sent with another
    request; the environment is not read.

    Concurrency: nothing is opened before the first request, which ties the pool to the running
    event loop; a later request in another loop gets a new pool. Any number of tasks may use it.
    Cancelling an exchange closes its connection. After ``aclose`` the next request opens a
    new pool.
    """

    def __init__(
        self,
        upstream: Upstream | str,
        *,
        connect_timeout: float | None = 5.0,
        read_timeout: float | None = 30.0,
        write_timeout: float | None = 30.0,
        total_timeout: float | None = None,
        max_connections: int = 100,
        max_waiting: int = 1000,
        pool_timeout: float | None = 1.0,
        keepalive_expiry: float = 4.0,
        verify: bool | str | Path | ssl.SSLContext = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        for name, value in (
            ("connect_timeout", connect_timeout),
            ("read_timeout", read_timeout),
            ("write_timeout", write_timeout),
            ("total_timeout", total_timeout),
            ("pool_timeout", pool_timeout),
        ):
            if value is not None and not value > 0:
                raise ConfigurationError(
                    f"{name} is {value!r}; give seconds above 0, or None for no limit"
                )
        if max_connections < 1:
            raise ConfigurationError(
                f"max_connections is {max_connections!r}; it must be 1 or more"
            )
        if max_waiting < 0:
            raise ConfigurationError(f"max_waiting is {max_waiting!r}; it must be 0 or more")
        self.upstream = Upstream.parse(upstream) if isinstance(upstream, str) else upstream
        self._total_timeout = total_timeout
        self._max_connections = max_connections
        self._max_waiting = max_waiting
        self._keepalive_expiry = keepalive_expiry
        self._timeouts = Timeouts(
            pool=pool_timeout,
            connect=connect_timeout,
            read=read_timeout,
            write=write_timeout,
        )
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
        """Whether one more request would be turned away at once."""
        return self._pool is not None and self._pool.saturated

    def exchange(
        self,
        method: str,
        target: bytes,
        headers: HeaderLines,
        content: bytes | AsyncIterable[bytes] = b"",
        *,
        retry_safe: bool | None = None,
    ) -> contextlib.AbstractAsyncContextManager[UpstreamResponse]:
        """Send a request; inside the block the response's head is there and its body is read.

        ``target`` and ``headers`` go on the wire as they are; ``headers`` must carry ``Host`` and
        the framing of ``content``. A request on a kept-alive connection that the upstream closed
        before a byte of the answer came is sent once more on a new one, if ``retry_safe`` (by
        default: GET, HEAD, OPTIONS) and ``content`` is bytes. Raises ``UpstreamError``, and
        ``RequestRefusedError`` for a head that HTTP forbids; exceptions of an asynchronous
        ``content`` pass through.
        """
        if retry_safe is None:
            retry_safe = method in _SAFE_METHODS
        repeatable = retry_safe and isinstance(content, bytes)
        exchange = _Exchange(self._transport(), method, target, headers, content, repeatable)
        return exchange if self._total_timeout is None else _bounded(exchange, self._total_timeout)

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

    def _transport(self) -> _Transport:
        if self._injected is not None:
            return self._injected
        loop = asyncio.get_running_loop()
        if self._pool is None or self._loop is not loop:
            self._loop = loop
            self._pool = OriginPool(
                self.upstream.host,
                self.upstream.port,
                max_connections=self._max_connections,
                max_waiting=self._max_waiting,
                keepalive_expiry=self._keepalive_expiry,
                timeouts=self._timeouts,
                ssl_context=self._ssl_context,
            )
        return self._pool


class _Exchange:
    """One request from its first byte to the release of its answer."""

    __slots__ = (
        "_content",
        "_headers",
        "_method",
        "_repeatable",
        "_response",
        "_target",
        "_transport",
    )

    def __init__(
        self,
        transport: _Transport,
        method: str,
        target: bytes,
        headers: HeaderLines,
        content: bytes | AsyncIterable[bytes],
        repeatable: bool,
    ) -> None:
        self._transport = transport
        self._method = method
        self._target = target
        self._headers = headers
        self._content = content
        self._repeatable = repeatable
        self._response: UpstreamResponse | None = None

    async def __aenter__(self) -> UpstreamResponse:
        send = self._transport.send
        try:
            response = await send(self._method, self._target, self._headers, self._content)
        except StaleConnectionError:
            if not self._repeatable:
                raise
            response = await send(
                self._method, self._target, self._headers, self._content, fresh=True
            )
        self._response = response
        return response

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._response is not None:
            await self._response.release()


@contextlib.asynccontextmanager
async def _bounded(exchange: _Exchange, seconds: float) -> AsyncIterator[UpstreamResponse]:
    """Let an exchange take so long in all."""
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
