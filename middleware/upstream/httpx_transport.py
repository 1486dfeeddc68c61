"""Sends requests over an httpx transport, and translates its exceptions.

Only the transport layer of httpx is used. An ``httpx.AsyncClient`` would add what a proxy must not
have: a cookie jar shared by all users, proxy variables and netrc, default headers, redirect
handling that fails on a malformed ``Location``, and a URL type that re-encodes queries and resolves
``/a/../b``. A transport has none of these, and the raw request target reaches the socket through
httpcore's ``target`` extension.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterable, AsyncIterator
from typing import cast

import httpcore
import httpx

from ..errors import (
    TimeoutPhase,
    UpstreamBusyError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from .connection import CUT_OFF, NO_CONNECTION, NOT_HTTP, NOT_TAKEN
from .limits import Timeouts
from .request_head import HeaderLines
from .response import UpstreamResponse
from .target import Upstream

__all__ = ["HttpxTransport", "translate"]

_PHASES: dict[str, TimeoutPhase] = {
    "ConnectTimeout": "connect",
    "WriteTimeout": "write",
    "ReadTimeout": "read",
}
_UNREACHABLE: dict[str, str] = {
    "ConnectError": NO_CONNECTION,
    "ReadError": CUT_OFF,
    "WriteError": NOT_TAKEN,
    "CloseError": "the upstream connection could not be closed",
    "NetworkError": "the connection to the upstream failed",
    "ProxyError": "the proxy on the way to the upstream failed",
}
_FOREIGN = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.CookieConflict,
    httpx.StreamError,
    httpcore.ConnectionNotAvailable,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)


def translate(error: Exception) -> UpstreamError:
    """Return the ``UpstreamError`` for an exception of an httpx transport.

    httpx and httpcore use the same names for the same faults, so the names decide.
    """
    if isinstance(error, httpcore.PoolTimeout | httpx.PoolTimeout):
        return UpstreamBusyError()
    for kind in type(error).__mro__:
        if kind.__name__ in _PHASES:
            return UpstreamTimeoutError(_PHASES[kind.__name__])
        if kind.__name__ in _UNREACHABLE:
            return UpstreamUnreachableError(_UNREACHABLE[kind.__name__])
        if kind.__name__ == "TimeoutException":
            return UpstreamTimeoutError("total")
    return UpstreamProtocolError(NOT_HTTP)


class HttpxTransport:
    """An httpx transport with the interface of the pool."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, upstream: Upstream, timeouts: Timeouts
    ) -> None:
        self._transport = transport
        self._upstream = upstream
        self._timeouts = {
            "pool": timeouts.pool,
            "connect": timeouts.connect,
            "read": timeouts.read,
            "write": timeouts.write,
        }

    async def send(
        self,
        method: str,
        target: bytes,
        headers: HeaderLines,
        content: bytes | AsyncIterable[bytes],
        *,
        fresh: bool = False,
    ) -> UpstreamResponse:
        upstream = self._upstream
        # Transports without a socket (httpx.MockTransport, ASGITransport) read the URL; over a
        # socket the extension decides, byte for byte.
        url = httpx.URL(
            scheme=upstream.scheme,
            host=upstream.host,
            port=upstream.port,
            raw_path=target if target.startswith(b"/") else b"/",
        )
        stream: httpx.AsyncByteStream = (
            httpx.ByteStream(content) if isinstance(content, bytes) else _Stream(content)
        )
        try:
            response = await self._transport.handle_async_request(
                httpx.Request(
                    method,
                    url,
                    headers=list(headers),
                    stream=stream,
                    extensions={"timeout": self._timeouts, "target": target},
                )
            )
        except _FOREIGN as error:
            raise translate(error) from error
        if not 200 <= response.status_code < 600:
            await response.aclose()
            raise UpstreamProtocolError("the upstream answered with an unusable status")
        return _HttpxResponse(response)

    async def aclose(self) -> None:
        await self._transport.aclose()


class _HttpxResponse(UpstreamResponse):
    __slots__ = ("_chunks", "_stream")

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response.status_code, response.headers.raw)
        self._stream = cast("httpx.AsyncByteStream", response.stream)
        self._chunks = aiter(self._stream)

    async def read(self) -> bytes:
        try:
            while (chunk := await anext(self._chunks, None)) == b"":
                pass
        except _FOREIGN as error:
            raise translate(error) from error
        return chunk or b""

    async def release(self) -> None:
        with contextlib.suppress(*_FOREIGN):
            await self._stream.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, content: AsyncIterable[bytes]) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._content:
            yield chunk
