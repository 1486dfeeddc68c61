"""How long a client may take over the body of its request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import Message, Receive

__all__ = ["FRAMING", "SlowClientError", "has_body", "patient"]


FRAMING = frozenset({b"content-length", b"transfer-encoding"})
"""The headers of which a request with a body has one (RFC 9112, 6.3)."""


class SlowClientError(Exception):
    """The client took too long for the next part of its request's body."""


def has_body(scope: Mapping[str, Any]) -> bool:
    """Tell whether a request declares a body."""
    for name, _ in scope["headers"]:  # noqa: SIM110  # a generator costs as much as all the rest
        if name in FRAMING:
            return True
    return False


_LEAST_RATE = 500.0
"""Bytes a second of a body; Apache's mod_reqtimeout asks for as many."""


def patient(
    receive: Receive, seconds: float, clock: Callable[[], float] = time.monotonic
) -> Receive:
    """Return a receive that waits so long for each part of a body, and for ever after its end.

    All of its parts may take as long once, and longer by a second for each 500 bytes: a client
    that sends a byte now and then would hold its place for days. Time in which nobody waits for
    the client is not counted. Errors: ``SlowClientError`` from the returned one.
    """
    whole = False
    left = seconds

    async def bounded() -> Message:
        nonlocal whole, left
        if whole:
            return await receive()
        began = clock()
        try:
            async with asyncio.timeout(min(left, seconds)):
                message = await receive()
        except TimeoutError:
            raise SlowClientError from None
        left += len(message.get("body", b"")) / _LEAST_RATE - (clock() - began)
        whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return bounded
