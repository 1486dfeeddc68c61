"""Both ends of the wire, on blocking sockets: the upstream that records, and the client.

A blocking socket gives what was received before a reset, which an event loop may drop.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .cases import Case, Plan

__all__ = ["END", "Arrived", "Upstream", "talk", "upstream"]

LIMIT = 30.0  # seconds until something hangs; far above what anything takes
LAST = b"the end"
END = b"GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
"""A request that a server answers and then closes, sent after those of a case."""

_TIMES = 3  # of it, as a server may take the first ones for a part of what came before
_APART = 0.0005  # seconds between pieces, so that most are read one by one


@dataclass(frozen=True)
class Arrived:
    """A request that reached the upstream whole: its body without framing, names in lower case."""

    method: bytes
    target: bytes
    lines: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass
class Upstream:
    """Answers by ``plan``, and keeps what arrived whole. One client is served at a time."""

    plan: Plan = field(default_factory=Plan)
    port: int = 0
    arrived: list[Arrived] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _busy: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _open: set[socket.socket] = field(default_factory=set)

    def settled(self) -> list[Arrived]:
        """Return what arrived since the last time, once no request is half read or answered."""
        self._over.set()
        with self._changed:
            assert self._changed.wait_for(lambda: self._busy == 0, LIMIT), "the upstream is busy"
            found, self.arrived = self.arrived, []
        self._over.clear()
        return found

    def accept(self, listener: socket.socket) -> None:
        """Serve each connection in a thread, until the listener is shut down."""
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._changed:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """End every connection."""
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, connection: socket.socket) -> None:
        stream = _Stream(connection)
        try:
            while stream.more():
                self._count(1)
                try:
                    if not self._exchange(stream, connection):
                        return
                finally:
                    self._count(-1)
        except (OSError, EOFError, ValueError):
            pass
        finally:
            with self._changed:
                self._open.discard(connection)
            connection.close()

    def _count(self, change: int) -> None:
        with self._changed:
            self._busy += change
            self._changed.notify_all()

    def _exchange(self, stream: _Stream, connection: socket.socket) -> bool:
        first, *rest = stream.until(b"\r\n\r\n")[:-4].split(b"\r\n")
        lines = tuple(
            (name.lower(), value[1:]) for name, _, value in (r.partition(b":") for r in rest)
        )
        method, _, target = first.partition(b" ")
        target = target.rpartition(b" ")[0]
        if method == b"GET" and target == b"/end":
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(LAST), LAST)
            )
            return True
        plan = self.plan
        found = Arrived(method, target, lines, b"" if plan.early else stream.body(dict(lines)))
        with self._changed:
            self.arrived.append(found)
        for piece in _telling(found) if plan.pieces is None else plan.pieces:
            connection.sendall(piece)
            if len(plan.pieces or ()) > 1:
                time.sleep(_APART)
        if plan.then == "keep":
            return True
        if plan.then in ("end", "drain"):
            if plan.then == "end":
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        elif plan.then == "wait":
            self._over.wait(LIMIT)
        if plan.then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()  # here, so that it is done once the upstream has settled
        return False


class _Stream:
    """Bytes of a connection, read as they are needed. Errors: ``EOFError`` at its end."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._data = b""

    def more(self) -> bool:
        """Wait for a byte; return whether there is one."""
        if not self._data:
            self._data = self._connection.recv(65536)
        return bool(self._data)

    def until(self, end: bytes) -> bytes:
        """Return all up to an end, with it."""
        while end not in self._data:
            self._read()
        found, _, self._data = self._data.partition(end)
        return found + end

    def exactly(self, size: int) -> bytes:
        """Return so many bytes."""
        while len(self._data) < size:
            self._read()
        found, self._data = self._data[:size], self._data[size:]
        return found

    def body(self, lines: dict[bytes, bytes]) -> bytes:
        """Return the body that the head's lines tell of."""
        if b"transfer-encoding" in lines:
            body = b""
            while size := int(self.until(b"\r\n"), 16):
                body += self.exactly(size + 2)[:-2]
            while self.until(b"\r\n") != b"\r\n":
                pass
            return body
        return self.exactly(int(lines.get(b"content-length", b"0")))

    def _read(self) -> None:
        data = self._connection.recv(1 << 20)
        if not data:
            raise EOFError
        self._data += data


def _telling(found: Arrived) -> tuple[bytes]:
    """Return an answer that tells what came, so that a mistaken one shows."""
    told = b"%b %b %d" % (found.method, found.target, len(found.body))
    lines = b"HTTP/1.1 200 OK\r\nX-From: upstream\r\nContent-Length: %d\r\n\r\n" % len(told)
    return (lines + (b"" if found.method == b"HEAD" else told),)


@contextmanager
def upstream() -> Iterator[Upstream]:
    """Run an upstream on a free port of 127.0.0.1."""
    made = Upstream()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # A small window: of a large body that nobody reads, a part stays with the client.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        made.port = listener.getsockname()[1]
        thread = threading.Thread(target=made.accept, args=(listener,))
        thread.start()
        try:
            yield made
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(LIMIT)
            made.close()


def talk(port: int, case: Case) -> bytes:
    """Send a case's bytes and the last requests; return all that came until the server closed.

    Errors: ``TimeoutError``.
    """
    with socket.create_connection(("127.0.0.1", port), LIMIT) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        received = b""
        pieces = list(case.pieces)
        if case.awaits:
            connection.sendall(pieces.pop(0))
            while case.awaits not in received:
                if not (data := connection.recv(65536)):
                    return received
                received += data
        sending = threading.Thread(target=_send, args=(connection, pieces, case.leaves))
        sending.start()
        try:
            while data := connection.recv(65536):
                received += data
        except ConnectionError:
            pass
        finally:
            # What is not sent yet has no reader any more.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            sending.join(LIMIT)
        return received


def _send(connection: socket.socket, pieces: list[bytes], leaves: bool) -> None:
    with contextlib.suppress(OSError):
        for piece in pieces:
            connection.sendall(piece)
            if len(pieces) > 1:
                time.sleep(_APART)
        if leaves:
            connection.shutdown(socket.SHUT_WR)
        else:
            connection.sendall(END * _TIMES)
