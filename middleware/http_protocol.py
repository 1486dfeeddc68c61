"""HTTP/1.1 of the server in front, where uvicorn's own leaves a request's head open.

uvicorn takes heads of any size, and adds the trailers of a chunked body to the headers of its
request, also after the application has judged them (RFC 9110, 6.5.1 forbids to merge them).
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["MAX_HEAD", "BoundedProtocol"]

MAX_HEAD = 64 * 1024
"""Bytes of a request's target and headers; a larger head is refused with 400."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a bound on the head of a request, and without trailers."""

    _reading_head = False
    _head = 0  # what the parser has told of the head
    _held = 0  # what came of it, told or not

    def data_received(self, data: bytes) -> None:
        """Feed the parser; a head that it holds on to counts as well."""
        if self._reading_head:
            self._held += len(data)
        super().data_received(data)
        if self._reading_head and self._held > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a head."""
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
        """End the head."""
        self._reading_head = False
        super().on_headers_complete()

    def _grow(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD:
            raise ValueError(_TOO_LARGE)  # which the parser makes a malformed request of


_TOO_LARGE = "The request's head is too large."
