"""Parses a response of the upstream with llhttp (through httptools), which is strict on framing."""

from __future__ import annotations

import httptools

from ..errors import UpstreamError, UpstreamProtocolError, UpstreamUnreachableError

_MAX_HEAD = 100 * 1024
_OVERHEAD = 48  # bytes that an object of bytes takes beside its content
_MAX_BLANK = 64  # bytes of blank lines and of the protocol's name that are looked at
_BODYLESS = frozenset({204, 304})
_PROTOCOL = b"HTTP/1."

STEP = 256 * 1024
"""Bytes of a body that are held before its reader takes them."""

PART = 64 * 1024
"""Bytes of a body that its reader takes at a time: small, to see early that a client takes some."""

NOT_HTTP = "the upstream's answer is not valid HTTP/1.1"
CUT_OFF = "the upstream closed the connection before its answer was complete"


class ResponseParser:
    """One response as far as it was received: its head, and the parts of its body not read yet.

    ``received`` is set with the first byte, ``head_done`` once ``status`` and ``headers`` are
    final, ``complete`` at the end, ``keep_alive`` if another request may follow. ``excess`` is set
    if bytes were received that belong to no response. ``error`` and its ``cause`` are those of a
    response that is malformed or was cut off. ``length`` is that of the body, 0 if unknown.
    ``allowed`` is how many bytes may be buffered, and ``charged`` for how many there is a budget.

    Invariants: ``_parser`` is set from ``expect`` to the end of the response; it is then dropped,
    because it refers back to this object. Concurrency: one event loop.
    """

    __slots__ = (
        "_bodyless", "_head_size", "_interim", "_parser", "_start", "_until_close", "allowed",
        "buffered", "cause", "charged", "chunks", "complete", "error", "excess", "head_done",
        "headers", "keep_alive", "length", "received", "status",
    )  # fmt: skip

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.chunks: list[bytes] = []
        self.buffered = 0  # bytes in chunks
        self.allowed = STEP
        self.length = self.charged = 0
        self.received = self.head_done = self.complete = self.keep_alive = self.excess = False
        self.error: UpstreamError | None = None
        self.cause: Exception | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._bodyless = self._interim = self._until_close = False
        self._head_size = 0
        self._start = b""  # the first bytes, until it is known what protocol they speak

    def expect(self, *, bodyless: bool) -> None:
        """Expect the response now; ``bodyless`` is set for HEAD, whose response has no body."""
        self._bodyless = bodyless
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Parse the next bytes; a fault is kept in ``error``."""
        self.received = True
        if self._parser is None:
            self.excess = True
            return
        if not self.head_done:
            self._head_size += len(data)
            if len(self._start) < len(_PROTOCOL):
                self._start = (self._start + data[:_MAX_BLANK]).lstrip(b"\r\n")[: len(_PROTOCOL)]
                if not _PROTOCOL.startswith(self._start):  # the parser takes RTSP for HTTP, too
                    self._fail(UpstreamProtocolError(NOT_HTTP))
                    return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.complete:
                self.excess = True
            else:
                self._fail(UpstreamProtocolError(NOT_HTTP), error)
        if not self.head_done and self._head_size > _MAX_HEAD:
            self._fail(UpstreamProtocolError(NOT_HTTP))
        if self.complete:
            self._parser = None

    def take(self) -> bytes:
        """Return the next bytes that were received, ``b""`` if there are none."""
        chunks = self.chunks
        if self.buffered <= PART:
            data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks.clear()
            self.buffered = 0
            return data
        size = count = 0
        while count < len(chunks) and size + len(chunks[count]) <= PART:
            size += len(chunks[count])
            count += 1
        data = b"".join(chunks[:count])
        del chunks[:count]
        self.buffered -= size + count * _OVERHEAD
        return data

    def end(self) -> None:
        """Note that the upstream sends no more, which completes a body without framing."""
        if self._until_close and self.error is None:
            self.complete, self._parser = True, None
        elif self._parser is not None:
            self._fail(UpstreamUnreachableError(CUT_OFF))

    def cut_off(self, cause: Exception | None) -> None:
        """Note that the connection is lost; a response that is not complete failed."""
        if self._parser is not None:
            self._fail(UpstreamUnreachableError(CUT_OFF), cause)
            self._parser = None

    # Called by the parser, which would lose an exception.

    def on_message_begin(self) -> None:
        if self.complete:
            self.excess = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head_done:  # otherwise it is a trailer, which is dropped
            self.headers.append((name, value.rstrip(b" \t")))  # RFC 9110, 5.5

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        if self.head_done:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.headers = []
            self._interim = True
            return
        if not 200 <= status < 600:
            self._fail(UpstreamProtocolError("the upstream answered with an unusable status"))
            return
        self.keep_alive = self._parser.get_http_version() == "1.1"
        framed = False
        for name, value in self.headers:
            name = name.lower()
            if name == b"connection":
                options = value.lower()
                self.keep_alive = b"close" not in options and (
                    self.keep_alive or b"keep-alive" in options
                )
            elif name == b"content-length":
                framed = True
                self.length = int(value) if value.isdigit() else 0
            elif name == b"transfer-encoding":
                framed = True
                if value.strip().lower() != b"chunked":  # another coding would be lost
                    self._fail(UpstreamProtocolError(NOT_HTTP))
                    return
        self.status = status
        self.head_done = True
        if self._bodyless or status in _BODYLESS:
            self.complete = True
        else:
            self._until_close = not framed

    def on_body(self, body: bytes) -> None:
        if self.complete:
            self.excess = True  # a response to HEAD with a body
        else:
            if len(body) <= PART:
                self.chunks.append(body)
            else:
                self.chunks += [body[at : at + PART] for at in range(0, len(body), PART)]
            self.buffered += len(body) + _OVERHEAD * (1 + (len(body) - 1) // PART)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        elif self.error is None:
            self.complete = True

    def _fail(self, error: UpstreamError, cause: Exception | None = None) -> None:
        if self.error is None and not self.complete:
            self.error, self.cause = error, cause
