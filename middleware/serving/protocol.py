"""HTTP/1.1 of the server in front, where uvicorn's own does not do what a proxy must.

uvicorn takes heads of any size, and adds the trailers of a chunked body to the headers of its
request, also after the application has judged them (RFC 9110, 6.5.1 forbids to merge them). It
refuses targets with bytes beyond ASCII, which ``curl`` sends as they are typed, and frames
answers to HTTP/1.0 in chunks, which such clients take for a part of the answer (RFC 9112, 6.1).
It takes requests without a ``Host`` and with two, waits for ever for a client that does not read,
takes any number of requests in a row, answers one that is broken before those ahead of it, and
tells only the last of them that the client has left.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ..http.extensions import BARE_QUERY

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application, ASGISendEvent

__all__ = ["MAX_HEAD", "MAX_IN_A_ROW", "BoundedProtocol"]

MAX_HEAD = 64 * 1024
"""Bytes of a request's target and headers; a larger head is refused with 400."""

MAX_IN_A_ROW = 32
"""Requests that may wait on one connection for the answer to an earlier one."""

_SEND_LIMIT = 30.0  # seconds
_TOO_LARGE = "The request's head is too large."
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds, without trailers, and open to any target.

    A client that takes none of its answer for ``send_limit`` seconds is cut off.
    """

    _line: bytearray | None = None  # what came of a request line, while it is read
    _typed: bytes | None = None  # the target, where the parser is told another spelling of it
    _reading_head = False
    _left = 0  # of a body whose length is known
    _head = 0  # what the parser has told of the head
    _held = 0  # what came of it, told or not

    _running: RequestResponseCycle | None = None  # whose answer is next; ``cycle`` came last
    _refusal: str | None = None  # what is said of a broken request, once it is its turn
    _stalled: asyncio.TimerHandle | None = None

    def __init__(self, *given: Any, send_limit: float = _SEND_LIMIT, **named: Any) -> None:
        super().__init__(*given, **named)
        self._send_limit = send_limit

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a request line."""
        super().connection_made(transport)
        self._line = bytearray()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which is told each target in ASCII."""
        while data and self._refusal is None and not self.transport.is_closing():
            cut = self._boundary(data)
            piece, data = data[:cut], data[cut:]
            if self._line is not None:
                piece = self._told(piece, self._line)
            self._feed(piece)

    def _feed(self, data: bytes) -> None:
        """Feed the parser; a head that it holds on to counts as well."""
        if self._reading_head:
            self._held += len(data)
        super().data_received(data)
        if self._reading_head and self._held > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response(_TOO_LARGE)

    def _boundary(self, data: bytes) -> int:
        """Return how many bytes to feed, so that a request begins with a piece of its own."""
        if self._line is not None and not data.isascii():
            return data.find(b"\n") + 1 or len(data)  # headers may have other bytes as well
        if self._line is not None or self._reading_head:
            if self._reading_head and data[:1] in b"\r\n":  # it may have ended with the last piece
                return data.find(b"\n") + 1 or len(data)
            end = data.find(b"\r\n\r\n")
            return end + 4 if end >= 0 else len(data)
        # A chunked body ends with some line of it.
        return self._left or data.find(b"\n") + 1 or len(data)

    def on_message_begin(self) -> None:
        """Begin a head."""
        if not self._line:  # its line is known, or began in one piece with the request before
            self._line = None
        self._reading_head, self._head, self._held = True, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, unless it is a trailer."""
        if self._reading_head:
            self._grow(len(name) + len(value) + 4)  # ": " and the line's end
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End the head, and begin to answer.

        Raises ``ValueError``, which the parser makes a malformed request of.
        """
        self._reading_head = False
        names = [name for name, _ in self.headers]
        hosts, version = names.count(b"host"), self.parser.get_http_version()
        if version not in ("1.0", "1.1"):  # a line without one is HTTP/0.9 to the parser
            raise ValueError("another version of HTTP")
        if hosts > 1 or (version == "1.1" and not hosts):  # RFC 9112, 3.2
            raise ValueError("not one Host")
        if version == "1.0" and b"transfer-encoding" in names:  # RFC 9112, 6.1
            raise ValueError("chunks, in a version that has none")
        if b"content-length" in names:  # which the parser has found right
            self._left = int(self.headers[names.index(b"content-length")][1])
        if len(self.pipeline) >= MAX_IN_A_ROW:
            raise ValueError("too many requests in a row")
        super().on_headers_complete()
        # The task that answers was made just now, and has not begun.
        scope = cast("dict[str, Any]", self.scope)
        if self.url.endswith(b"?"):
            scope[BARE_QUERY] = True
        typed, self._typed = self._typed, None
        if typed is not None and typed.startswith(b"/") and _in_ascii(typed) == self.url:
            path, _, query = typed.partition(b"#")[0].partition(b"?")
            scope["raw_path"] = self.root_path.encode("ascii") + path
            scope["query_string"] = query
        if scope["http_version"] == "1.0":
            self.cycle.__class__ = _UnframedCycle

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._left = max(0, self._left - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; the next begins with its line."""
        # What follows the last one is nobody's.
        self._left = 0
        self._line = bytearray() if self.parser.should_keep_alive() else None
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer a broken request, after those that came before it."""
        running = self._running
        if running is None or running.response_complete or running.more_body:
            super().send_400_response(msg)
        else:
            self._refusal = msg
            self.flow.pause_reading()

    def on_response_complete(self) -> None:
        """Begin with the next request in the row."""
        super().on_response_complete()
        last = self._running is None or self._running.response_complete
        if self._refusal is not None and last and not self.transport.is_closing():
            super().send_400_response(self._refusal)

    def pause_writing(self) -> None:
        """Wait for the client to take what it has been sent."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self._send_limit, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on, as it did."""
        self._took()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all whose answer was not complete."""
        self._took()
        for cycle in (self._running, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        self._running = None
        super().connection_lost(exc)

    def _took(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _grow(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD:
            raise ValueError(_TOO_LARGE)  # which the parser makes a malformed request of

    def _told(self, data: bytes, line: bytearray) -> bytes:
        """Return ``data`` with what it has of the request line in ASCII; keep what was typed.

        Where it has more than that, it is ASCII as it is.
        """
        if not line:
            data = data.lstrip(b"\r\n")  # empty lines may come before (RFC 9112, 2.2)
        end = data.find(b"\n")
        part = data if end < 0 else data[:end]
        line += part
        if end >= 0 or len(line) > MAX_HEAD:
            self._line = None
            if end >= 0 and not line.isascii() and len(words := line.split()) == 3:
                self._typed = bytes(words[1])
        return data if data.isascii() else _in_ascii(data)


class _UnframedCycle(RequestResponseCycle):
    """An answer to HTTP/1.0, which ends with the connection where its length is not known."""

    _unframed = False

    async def send(self, message: ASGISendEvent) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            if all(name.lower() != b"content-length" for name, _ in message.get("headers", ())):
                self._unframed, self.chunked_encoding = True, False
        elif message["type"] == "http.response.body" and self._unframed:
            self.expected_content_length = len(message.get("body", b""))  # whatever comes is right
        await super().send(message)


def _in_ascii(line: bytes) -> bytes:
    return _BEYOND_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], line)
