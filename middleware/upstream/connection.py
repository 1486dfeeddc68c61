"""One HTTP/1.1 connection to the upstream, straight on an asyncio transport.

Answers are parsed by llhttp (through httptools), which is strict about what frames a message.
Requests are written as they are given: a raw 0xE9 in a target is common enough (old forms in
Latin-1), and other servers pass it on. It is the layer on every request's way, so it does little:
a request is one write, an answer that comes in one piece wakes its reader once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import cast

import httptools

from ..errors import (
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from .limits import Timeouts
from .request_head import one_chunk

__all__ = ["Connection"]

_HIGH_WATER = 256 * 1024
_MAX_HEAD = 100 * 1024
_BODYLESS = frozenset({204, 304})

NOT_HTTP = "the upstream's answer is not valid HTTP/1.1"
CUT_OFF = "the upstream closed the connection before its answer was complete"
NOT_TAKEN = "the upstream closed the connection while the request was sent"
NO_CONNECTION = "no connection to the upstream could be made"


class Connection(asyncio.Protocol):
    """What the event loop feeds and one request at a time reads.

    Invariants: once more than the high-water mark is held, reading is paused until the reader has
    taken everything, so at most the mark plus one read of the loop is held. ``_reader`` and
    ``_writer`` are set only while one coroutine waits for them. ``_parser`` is set from a
    request's start to its answer's end; bytes at any other time make the connection unusable.

    Concurrency: belongs to one event loop and to one request at a time. A request that is
    cancelled leaves its connection in the middle, so it must be closed.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.received = False
        self.idle_since = 0.0
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._bodyless = False
        self._head_size = 0
        self._head_done = self._interim = self._complete = False
        self._to_the_end = self._kept = self._sent = False
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._reading_paused = self._writing_paused = False
        self._ended = self._lost = self._unasked = False
        self._error: UpstreamError | None = None
        self._cause: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether an idle connection can be used: it is open, and nothing came unasked."""
        return not (self._ended or self._unasked)

    @property
    def reusable(self) -> bool:
        """Whether the exchange is over on both sides and another one may follow."""
        over = self._complete and self._sent and not self._chunks
        return over and self._kept and self.usable

    async def ask(
        self, method: bytes, head: bytes, content: bytes | AsyncIterable[bytes], chunked: bool
    ) -> None:
        """Send a request and wait for its answer's head; see ``status`` and ``headers``.

        Raises ``UpstreamError``; exceptions of an asynchronous ``content`` pass through.
        """
        self._parser = httptools.HttpResponseParser(self)
        self._bodyless = method == b"HEAD"
        self._head_size = 0
        self.headers = []
        self.received = False
        self._head_done = self._interim = self._complete = self._to_the_end = False
        self._sent = self._kept = False
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
            # It may have said why before it stopped listening.
            if not self.received:
                raise
        while not self._head_done:
            if self._error is not None:
                raise self._error from self._cause
            await self._readable()

    async def read(self) -> bytes:
        """The body's next bytes as they came, or nothing at its end. Raises ``UpstreamError``."""
        while not self._chunks:
            if self._complete:
                return b""
            if self._error is not None:
                raise self._error from self._cause
            await self._readable()
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._buffered = 0
        if self._reading_paused and self._transport is not None and not self._lost:
            self._transport.resume_reading()
            self._reading_paused = False
        return data

    def abort(self) -> None:
        """Close at once; what was not sent yet is dropped, and who waits is told."""
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # By its use and not by its class: other event loops' transports have classes of their own.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received = True
        if self._parser is None:
            self._unasked = True
            return
        if not self._head_done:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._complete:
                self._unasked = True  # what follows the answer is none
            else:
                self._fail(UpstreamProtocolError(NOT_HTTP), error)
        if not self._head_done and self._head_size > _MAX_HEAD:
            self._fail(UpstreamProtocolError(NOT_HTTP))
        if self._complete:
            self._parser = None
        elif (
            self._buffered > _HIGH_WATER
            and not self._reading_paused
            and self._transport is not None
        ):
            self._transport.pause_reading()
            self._reading_paused = True
        _wake(self._reader)

    def eof_received(self) -> None:
        self._ended = True
        if self._to_the_end and self._error is None:
            self._complete, self._parser = True, None
        elif self._parser is not None:
            self._fail(UpstreamUnreachableError(CUT_OFF))
        _wake(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = self._ended = True
        if self._parser is not None:
            self._fail(UpstreamUnreachableError(CUT_OFF), exc)
            self._parser = None  # it holds on to this object
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        _wake(self._writer)

    # What the parser calls; what is raised here would be lost in it.

    def on_message_begin(self) -> None:
        if self._complete:
            self._unasked = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_done:  # else it is a trailer, which is dropped
            self.headers.append((name, value.rstrip(b" \t")))  # RFC 9110, 5.5

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        if self._head_done:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.headers = []
            self._interim = True
            return
        if not 200 <= status < 600:
            self._fail(UpstreamProtocolError("the upstream answered with an unusable status"))
            return
        self._kept = self._parser.get_http_version() == "1.1"
        framed = False
        for name, value in self.headers:
            name = name.lower()
            if name == b"connection":
                said = value.lower()
                self._kept = b"close" not in said and (self._kept or b"keep-alive" in said)
            elif name == b"content-length":
                framed = True
            elif name == b"transfer-encoding":
                framed = True
                if value.strip().lower() != b"chunked":  # another coding would get lost
                    self._fail(UpstreamProtocolError(NOT_HTTP))
                    return
        self.status = status
        self._head_done = True
        if self._bodyless or status in _BODYLESS:
            self._complete = True
        else:
            self._to_the_end = not framed

    def on_body(self, body: bytes) -> None:
        if self._complete:
            self._unasked = True  # an answer to HEAD with a body
        else:
            self._chunks.append(body)
            self._buffered += len(body)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif self._error is None:
            self._complete = True

    def _fail(self, error: UpstreamError, cause: Exception | None = None) -> None:
        if self._error is None and not self._complete:
            self._error, self._cause = error, cause

    async def _write(self, data: bytes) -> None:
        """Send; returns when the transport can take more."""
        if self._ended or self._transport is None or self._transport.is_closing():
            raise UpstreamUnreachableError(NOT_TAKEN)
        self._transport.write(data)
        while self._writing_paused:
            self._writer = self._loop.create_future()
            try:
                await _bounded(self._writer, self._timeouts.write, "write")
            finally:
                self._writer = None
            if self._lost:
                raise UpstreamUnreachableError(NOT_TAKEN)

    async def _readable(self) -> None:
        self._reader = self._loop.create_future()
        try:
            await _bounded(self._reader, self._timeouts.read, "read")
        finally:
            self._reader = None


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def _bounded(
    waiter: asyncio.Future[None],
    timeout: float | None,  # noqa: ASYNC109
    phase: str,
) -> None:
    """Wait for ``waiter``; after ``timeout`` seconds raise.

    A timer on the future costs a third of ``asyncio.timeout``, which has to cancel the task.
    """
    if timeout is None:
        await waiter
        return
    timer = waiter.get_loop().call_later(timeout, _expire, waiter, phase)
    try:
        await waiter
    finally:
        timer.cancel()


def _expire(waiter: asyncio.Future[None], phase: str) -> None:
    if not waiter.done():
        waiter.set_exception(UpstreamTimeoutError("read" if phase == "read" else "write"))
