"""How long a client may take over the body of its request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
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


def patient(receive: Receive, seconds: float) -> Receive:
    """Return a receive that waits so long for each part of a body, and for ever after its end.

    Errors: :class:`SlowClientError` from the returned one.
    """
    whole = False

    async def bounded() -> Message:
        nonlocal whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout(seconds):
                message = await receive()
        except TimeoutError:
            raise SlowClientError from None
        whole = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    return bounded
