"""One HTTP/1.1 connection to the upstream, on an asyncio transport.

Requests are written as they are given: a raw 0xE9 in a target is common (old forms in Latin-1),
and other servers pass it on. Every request passes this layer, so it does little: a request is one
write, and a response that arrives in one piece wakes its reader once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import Literal, cast

from ..errors import UpstreamTimeoutError, UpstreamUnreachableError
from .limits import Timeouts
from .request_head import one_chunk
from .response_parser import ResponseParser

_HIGH_WATER = 256 * 1024

NOT_TAKEN = "the upstream closed the connection while the request was sent"


class Connection(asyncio.Protocol):
    """A connection that carries one request at a time; ``response`` is that of the last one.

    ``idle_since`` is for the pool, in seconds of the event loop.

    Invariants: once the response holds more than the high-water mark, reading is paused until its
    reader has taken everything, so at most the mark plus one read of the loop is held. ``_reader``
    and ``_writer`` are set only while one coroutine waits for them. Bytes that belong to no
    response make the connection unusable.

    Concurrency: one event loop. A cancelled request leaves its connection in the middle of an
    exchange, so the connection must be closed.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self.response = ResponseParser()
        self.idle_since = 0.0
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._sent = self._ended = self._lost = False
        self._reading_paused = self._writing_paused = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether an idle connection can carry a request."""
        return not (self._ended or self.response.excess)

    @property
    def reusable(self) -> bool:
        """Whether the exchange is over on both sides and another one may follow."""
        response = self.response
        over = response.complete and self._sent and not response.chunks
        return over and response.keep_alive and self.usable

    async def send_request(
        self, method: bytes, head: bytes, content: bytes | AsyncIterable[bytes], chunked: bool
    ) -> None:
        """Send a request and wait until the head of ``response`` has arrived.

        Errors: ``UpstreamError``; whatever an asynchronous ``content`` raises.
        """
        self.response = response = ResponseParser()
        response.expect(bodyless=method == b"HEAD")
        self._sent = False
        try:
            if isinstance(content, bytes):
                await self._write(head + (one_chunk(content) if chunked else content))
            else:
                await self._write(head)
                async for chunk in content:
                    if chunk:
                        await self._write(
                            b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk
                        )
                if chunked:
                    await self._write(b"0\r\n\r\n")
            self._sent = True
        except UpstreamUnreachableError:
            # The upstream may have answered why it reads no more.
            if not response.received:
                raise
        while not response.head_done:
            if response.error is not None:
                raise response.error from response.cause
            await self._wait_readable()

    async def read(self) -> bytes:
        """Return the next bytes of the body, or ``b""`` at its end. Errors: ``UpstreamError``."""
        response = self.response
        while not response.chunks:
            if response.complete:
                return b""
            if response.error is not None:
                raise response.error from response.cause
            await self._wait_readable()
        chunks = response.chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        response.buffered = 0
        if self._reading_paused and self._transport is not None and not self._lost:
            self._transport.resume_reading()
            self._reading_paused = False
        return data

    def abort(self) -> None:
        """Close at once; unsent bytes are dropped, and waiting coroutines are woken."""
        if self._transport is not None:
            self._transport.abort()

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast and no check, because other event loops have transport classes of their own.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        response = self.response
        response.feed(data)
        if (
            response.buffered > _HIGH_WATER
            and not response.complete
            and not self._reading_paused
            and self._transport is not None
        ):
            self._transport.pause_reading()
            self._reading_paused = True
        _wake(self._reader)

    def eof_received(self) -> None:
        self._ended = True
        self.response.end()
        _wake(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = self._ended = True
        self.response.cut_off(exc)
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        _wake(self._writer)

    async def _write(self, data: bytes) -> None:
        """Send bytes; return once the transport can take more."""
        if self._ended or self._transport is None or self._transport.is_closing():
            raise UpstreamUnreachableError(NOT_TAKEN)
        self._transport.write(data)
        while self._writing_paused:
            self._writer = self._loop.create_future()
            try:
                await _wait(self._writer, self._timeouts.write, "write")
            finally:
                self._writer = None
            if self._lost:
                raise UpstreamUnreachableError(NOT_TAKEN)

    async def _wait_readable(self) -> None:
        self._reader = self._loop.create_future()
        try:
            await _wait(self._reader, self._timeouts.read, "read")
        finally:
            self._reader = None


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def _wait(
    waiter: asyncio.Future[None],
    seconds: float | None,
    phase: Literal["read", "write"],
) -> None:
    """Wait for a future. Errors: ``UpstreamTimeoutError`` after so many seconds.

    A timer on the future costs a third of ``asyncio.timeout``, which has to cancel the task.
    """
    if seconds is None:
        await waiter
        return
    timer = waiter.get_loop().call_later(seconds, _expire, waiter, phase)
    try:
        await waiter
    finally:
        timer.cancel()


def _expire(waiter: asyncio.Future[None], phase: Literal["read", "write"]) -> None:
    if not waiter.done():
        waiter.set_exception(UpstreamTimeoutError(phase))
