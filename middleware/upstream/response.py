"""An upstream's answer, whatever transport it comes over."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from .request_head import HeaderLines

__all__ = ["UpstreamResponse"]


class UpstreamResponse(ABC):
    """A response whose head has arrived; iterate it for the body's bytes as they come.

    ``headers`` are the upstream's lines as it sent them. Bodies are never decoded: compressed
    stays compressed. Iterating raises ``UpstreamError`` when the
    body breaks off.
    """

    __slots__ = ("headers", "status")

    def __init__(self, status: int, headers: HeaderLines) -> None:
        self.status = status
        self.headers = headers

    @abstractmethod
    async def read(self) -> bytes:
        """The body's next bytes, or nothing at its end; what iterating does, but quicker."""

    @abstractmethod
    async def release(self) -> None:
        """Free the connection; one whose answer was not read to its end is closed."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self.read():
            yield chunk
