"""What the system received before a write failed: it may be the upstream's answer.

An upstream that answers early and closes resets the connection. A write then fails, and the event
loop drops what it has not read, although it may be the whole answer.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

_MAX_READS = 64  # of 64 KiB


def left_unread(transport: asyncio.BaseTransport) -> Iterator[bytes]:
    """Yield what a lost connection still holds; nothing if TLS decrypts what it reads."""
    handle = transport.get_extra_info("socket")
    if handle is None or transport.get_extra_info("sslcontext") is not None:
        return
    try:
        with socket.socket(fileno=os.dup(handle.fileno())) as copy:
            for _ in range(_MAX_READS):
                if not (data := copy.recv(65536)):
                    return
                yield data
    except OSError:  # nothing is left
        return


class TLSReader(asyncio.BufferedProtocol):
    """Stands between a connection and asyncio's TLS, to which it gives what was left unread."""

    def __init__(self, transport: asyncio.BaseTransport, tls: asyncio.BufferedProtocol) -> None:
        self._transport = transport
        self._tls = tls

    @classmethod
    def install(cls, transport: asyncio.Transport) -> None:
        """Watch a connection whose handshake is done; does nothing on other event loops.

        uvloop reads before it writes, and its TLS takes no data from outside.
        """
        tls = transport.get_protocol()
        if isinstance(tls, asyncio.BufferedProtocol):
            transport.set_protocol(cls(transport, tls))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to put the next bytes."""
        return memoryview(self._tls.get_buffer(sizehint))

    def buffer_updated(self, nbytes: int) -> None:
        """Decrypt so many bytes."""
        self._tls.buffer_updated(nbytes)

    def eof_received(self) -> bool | None:
        """End reading."""
        return self._tls.eof_received()

    def pause_writing(self) -> None:
        """Pause, as the system takes no more."""
        self._tls.pause_writing()

    def resume_writing(self) -> None:
        """Go on."""
        self._tls.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Decrypt what was left unread, and end."""
        if exc is not None:
            for data in left_unread(self._transport):
                at = 0
                while at < len(data):
                    buffer = self.get_buffer(len(data) - at)
                    part = data[at : at + len(buffer)]
                    buffer[: len(part)] = part
                    self._tls.buffer_updated(len(part))
                    at += len(part)
        self._tls.connection_lost(exc)
