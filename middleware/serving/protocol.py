"""The HTTP/1.1 protocol class of the server, a subclass of uvicorn's.

It corrects these points of uvicorn's class (with httptools), which matter to a proxy:

- A head may have any size. Here it is limited to ``MAX_HEAD`` bytes.
- Trailers of a chunked body are added to the headers (RFC 9110, 6.5.1). Here they are dropped.
- A target with bytes that are not ASCII is refused, but ``curl`` sends them. Here it is accepted.
- A response to HTTP/1.0 may be chunked (RFC 9112, 6.1). Here the end of the connection ends it.
- A request without ``Host``, with two, or with one that is no host, is accepted, and so are CONNECT
  and RTSP. Here they are refused (RFC 9112, 3.2).
- The body of a request that offers another protocol is lost. Here the offer is ignored.
- A client that never reads its response holds the connection forever. Here it is disconnected.
- Any number of blank lines, headers, escapes and tiny chunks holds the loop. Here it is bounded.
- Any number of requests may be pipelined, a malformed one is answered too early, and only the last
  one learns that the client has disconnected. Here all three are right.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from ..http.extensions import BARE_QUERY, OFFER_IGNORED
from .chunks import ChunkLines
from .exchange import HoldingFlow, UnframedCycle
from .heads import OFFER, OfferMask, check_head, escape, speaks_http, with_path
from .timers import TimedProtocol

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

MAX_HEAD = 64 * 1024
"""Bytes of a request's target and headers. A larger head is refused with 400."""

MAX_PIPELINED = 32  # requests on one connection that wait for the response to an earlier one

MAX_HEADERS = 500
"""Headers of a request. One with more is refused with 400."""

MAX_ESCAPES = 4096
"""Percent escapes in a request's path, each of which takes long to decode."""

MAX_PIECES = 200
"""Pieces, such as lines of a chunked body, that are fed to the parser in one turn of the loop."""

_TOO_LARGE = "The request's head is too large."
_BLANK_LINES = re.compile(rb"[\r\n]+")
_MAX_BLANK = 64  # bytes of blank lines before a request


class BoundedProtocol(TimedProtocol):
    """One connection of a client.

    Concurrency: owned by its event loop.
    """

    _line: bytearray | None = None  # a request line so far, None outside of one
    _typed: bytes | None = None  # the target as it was sent, if the parser gets an escaped one
    _reading_head = False
    _body_left = 0  # bytes of a body whose length is known
    _parsed = 0  # bytes of the head that the parser has reported
    _received = 0  # bytes of the head that came, reported or not
    _last = False  # the last request is complete
    _foreign = False  # the request line names another protocol than HTTP
    _offered = False  # the head offers an upgrade
    _blank = 0  # bytes of blank lines before the head

    _running: RequestResponseCycle | None = None  # the next to respond; ``cycle`` came last
    _refusal: str | None = None  # the error for a malformed request, until its turn to respond

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to read a request line."""
        super().connection_made(transport)
        self.flow = self._flow = HoldingFlow(transport)
        self._offers = OfferMask()
        self._chunks = ChunkLines()
        self._line = bytearray()

    def data_received(self, data: bytes) -> None:
        """Feed the parser, with each request target escaped to ASCII."""
        if self._flow.rest is not None:
            self._flow.rest += data
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Feed the parser piece by piece; the rest after many pieces waits for the loop's turn."""
        at = pieces = 0
        while at < len(data) and self._refusal is None and not self.transport.is_closing():
            if pieces == MAX_PIECES:
                self._flow.hold(data[at:])
                self.loop.call_soon(self._go_on)
                return
            pieces += 1
            if self._line is not None and not self._line and data[at] in b"\r\n":
                at = self._after_blank_lines(data, at)
                continue
            chunks = self._line is None and not self._reading_head and not self._body_left
            size = self._piece_size(data, at)
            piece = data[at : at + size]
            at += size
            if self._line is not None:
                piece = self._offers.apply(self._escaped(piece, self._line))
            elif self._reading_head:
                piece = self._offers.apply(piece)
            elif chunks:
                piece = self._chunks.masked(piece)
            if piece:
                self._feed(piece)
            if chunks and self._line is None and not self._reading_head:
                self._body_left = self._chunks.length_after(piece)

    def _go_on(self) -> None:
        """Feed what is left of data, and read on once nothing is."""
        self._take(self._flow.release())
        full = self.cycle is not None and len(self.cycle.body) > HIGH_WATER_LIMIT
        if not (full or self.pipeline or self._refusal is not None):
            self.flow.resume_reading()

    def _after_blank_lines(self, data: bytes, at: int) -> int:
        """Return where blank lines before a request end (RFC 9112, 2.2); refuse many of them."""
        blank = _BLANK_LINES.match(data, at)
        end = blank.end() if blank else at
        self._blank += end - at
        if self._blank > _MAX_BLANK:
            self.send_400_response("Too many blank lines.")
        return end

    def _feed(self, data: bytes) -> None:
        """Feed the parser, and refuse a head that it buffers without an end."""
        if self._reading_head:
            self._received += len(data)
        super().data_received(data)
        if self._reading_head and self._received > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response(_TOO_LARGE)

    def _piece_size(self, data: bytes, at: int) -> int:
        """Return how many bytes to feed, such that each request starts a new piece."""
        line_end = data.find(b"\n", at) + 1 or len(data)
        if self._line is not None and not data[at:line_end].isascii():
            return line_end - at  # headers may hold such bytes, unescaped
        if self._line is not None or self._reading_head:
            if self._reading_head and data[at] in b"\r\n":  # the last piece may end with half of it
                return line_end - at
            end = data.find(b"\r\n\r\n", at)
            return (end + 4 if end >= 0 else len(data)) - at
        # A chunked body may end with any of its lines.
        return len(data) - at if self._last else self._body_left or line_end - at

    def on_message_begin(self) -> None:
        """Start to read a head."""
        if not self._line:  # the line is complete, or was in one piece with the last request
            self._line = None
        self._reading_head, self._parsed, self._received, self._blank = True, 0, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; drop a trailer."""
        if self._reading_head:
            self._count(len(name) + len(value) + 4)  # with ": " and the end of the line
            if len(self.headers) == MAX_HEADERS:
                raise ValueError("too many headers")
            if name.lower() == OFFER:
                name, self._offered = b"upgrade", True
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        """Check the head, and start the application.

        A ``ValueError`` makes the parser report a malformed request.
        """
        self._reading_head = False
        version = self.parser.get_http_version()
        check_head(self.headers, self.parser.get_method(), version)
        if self._foreign:
            raise ValueError("not HTTP")
        if self.url.partition(b"?")[0].count(b"%") > MAX_ESCAPES:
            raise ValueError("too many escapes in the path")
        length = next((value for name, value in self.headers if name == b"content-length"), b"0")
        self._body_left = int(length)  # the parser has validated it
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many pipelined requests")
        if version == "1.0":  # RFC 9110, 10.1.1
            self.expect_100_continue = False
        self.url = with_path(self.url, self.parser.get_method())
        super().on_headers_complete()
        # The application's task exists now but has not run: its scope may still be changed.
        scope = cast("dict[str, Any]", self.scope)
        if self.url.endswith(b"?"):
            scope[BARE_QUERY] = True
        if self._offered:
            scope[OFFER_IGNORED], self._offered = True, False
        typed, self._typed = self._typed, None
        if typed is not None and typed.startswith(b"/") and escape(typed) == self.url:
            path, _, query = typed.partition(b"#")[0].partition(b"?")
            scope["raw_path"] = self.root_path.encode("ascii") + path
            scope["query_string"] = query
        if scope["http_version"] == "1.0":
            self.cycle.__class__ = UnframedCycle

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body_left = max(0, self._body_left - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request, and start to read the next one's line."""
        self._body_left = 0
        # After the last request of a connection, no more is read.
        self._last = not self.parser.should_keep_alive()
        self._offers.reset()
        self._chunks.reset()
        self._line = None if self._last else bytearray()
        super().on_message_complete()
        if self.cycle.response_complete:  # before the body was
            self.await_request()

    def send_400_response(self, msg: str) -> None:
        """Refuse a malformed request, after the responses to those ahead of it."""
        running = self._running
        if running is None or running.response_complete or running.more_body:
            super().send_400_response(msg)
        else:
            self._refusal = msg
            self.flow.pause_reading()

    def on_response_complete(self) -> None:
        """Start the next pipelined request, or refuse a malformed one."""
        super().on_response_complete()
        running = self._running
        last = running is None or running.response_complete or running.more_body
        if self._refusal is not None and last and not self.transport.is_closing():
            super().send_400_response(self._refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every application whose response is not complete that the client disconnected."""
        for cycle in (self._running, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        self._running = None
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _count(self, size: int) -> None:
        self._parsed += size
        if self._parsed > MAX_HEAD:
            raise ValueError(_TOO_LARGE)  # the parser reports a malformed request

    def _escaped(self, data: bytes, line: bytearray) -> bytes:
        """Return ``data`` with the request line's bytes beyond ASCII percent-encoded.

        ``line`` collects the line as it was sent; once it is complete, its target is kept.
        """
        end = data.find(b"\n")
        part = data if end < 0 else data[:end]
        line += part
        if end >= 0 or len(line) > MAX_HEAD:
            self._line = None
            self._foreign = not speaks_http(bytes(line[-32:]))
            if end >= 0 and not line.isascii() and len(words := line.split()) == 3:
                self._typed = bytes(words[1])
        return data if part.isascii() else escape(part) + data[len(part) :]
