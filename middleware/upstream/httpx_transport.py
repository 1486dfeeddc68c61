"""Sends requests over any httpx transport: to an app in this process, over a Unix socket.

Only the transport layer of httpx is used. ``httpx.AsyncClient`` would add what a proxy must not
have: cookies shared by all users, proxy variables and netrc, default headers, redirects that fail
on a malformed ``Location``, and a URL type that re-encodes queries and resolves ``/a/../b``. Over a
socket, the request extension ``target`` sends the raw target.
"""

from __future__ import annotations

import contextlib
import string
from collections.abc import AsyncIterable, AsyncIterator
from typing import cast
from urllib.parse import quote

import httpx

from ..errors import (
    UpstreamBusyError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeoutError,
    UpstreamUnreachableError,
)
from .connection import NOT_TAKEN
from .limits import Timeouts
from .pool import NO_CONNECTION
from .request_head import HeaderLines
from .response import UpstreamResponse
from .response_parser import CUT_OFF, NOT_HTTP
from .target import Upstream

_FOREIGN = (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError)


def translate(error: Exception) -> UpstreamError:
    """Return the ``UpstreamError`` for an exception of an httpx transport."""
    match error:
        case httpx.PoolTimeout():
            return UpstreamBusyError()
        case httpx.ConnectTimeout():
            return UpstreamTimeoutError("connect")
        case httpx.WriteTimeout():
            return UpstreamTimeoutError("write")
        case httpx.ReadTimeout():
            return UpstreamTimeoutError("read")
        case httpx.TimeoutException():
            return UpstreamTimeoutError("total")
        case httpx.ConnectError() | httpx.ProxyError():
            return UpstreamUnreachableError(NO_CONNECTION)
        case httpx.WriteError():
            return UpstreamUnreachableError(NOT_TAKEN)
        case httpx.NetworkError():
            return UpstreamUnreachableError(CUT_OFF)
        case _:
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
        """Send a request and return its response with the body unread. Errors: ``UpstreamError``.

        Transports without a socket, such as ``httpx.ASGITransport``, read the URL and not the
        extension; its type takes no bytes beyond ASCII.
        """
        upstream = self._upstream
        path = quote(target, safe=string.punctuation) if target.startswith(b"/") else "/"
        url = httpx.URL(
            scheme=upstream.scheme,
            host=upstream.host,
            port=upstream.port,
            raw_path=path.encode("ascii"),
        )
        stream = httpx.ByteStream(content) if isinstance(content, bytes) else _Stream(content)
        request = httpx.Request(
            method,
            url,
            headers=list(headers),
            stream=stream,
            extensions={"timeout": self._timeouts, "target": target},
        )
        try:
            response = await self._transport.handle_async_request(request)
        except _FOREIGN as error:
            raise translate(error) from error
        if not 200 <= response.status_code < 600:
            await response.aclose()
            raise UpstreamProtocolError("the upstream answered with an unusable status")
        return _HttpxResponse(response)

    async def aclose(self) -> None:
        """Close the transport."""
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
        # httpx translates no exceptions here, and nobody waits for the response any more.
        with contextlib.suppress(Exception):
            await self._stream.aclose()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, content: AsyncIterable[bytes]) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._content:
            yield chunk
