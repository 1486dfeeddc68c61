"""HTTP/1.1 of the server in front, where uvicorn's own does not do what a proxy must.

uvicorn takes heads of any size, and adds the trailers of a chunked body to the headers of its
request, also after the application has judged them (RFC 9110, 6.5.1 forbids to merge them). It
refuses targets with bytes beyond ASCII, which ``curl`` sends as they are typed, and frames
answers to HTTP/1.0 in chunks, which such clients take for a part of the answer (RFC 9112, 6.1).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from middleware.scope_keys import BARE_QUERY

if TYPE_CHECKING:
    import asyncio

    from uvicorn._types import ASGISendEvent

__all__ = ["MAX_HEAD", "BoundedProtocol"]

MAX_HEAD = 64 * 1024
"""Bytes of a request's target and headers; a larger head is refused with 400."""

_TOO_LARGE = "The request's head is too large."
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a bound on heads, without trailers, and open to any target."""

    _line: bytearray | None = None  # what came of a request line, while it is read
    _typed: bytes | None = None  # the target, where the parser is told another spelling of it
    _reading_head = False
    _head = 0  # what the parser has told of the head
    _held = 0  # what came of it, told or not

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin with a request line."""
        super().connection_made(transport)
        self._line = bytearray()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; a head that it holds on to counts as well."""
        if self._line is not None:
            data = self._told(data, self._line)
        if self._reading_head:
            self._held += len(data)
        super().data_received(data)
        if self._reading_head and self._held > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response(_TOO_LARGE)

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
        """End the head, and begin to answer."""
        self._reading_head = False
        super().on_headers_complete()
        # The task that answers was made just now, and has not begun.
        scope = cast("dict[str, Any]", self.scope)
        if self.url.endswith(b"?"):
            scope[BARE_QUERY] = True
        typed, self._typed = self._typed, None
        if typed is not None and typed.startswith(b"/") and _in_ascii(typed) == self.url:
            path, _, query = typed.partition(b"?")
            scope["raw_path"] = self.root_path.encode("ascii") + path
            scope["query_string"] = query
        if scope["http_version"] == "1.0":
            self.cycle.__class__ = _UnframedCycle

    def on_message_complete(self) -> None:
        """End a request; the next begins with its line."""
        self._line = bytearray()
        super().on_message_complete()

    def _grow(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD:
            raise ValueError(_TOO_LARGE)  # which the parser makes a malformed request of

    def _told(self, data: bytes, line: bytearray) -> bytes:
        """Return ``data`` with what it has of the request line in ASCII; keep what was typed."""
        if not line:
            data = data.lstrip(b"\r\n")  # empty lines may come before (RFC 9112, 2.2)
        end = data.find(b"\n")
        part = data if end < 0 else data[:end]
        line += part
        if end >= 0:
            self._line = None
            if not line.isascii() and line.count(b" ") == 2:
                self._typed = bytes(line.split(b" ")[1])
        return data if part.isascii() else _in_ascii(part) + data[len(part) :]


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
