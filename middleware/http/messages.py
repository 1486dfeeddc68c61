"""ASGI messages of a request read ahead, and of an answer of one's own."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Message, Receive, Send

__all__ = ["read_ahead", "replay", "send_page", "with_length"]


async def read_ahead(receive: Receive, most: int) -> tuple[list[Message], bytes | None]:
    """Read until a body is whole, of more than ``most`` bytes, or the client has left.

    Returns the messages, and the body where it is whole and not too large.
    """
    read: list[Message] = []
    size = 0
    while True:
        message = await receive()
        read.append(message)
        if message["type"] != "http.request":
            return read, None
        size += len(message.get("body", b""))
        if size > most:
            return read, None
        if not message.get("more_body", False):
            return read, b"".join(part.get("body", b"") for part in read)


def replay(read: list[Message], receive: Receive) -> Receive:
    """Return a receive that gives the messages already read first."""
    waiting = iter(read)

    async def again() -> Message:
        for message in waiting:
            return message
        return await receive()

    return again


def with_length(headers: Iterable[tuple[bytes, bytes]], length: int) -> list[tuple[bytes, bytes]]:
    """Return headers whose ``Content-Length``, where there is one, says ``length``."""
    return [
        (name, b"%d" % length if name.lower() == b"content-length" else value)
        for name, value in headers
    ]


async def send_page(send: Send, status: int, kind: str, content: bytes, *, head: bool) -> None:
    """Send a whole answer that nobody keeps, of the media type ``kind``; ``head`` without body."""
    headers = [
        (b"content-type", kind.encode("latin-1")),
        (b"content-length", b"%d" % len(content)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    body = b"" if head else content
    await send({"type": "http.response.body", "body": body, "more_body": False})
