"""A TCP or TLS connection as an httpcore network stream, straight on an asyncio transport.

httpcore's own stream asks the operating system whether an idle socket became readable; this one is
told by the event loop. It also knows what the pool needs to retry safely (did a byte of the answer
arrive?) and can send the request targets that h11 refuses to write (bytes above 0x7E).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Any

import httpcore

__all__ = ["SocketStream", "open_stream"]

_HIGH_WATER = 256 * 1024


class SocketStream(httpcore.AsyncNetworkStream, asyncio.Protocol):
    """Both the protocol that the event loop feeds and the stream that httpcore reads.

    Invariants: once ``_buffered`` is above the high-water mark reading is paused until the reader
    has taken everything, so at most the mark plus one read of the loop is held. ``_reader`` and
    ``_writer`` are set only while one coroutine waits for them.

    Concurrency: belongs to one event loop and to one request at a time. Cancelling a read loses no
    bytes; cancelling a write leaves the request half sent, so the connection must be closed.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._reading_paused = False
        self._writing_paused = False
        self._ended = False
        self._lost = False
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._first_line: tuple[bytes, bytes] | None = None
        self.received = False

    def begin(self, first_line: tuple[bytes, bytes] | None) -> None:
        """Start an exchange: forget what was received, and set the request line to be swapped in.

        ``first_line`` is the line as h11 will write it and the line to send in its place.
        """
        self.received = False
        self._first_line = first_line

    @property
    def stale(self) -> bool:
        """Whether an idle connection can't be used again: it was closed, or spoke unasked."""
        return self._ended or self._lost or self._buffered > 0

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.received = True
        self._chunks.append(data)
        self._buffered += len(data)
        if self._buffered > _HIGH_WATER and not self._reading_paused and self._transport:
            self._transport.pause_reading()
            self._reading_paused = True
        _wake(self._reader)

    def eof_received(self) -> None:
        self._ended = True
        _wake(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = self._ended = True
        self._error = exc
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        _wake(self._writer)

    # What httpcore calls.

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """The next bytes, or nothing at the end of the stream."""
        while not self._chunks:
            if self._error is not None:
                raise httpcore.ReadError("connection lost")
            if self._ended:
                return b""
            self._reader = self._loop.create_future()
            try:
                await _bounded(self._reader, timeout, httpcore.ReadTimeout)
            finally:
                self._reader = None
        data = self._chunks.popleft()
        if len(data) > max_bytes:
            self._chunks.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self._buffered -= len(data)
        if self._reading_paused and not self._buffered and self._transport and not self._lost:
            self._transport.resume_reading()
            self._reading_paused = False
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Send ``buffer``; returns when the transport can take more."""
        if self._first_line is not None:
            written, wanted = self._first_line
            assert buffer.startswith(written)
            buffer = wanted + buffer[len(written) :]
            self._first_line = None
        if self._lost or self._transport is None or self._transport.is_closing():
            raise httpcore.WriteError("connection lost")
        if buffer:
            self._transport.write(buffer)
        while self._writing_paused:
            self._writer = self._loop.create_future()
            try:
                await _bounded(self._writer, timeout, httpcore.WriteTimeout)
            finally:
                self._writer = None
            if self._lost:
                raise httpcore.WriteError("connection lost")

    async def aclose(self) -> None:
        self.abort()

    def abort(self) -> None:
        """Close at once; what was not sent yet is dropped."""
        if self._transport is not None:
            self._transport.abort()

    def get_extra_info(self, info: str) -> Any:
        return self.stale if info == "is_readable" else None


async def open_stream(
    host: str,
    port: int,
    *,
    ssl_context: ssl.SSLContext | None,
    timeout: float | None,  # noqa: ASYNC109
) -> SocketStream:
    """Connect within ``timeout`` seconds, TLS handshake included.

    Raises ``httpcore.ConnectTimeout`` or ``httpcore.ConnectError``.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            _, stream = await loop.create_connection(
                SocketStream,
                host,
                port,
                ssl=ssl_context,
                server_hostname=host if ssl_context is not None else None,
            )
    except TimeoutError:
        raise httpcore.ConnectTimeout("connect timed out") from None
    except ssl.SSLError as error:
        raise httpcore.ConnectError("the TLS handshake failed") from error
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("connection failed") from error
    return stream


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def _bounded(
    waiter: asyncio.Future[None],
    timeout: float | None,  # noqa: ASYNC109
    error: type[Exception],
) -> None:
    """Wait for ``waiter``; after ``timeout`` seconds raise ``error``.

    A timer on the future costs a third of ``asyncio.timeout``, which has to cancel the task.
    """
    if timeout is None:
        await waiter
        return
    timer = waiter.get_loop().call_later(timeout, _expire, waiter, error)
    try:
        await waiter
    finally:
        timer.cancel()


def _expire(waiter: asyncio.Future[None], error: type[Exception]) -> None:
    if not waiter.done():
        waiter.set_exception(error("timed out"))
