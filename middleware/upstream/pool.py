"""Kept-alive connections to one origin.

httpcore's own pool serves any number of origins. Under cancellation it loses slots: a request that
is cancelled between being given a new connection and using it leaves that connection in the pool
for good (httpcore issue 1093), and its bookkeeping grows with the square of the waiting requests.
With one origin a pool is a semaphore and a stack, so this one is both.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterable

from ..errors import (
    StaleConnectionError,
    UpstreamBusyError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from .connection import Connection
from .limits import ConnectionLimits, Timeouts
from .request_head import HeaderLines, request_head
from .response import UpstreamResponse

NO_CONNECTION = "no connection to the upstream could be made"


class OriginPool:
    """The connections to ``host:port`` within the limits, reused last in, first out.

    ``waiting`` is how many requests wait for a free connection.

    Invariants: every taken permit of the semaphore belongs to one request between ``send`` and the
    release of its lease; idle connections hold no permit, and there are never more of them than
    ``max_connections``.

    Concurrency: one event loop. Cancelling a request, at any await, closes its connection and
    frees its permit.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        limits: ConnectionLimits,
        timeouts: Timeouts,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._host = host
        self._port = port
        self._limits = limits
        self._timeouts = timeouts
        self._ssl_context = ssl_context
        self._loop = asyncio.get_running_loop()
        self._permits = asyncio.Semaphore(limits.max_connections)
        self.waiting = 0
        self._idle: deque[Connection] = deque()
        self._active: set[Connection] = set()
        self._closed = False

    @property
    def active(self) -> int:
        """How many connections carry a request now."""
        return len(self._active)

    @property
    def full(self) -> bool:
        """Whether no connection is free."""
        return self._permits.locked()

    async def send(
        self,
        method: str,
        target: bytes,
        headers: HeaderLines,
        content: bytes | AsyncIterable[bytes],
        *,
        fresh: bool = False,
    ) -> Lease:
        """Send a request and return its response with the body unread.

        The caller must release the lease. ``fresh`` forbids a kept-alive connection.
        Errors: ``UpstreamError``, among them ``StaleConnectionError``, and ``RequestRefusedError``
        for a head that HTTP forbids.
        """
        verb = method.encode("ascii", "replace")
        head = request_head(verb, target, headers)
        chunked = (b"transfer-encoding", b"chunked") in headers
        if self._permits.locked():
            await self._wait_for_permit()
        else:
            await self._permits.acquire()

        connection: Connection | None = None
        try:
            connection = None if fresh else self._take_idle()
            reused = connection is not None
            if connection is None:
                connection = await open_connection(
                    self._host,
                    self._port,
                    ssl_context=self._ssl_context,
                    timeouts=self._timeouts,
                )
            self._active.add(connection)
            try:
                await connection.send_request(verb, head, content, chunked)
            except UpstreamUnreachableError as error:
                if reused and not connection.response.received:
                    raise StaleConnectionError from error
                raise
        except BaseException:
            self._release(connection)
            raise
        return Lease(self, connection)

    async def aclose(self) -> None:
        """Close every connection; requests that use one fail.

        Requests that still wait for a permit are served, but leave no connection behind.
        """
        self._closed = True
        while self._idle:
            self._idle.pop().abort()
        for connection in self._active:
            connection.abort()

    async def _wait_for_permit(self) -> None:
        if self.waiting >= self._limits.max_waiting:
            raise UpstreamBusyError
        self.waiting += 1
        try:
            async with asyncio.timeout(self._timeouts.pool):
                await self._permits.acquire()
        except TimeoutError:
            raise UpstreamBusyError from None
        finally:
            self.waiting -= 1

    def _take_idle(self) -> Connection | None:
        oldest = self._loop.time() - self._limits.keepalive_expiry
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since >= oldest:
                return connection
            connection.abort()
        return None

    def _release(self, connection: Connection | None) -> None:
        """Free a permit; keep its connection if it can carry another request."""
        if connection is not None:
            connection.finish()
            self._active.discard(connection)
            if connection.reusable and not self._closed:
                connection.idle_since = self._loop.time()
                self._idle.append(connection)
            else:
                connection.abort()
        # The least recently used connections are at the bottom, which low load never reaches.
        oldest = self._loop.time() - self._limits.keepalive_expiry
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().abort()
        self._permits.release()


class Lease(UpstreamResponse):
    """A response, and its connection until it is released; releasing it again does nothing."""

    __slots__ = ("_connection", "_pool")

    def __init__(self, pool: OriginPool, connection: Connection) -> None:
        super().__init__(connection.response.status, connection.response.headers)
        self._pool = pool
        self._connection: Connection | None = connection

    @property
    def uploading(self) -> bool:
        return self._connection is not None and self._connection.uploading

    async def read(self) -> bytes:
        return b"" if self._connection is None else await self._connection.read()

    async def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool._release(connection)


async def open_connection(
    host: str, port: int, *, ssl_context: ssl.SSLContext | None, timeouts: Timeouts
) -> Connection:
    """Return a new connection, with the TLS handshake done. Errors: ``UpstreamError``."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeouts.connect):
            _, connection = await loop.create_connection(
                lambda: Connection(timeouts),
                host,
                port,
                ssl=ssl_context,
                server_hostname=host if ssl_context is not None else None,
            )
    except TimeoutError as error:
        raise UpstreamTimeoutError("connect") from error
    except (OSError, UnicodeError) as error:  # ssl.SSLError is an OSError
        raise UpstreamUnreachableError(NO_CONNECTION) from error
    return connection
