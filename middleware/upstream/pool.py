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
from .lease import BufferBudget, Lease
from .limits import ConnectionLimits, Timeouts
from .request_head import HeaderLines, request_head
from .unread import TLSReader

_SWEEP = 0.05  # seconds between two searches for connections that slow clients hold

NO_CONNECTION = "no connection to the upstream could be made"


class OriginPool:
    """The connections to ``host:port`` within the limits, reused last in, first out.

    ``waiting`` is how many requests wait for a free connection. While some do, the connections that
    only slow clients hold are freed (see ``lease``).

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
        # With the lease, once the head of the response has arrived.
        self._active: dict[Connection, Lease | None] = {}
        self._budget = BufferBudget(limits.max_buffered)
        self._sweeper: asyncio.TimerHandle | None = None
        self._next_sweep = 0.0
        self._closed = False

    @property
    def active(self) -> int:
        """How many connections carry a request now."""
        return len(self._active)

    def exhausted(self) -> bool:
        """Return whether no connection is free, and none that only a slow client holds."""
        if self._permits.locked():
            self._sweep()
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
                    budget=self._budget,
                )
            self._active[connection] = None
            try:
                await connection.send_request(verb, head, content, chunked)
            except UpstreamUnreachableError as error:
                if reused and not connection.response.received:
                    raise StaleConnectionError from error
                raise
        except BaseException:
            self._release(connection)
            raise
        lease = self._active[connection] = Lease(connection, self._budget, self._release)
        return lease

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
        if self.waiting >= self._limits.max_waiting and self.exhausted():
            raise UpstreamBusyError
        self.waiting += 1
        if self._sweeper is None:
            self._keep_sweeping()
        try:
            async with asyncio.timeout(self._timeouts.pool):
                await self._permits.acquire()
        except TimeoutError:
            raise UpstreamBusyError from None
        finally:
            self.waiting -= 1

    def _keep_sweeping(self) -> None:
        """Free connections as long as requests wait for one."""
        self._sweeper = None
        if self.waiting:
            self._sweep()
            self._sweeper = self._loop.call_later(_SWEEP, self._keep_sweeping)

    def _sweep(self) -> None:
        """Free connections that only slow clients hold: as many as requests wait, or one."""
        now = self._loop.time()
        if now < self._next_sweep:
            return
        self._next_sweep = now + _SWEEP / 2
        wanted = max(1, self.waiting)
        stalled: list[tuple[float, Lease]] = []
        for lease in [each for each in self._active.values() if each is not None]:
            if wanted and lease.hand_on():
                wanted -= 1
            elif seconds := lease.stalled():
                stalled.append((seconds, lease))
        stalled.sort(key=lambda each: each[0], reverse=True)
        for _, lease in stalled[:wanted]:
            lease.give_up()

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
            self._active.pop(connection, None)
            if connection.response.charged:
                self._budget.settle(connection.response)
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


async def open_connection(
    host: str,
    port: int,
    *,
    ssl_context: ssl.SSLContext | None,
    timeouts: Timeouts,
    budget: BufferBudget,
) -> Connection:
    """Return a new connection, with the TLS handshake done. Errors: ``UpstreamError``."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeouts.connect):
            transport, connection = await loop.create_connection(
                lambda: Connection(timeouts, budget), host, port
            )
            if ssl_context is not None:
                secured = await loop.start_tls(
                    transport, connection, ssl_context, server_hostname=host
                )
                if secured is None:  # the connection was lost right after the handshake
                    raise ConnectionResetError
                TLSReader.install(transport)
                connection.connection_made(secured)
    except TimeoutError as error:
        raise UpstreamTimeoutError("connect") from error
    except (OSError, UnicodeError) as error:  # ssl.SSLError is an OSError
        raise UpstreamUnreachableError(NO_CONNECTION) from error
    return connection
