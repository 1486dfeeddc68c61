"""A request's body, read before the application gets it."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Message, Receive

FRAMING = frozenset({b"content-length", b"transfer-encoding"})
"""The headers of which a request with a body has one (RFC 9112, 6.3)."""


def has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a request declares a body."""
    return any(name in FRAMING for name, _ in headers)


async def read_ahead(receive: Receive, limit: int) -> tuple[list[Message], bytes | None]:
    """Read until the body is complete, longer than ``limit`` bytes, or the client has left.

    Return the messages read, and the body if it is complete and within the limit.
    """
    read: list[Message] = []
    size = 0
    while True:
        message = await receive()
        read.append(message)
        if message["type"] != "http.request":
            return read, None
        size += len(message.get("body", b""))
        if size > limit:
            return read, None
        if not message.get("more_body", False):
            return read, b"".join(part.get("body", b"") for part in read)


def replay(read: list[Message], receive: Receive) -> Receive:
    """Return a receive that gives the messages already read, then new ones."""
    waiting = iter(read)

    async def receive_all() -> Message:
        for message in waiting:
            return message
        return await receive()

    return receive_all


def with_length(headers: Iterable[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    """Return headers with the value of ``Content-Length``, if there is one, set to ``length``."""
    return [
        (name, b"%d" % length if name.lower() == b"content-length" else value)
        for name, value in headers
    ]
