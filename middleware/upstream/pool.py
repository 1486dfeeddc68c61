"""Kept-alive connections to one origin.

httpcore's own pool serves any number of origins. Under cancellation it loses slots: a request that
is cancelled between being given a new connection and using it leaves that connection in the pool
for good (httpcore issue 1093), and its bookkeeping grows with the square of the waiting requests.
With one origin a pool is a semaphore and a stack, so this one is both, around httpcore's HTTP/1.1
connection.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator

import httpcore

from middleware.upstream.stream import SocketStream, open_stream

__all__ = ["OriginPool", "StaleConnectionError"]

# What a request over a connection that the other side has just closed can end with.
_CUT_OFF = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)


class StaleConnectionError(Exception):
    """A kept-alive connection was closed before a byte of the answer came.

    The request may be sent again on a new connection when it is safe to repeat.
    """


class OriginPool:
    """At most ``max_connections`` connections to ``host:port``, reused last in, first out.

    ``max_waiting`` requests may wait for one of them. Times are seconds. ``keepalive_expiry`` is
    how long a connection may be idle and still be used; it should be below the upstream's own
    limit.

    Invariants: every slot of the semaphore that is taken belongs to one request between
    :meth:`handle_async_request` and the end (or close) of its response; idle connections hold no
    slot, and there are never more of them than ``max_connections``.

    Concurrency: one event loop. Cancelling a request, at any await, closes its connection and
    frees its slot.
    """

    def __init__(
        self,
        scheme: str,
        host: str,
        port: int,
        *,
        max_connections: int,
        max_waiting: int,
        keepalive_expiry: float,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._origin = httpcore.Origin(scheme.encode("ascii"), host.encode("ascii"), port)
        self._host = host
        self._port = port
        self._max_connections = max_connections
        self._keepalive_expiry = keepalive_expiry
        self._ssl_context = ssl_context
        self._slots = asyncio.Semaphore(max_connections)
        self._max_waiting = max_waiting
        self._waiting = 0
        self._idle: deque[_Connection] = deque()
        self._active: set[_Connection] = set()
        self._closed = False

    @property
    def active(self) -> int:
        """How many connections carry a request now."""
        return len(self._active)

    @property
    def saturated(self) -> bool:
        """Whether no slot is free, and as many wait for one as may."""
        return self._waiting >= self._max_waiting and self._slots.locked()

    @property
    def idle(self) -> int:
        """How many connections are kept for later."""
        return len(self._idle)

    async def handle_async_request(
        self, request: httpcore.Request, *, fresh: bool = False
    ) -> httpcore.Response:
        """Send ``request`` and return the response with its body unread.

        The caller must exhaust or close the response's stream. ``fresh`` forbids a kept-alive
        connection. Raises httpcore's exceptions and :class:`StaleConnectionError`.
        """
        timeouts = request.extensions.get("timeout", {})
        if self._slots.locked():
            if self._waiting >= self._max_waiting:
                raise httpcore.PoolTimeout("no free connection")
            self._waiting += 1
            try:
                async with asyncio.timeout(timeouts.get("pool")):
                    await self._slots.acquire()
            except TimeoutError:
                raise httpcore.PoolTimeout("no free connection") from None
            finally:
                self._waiting -= 1
        else:
            await self._slots.acquire()

        connection: _Connection | None = None
        try:
            connection = None if fresh else self._take_idle()
            reused = connection is not None
            if connection is None:
                stream = await open_stream(
                    self._host,
                    self._port,
                    ssl_context=self._ssl_context,
                    timeout=timeouts.get("connect"),
                )
                connection = _Connection(self._origin, stream, self._keepalive_expiry)
            self._active.add(connection)
            connection.stream.begin(_swap_target(request))
            try:
                response = await connection.http.handle_async_request(request)
            except _CUT_OFF as error:
                if connection.stream.received:
                    raise
                if reused:
                    raise StaleConnectionError from error
                raise httpcore.ReadError("closed before answering") from error
        except BaseException:
            self._release(connection)
            raise
        return httpcore.Response(
            response.status,
            headers=response.headers,
            content=_LeasedBody(self, connection, response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close every connection, those in use included (their requests fail).

        Requests that still wait for a slot are served, but leave no connection behind.
        """
        self._closed = True
        while self._idle:
            self._idle.pop().stream.abort()
        for connection in self._active:
            connection.stream.abort()

    def _take_idle(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.http.has_expired():
                return connection
            connection.stream.abort()
        return None

    def _release(self, connection: _Connection | None) -> None:
        """Give a slot back; keep its connection when it can carry another request."""
        if connection is not None:
            self._active.discard(connection)
            if connection.http.is_idle() and not connection.stream.stale and not self._closed:
                self._idle.append(connection)
            else:
                connection.stream.abort()
        # The least recently used connections are at the bottom and would never be looked at while
        # the load is low.
        while self._idle and self._idle[0].http.has_expired():
            self._idle.popleft().stream.abort()
        self._slots.release()


class _Connection:
    """One HTTP/1.1 connection and the socket below it."""

    __slots__ = ("http", "stream")

    def __init__(
        self, origin: httpcore.Origin, stream: SocketStream, keepalive_expiry: float
    ) -> None:
        self.stream = stream
        self.http = httpcore.AsyncHTTP11Connection(origin, stream, keepalive_expiry)


class _LeasedBody:
    """A response body that gives its slot back exactly once: at its end, or when it is closed."""

    __slots__ = ("_connection", "_pool", "_response")

    def __init__(
        self, pool: OriginPool, connection: _Connection, response: httpcore.Response
    ) -> None:
        self._pool = pool
        self._connection: _Connection | None = connection
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.aiter_stream():
                yield chunk
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await self._response.aclose()
            finally:
                self._pool._release(connection)


def _swap_target(request: httpcore.Request) -> tuple[bytes, bytes] | None:
    """Hide a target that h11 would refuse; returns the two request lines for the stream.

    h11 takes visible ASCII only, but a raw 0xE9 in a query is common enough (old forms in
    Latin-1), and other servers pass it on.
    """
    target = request.url.target
    if target.isascii():
        return None
    request.url = httpcore.URL(
        scheme=request.url.scheme, host=request.url.host, port=request.url.port, target=b"/"
    )
    return (
        b"%b / HTTP/1.1\r\n" % request.method,
        b"%b %b HTTP/1.1\r\n" % (request.method, target),
    )
