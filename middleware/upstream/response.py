"""A response of the upstream, over any transport."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable

from .request_head import HeaderLines


class UpstreamResponse(ABC):
    """A response whose head has arrived; iterate over it for the body's bytes as they come.

    ``headers`` are the upstream's lines as it sent them. Bodies are never decoded. Reading raises
    ``UpstreamError`` when the body breaks off.

    ``abandon`` is set by whoever relays the response to a client, and is called when the response
    is given up because the client takes nothing of it while others wait.
    """

    __slots__ = ("abandon", "headers", "status")

    def __init__(self, status: int, headers: HeaderLines) -> None:
        self.status = status
        self.headers = headers
        self.abandon: Callable[[], None] | None = None

    @property
    def uploading(self) -> bool:
        """Whether the request's body is still being sent."""
        return False

    @abstractmethod
    async def read(self) -> bytes:
        """Return the body's next bytes, or ``b""`` at its end; faster than iterating."""

    @abstractmethod
    async def release(self) -> None:
        """Free the connection; it is closed if the response was not read to its end."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self.read():
            yield chunk
