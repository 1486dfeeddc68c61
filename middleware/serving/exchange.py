"""Parts of one connection of the server, subclasses of uvicorn's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent


class HoldingFlow(FlowControl):
    """uvicorn's flow control of a connection, which reads nothing while it holds unfed data."""

    rest: bytearray | None = None

    def hold(self, data: bytes) -> None:
        """Keep data, and stop reading."""
        self.pause_reading()
        self.rest = bytearray(data)

    def release(self) -> bytes:
        """Return the data kept."""
        rest, self.rest = self.rest or b"", None
        return bytes(rest)

    def resume_reading(self) -> None:
        """Read on, unless data is held."""
        if self.rest is None:
            super().resume_reading()


class UnframedCycle(RequestResponseCycle):
    """A response to HTTP/1.0: without a length, the end of the connection ends it."""

    _unframed = False

    async def send(self, message: ASGISendEvent) -> None:
        """Send a part of the response."""
        if message["type"] == "http.response.start":
            if all(name.lower() != b"content-length" for name, _ in message.get("headers", ())):
                self._unframed, self.chunked_encoding = True, False
        elif message["type"] == "http.response.body" and self._unframed:
            self.expected_content_length = len(message.get("body", b""))  # any length is accepted
        await super().send(message)
