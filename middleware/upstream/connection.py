"""One HTTP/1.1 connection to the upstream, on an asyncio transport.

Requests are written as they are given: a raw 0xE9 in a target is common (old forms in Latin-1),
and other servers pass it on. Every request passes this layer, so it does little: a request is one
write, and a response that arrives in one piece wakes its reader once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Literal, cast

from ..errors import UpstreamError, UpstreamTimeoutError, UpstreamUnreachableError
from .limits import Timeouts
from .request_head import one_chunk
from .response_parser import STEP, ResponseParser
from .unread import left_unread

if TYPE_CHECKING:
    from .lease import BufferBudget

_SMALL = 16 * 1024  # bytes of a request that an upstream reads also if it refuses it
_LARGE = 128 * 1024  # bytes of a request beside which a new connection costs little

NOT_TAKEN = "the upstream closed the connection while the request was sent"


class Connection(asyncio.Protocol):
    """A connection that carries one request at a time; ``response`` is that of the last one.

    ``idle_since`` is for the pool, in seconds of the event loop.

    Invariants: once the response holds more than it is allowed to and the ``budget`` adds nothing,
    reading is paused until its reader has taken most of it, so at most one read of the loop more is
    held. ``_reader``
    and ``_writer`` are set only while one coroutine waits for them. Bytes that belong to no
    response make the connection unusable. A body that does not go out in one write is sent by a
    task, because the upstream may answer before it has read all of it; the task ends with the body
    or with ``finish``.

    Concurrency: one event loop. A cancelled request leaves its connection in the middle of an
    exchange, so the connection must be closed.
    """

    def __init__(self, timeouts: Timeouts, budget: BufferBudget) -> None:
        self.response = ResponseParser()
        self.idle_since = 0.0
        self._timeouts = timeouts
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._sent = self._early = self._ended = self._lost = False
        self._size = 0  # bytes of the request that were put out
        self._reading_paused = self._writing_paused = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._upload: asyncio.Task[None] | None = None

    @property
    def uploading(self) -> bool:
        """Whether the request's body is still being sent."""
        return self._upload is not None and not self._upload.done()

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for the upstream now."""
        return self._reader is not None

    @property
    def usable(self) -> bool:
        """Whether an idle connection can carry a request."""
        return not (self._ended or self.response.excess)

    @property
    def reusable(self) -> bool:
        """Whether the exchange is over on both sides and another one may follow."""
        response = self.response
        # After an early answer, nobody knows where the upstream takes the next request to begin.
        # It may be early although all was sent: the upstream's system holds what nobody read.
        early = self._early or self._size > (_LARGE if response.status < 300 else _SMALL)
        over = response.complete and self._sent and not early and not response.chunks
        return over and response.keep_alive and self.usable

    async def send_request(
        self, method: bytes, head: bytes, content: bytes | AsyncIterable[bytes], chunked: bool
    ) -> None:
        """Send a request and wait until the head of ``response`` has arrived.

        The rest of ``content`` is sent while the response is read, until the response is complete.
        Errors: ``UpstreamError``; whatever an asynchronous ``content`` raises, also from ``read``.
        """
        self.response = response = ResponseParser()
        response.expect(bodyless=method == b"HEAD")
        self._sent = self._early = False
        self._size = 0
        if isinstance(content, bytes):
            self._put(head + (one_chunk(content) if chunked else content))
            self._sent = not self._writing_paused
        else:
            self._put(head)
        if not self._sent:
            self._upload = self._loop.create_task(self._send_body(content, chunked))
            self._upload.add_done_callback(self._body_ended)
        while not response.head_done:
            await self._wait_for_response()

    async def _send_body(self, content: bytes | AsyncIterable[bytes], chunked: bool) -> None:
        await self._writable()
        if not isinstance(content, bytes):
            async for chunk in content:
                if chunk:
                    self._put(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
                    await self._writable()
            if chunked:
                self._put(b"0\r\n\r\n")
                await self._writable()
        self._sent = True

    def _body_ended(self, upload: asyncio.Task[None]) -> None:
        if not upload.cancelled():
            upload.exception()  # marks it as retrieved
        _wake(self._reader)

    async def read(self) -> bytes:
        """Return the next bytes of the body, or ``b""`` at its end. Errors: ``UpstreamError``."""
        response = self.response
        while not response.chunks:
            if response.complete:
                return b""
            await self._wait_for_response()
        data = response.take()
        if response.charged and not response.chunks:
            self._budget.settle(response)
        if self._reading_paused and response.buffered < STEP:
            self._resume()
        return data

    def hand_over(self) -> ResponseParser:
        """Give a complete response to whoever reads the rest of it; the exchange is over."""
        given = self.response
        self.response = over = ResponseParser()
        over.complete, over.keep_alive, over.excess = True, given.keep_alive, given.excess
        over.status = given.status
        self._resume()
        return given

    def finish(self) -> None:
        """Stop sending the request's body; the exchange is over."""
        if self._upload is not None:
            self._upload.cancel()
            self._upload = None

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
        if response.head_done and not self._sent:
            self._early = True
        if (
            response.buffered > response.allowed
            and not response.complete
            and not self._reading_paused
            and self._transport is not None
            and not self._budget.extend(response)
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
        if exc is not None and self._transport is not None:
            for data in left_unread(self._transport):
                self.response.feed(data)
        self.response.cut_off(exc)
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        _wake(self._writer)

    def _resume(self) -> None:
        """Read on, if reading was paused."""
        if self._reading_paused and self._transport is not None and not self._lost:
            self._transport.resume_reading()
            self._reading_paused = False

    def _put(self, data: bytes) -> None:
        """Send bytes without waiting."""
        if self._ended or self._transport is None or self._transport.is_closing():
            if not self.response.received:  # otherwise the upstream may have said why
                raise UpstreamUnreachableError(NOT_TAKEN)
        else:
            self._size += len(data)
            self._transport.write(data)

    async def _writable(self) -> None:
        """Wait until the transport can take more."""
        while self._writing_paused and not self._lost:
            self._writer = self._loop.create_future()
            try:
                await _wait(self._writer, self._timeouts.write, "write")
            finally:
                self._writer = None
        if self._ended:
            raise UpstreamUnreachableError(NOT_TAKEN)

    async def _wait_for_response(self) -> None:
        """Wait for bytes of the response, or for the end of the request's body.

        The time limit begins at that end. Errors: as ``send_request``.
        """
        response, upload = self.response, self._upload
        if upload is not None and upload.done():
            self._upload = None
            error = None if upload.cancelled() else upload.exception()
            # An upstream that answers may stop reading; its answer matters more.
            if error is not None and not (response.received and isinstance(error, UpstreamError)):
                raise error
        if response.error is not None:
            raise response.error from response.cause
        self._reader = self._loop.create_future()
        try:
            await _wait(self._reader, None if self.uploading else self._timeouts.read, "read")
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
