"""Sends probes to an upstream over httpx.

The transport is used without ``httpx.AsyncClient``, which would keep cookies, read netrc and
proxy variables, and fail on a malformed ``Location``. The transport does none of these and
follows no redirect.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType

import httpx

from ...errors import QueryliftError

ProbeAnswer = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers, and the beginning of the body."""
SendProbe = Callable[[str], Awaitable[ProbeAnswer]]
"""Sends a GET for a path below the upstream's base. Errors: ``ProbeError``."""

_TIMEOUTS = {"connect": 3.0, "read": 4.0, "write": 4.0, "pool": None}  # seconds
_TOTAL = 5.0  # seconds
_BODY = 2.0  # seconds for the body, from the end of the head
_MAX_BODY = 64 * 1024  # bytes
_HEADERS = {
    "user-agent": "querylift",
    "accept": "application/json, text/html;q=0.5",
    "accept-encoding": "identity",
}
# httpx reports a connection that was closed before the head as a protocol error with this text.
_CLOSED = "Server disconnected"


class ProbeError(QueryliftError):
    """A probe had no answer; ``reachable`` tells whether an upstream is there all the same."""

    def __init__(self, detail: str, *, reachable: bool) -> None:
        super().__init__(detail)
        self.reachable = reachable


def tls_context(verify: bool | str) -> ssl.SSLContext:
    """Return the TLS context for ``verify``: True, False, or the path of a CA bundle."""
    if isinstance(verify, str):
        return ssl.create_default_context(cafile=verify)
    return httpx.create_ssl_context(verify=verify, trust_env=False)


@contextlib.asynccontextmanager
async def probe_client(
    upstream: str,
    verify: ssl.SSLContext | bool,
    *,
    max_body: int = _MAX_BODY,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[SendProbe]:
    """Give a function that sends probes over one connection, which is closed at the end.

    At most about ``max_body`` bytes of an answer are read. ``headers`` are sent beside the usual.
    """
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncHTTPTransport(verify=verify, trust_env=False, limits=limits) as transport:
        yield partial(_send, transport, upstream, max_body, {**_HEADERS, **headers})


async def _send(
    transport: httpx.AsyncBaseTransport,
    upstream: str,
    max_body: int,
    headers: Mapping[str, str],
    probe: str,
) -> ProbeAnswer:
    request = httpx.Request(
        "GET", upstream + probe, headers=headers, extensions={"timeout": _TIMEOUTS}
    )
    try:
        async with asyncio.timeout(_TOTAL):
            response = await transport.handle_async_request(request)
            body = bytearray()
            try:
                # A body that is cut off or never ends is judged by what was received.
                with contextlib.suppress(TimeoutError, httpx.HTTPError):
                    async with asyncio.timeout(_BODY):
                        async for chunk in response.aiter_raw():
                            body += chunk
                            if len(body) >= max_body:
                                break
            finally:
                await response.aclose()
    except TimeoutError:
        raise ProbeError("the upstream exchange took longer than allowed", reachable=True) from None
    except httpx.HTTPError as error:
        raise _translated(error) from error
    return response.status_code, response.headers.raw, bytes(body)


def _translated(error: httpx.HTTPError) -> ProbeError:
    match error:
        case httpx.ConnectTimeout():
            detail = "the upstream did not accept a connection in time"
        case httpx.TimeoutException():
            return ProbeError("the upstream did not answer in time", reachable=True)
        case httpx.ConnectError():
            detail = "no connection to the upstream could be made"
        case httpx.NetworkError():
            detail = "the upstream closed the connection before its answer was complete"
        case _ if str(error).startswith(_CLOSED):
            detail = "the upstream closed the connection before its answer was complete"
        case _:
            return ProbeError("the upstream's answer is not valid HTTP/1.1", reachable=True)
    return ProbeError(detail, reachable=False)
