"""Driving ASGI apps by hand: scopes, messages, and an app that remembers what reached it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import http_sf
from starlette.types import ASGIApp, Message, Receive, Scope, Send

RESULT = b"query-reformulation"
FORM = (b"content-type", b"application/x-www-form-urlencoded")
JSON = (b"content-type", b"application/json")


def http_scope(
    method: str = "GET",
    path: str = "/search",
    query: bytes = b"",
    headers: Iterable[tuple[bytes, bytes]] = (),
    **more: Any,
) -> Scope:
    """Return the scope that a server would make of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"front.test"), *headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
        **more,
    }


def body_messages(*chunks: bytes) -> list[Message]:
    """Return the messages of a body that came in these chunks."""
    last = len(chunks) - 1
    return [
        {"type": "http.request", "body": chunk, "more_body": index < last}
        for index, chunk in enumerate(chunks)
    ]


@dataclass
class Client:
    """A connection: gives its messages and then stays; keeps what it is sent."""

    waiting: list[Message] = field(default_factory=lambda: body_messages(b""))
    sent: list[Message] = field(default_factory=list)
    received: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self) -> Message:
        """Give the next message; past the last one, wait for ``gone``."""
        self.received += 1
        if self.waiting:
            return self.waiting.pop(0)
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Keep a message."""
        self.sent.append(message)

    @property
    def status(self) -> int:
        """The status of the response."""
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        """The body of the response."""
        return b"".join(m.get("body", b"") for m in self.sent if m["type"] == "http.response.body")

    def header(self, name: bytes) -> list[bytes]:
        """Return the values of all header lines of a name."""
        return [value for found, value in self.sent[0]["headers"] if found.lower() == name]

    @property
    def result(self) -> tuple[str, dict[str, Any]]:
        """The item of ``Query-Reformulation``; there is exactly one."""
        (value,) = self.header(RESULT)
        return parsed(value)


def parsed(value: bytes) -> tuple[str, dict[str, Any]]:
    """Read a structured-field item; parameters that are tokens become strings."""
    read: Any = http_sf.parse(value, tltype="item")
    item, parameters = read
    assert isinstance(item, http_sf.Token)
    return str(item), {
        str(name): str(given) if isinstance(given, http_sf.Token) else given
        for name, given in parameters.items()
    }


def said(result: tuple[str, dict[str, Any]]) -> str:
    """Return an item without its duration, to compare with."""
    outcome, parameters = result
    return ";".join(
        [outcome, *(f"{name}={value}" for name, value in parameters.items() if name != "dur")]
    )


Answer = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass
class App:
    """An app that remembers each request's scope and channels, and its body if it reads it."""

    reads: bool = True
    headers: Sequence[tuple[bytes, bytes]] = ((b"content-type", b"text/plain"),)
    scopes: list[Scope] = field(default_factory=list)
    channels: list[tuple[Receive, Send]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request with ``ok``."""
        self.scopes.append(scope)
        self.channels.append((receive, send))
        if self.reads and scope["type"] == "http":
            body = b""
            while True:
                message = await receive()
                self.messages.append(message)
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    break
            self.bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [*self.headers]})
        await send({"type": "http.response.body", "body": b"ok", "more_body": False})

    @property
    def query(self) -> bytes:
        """The query string of the last request."""
        return bytes(self.scopes[-1]["query_string"])


async def call(app: ASGIApp, scope: Scope, messages: list[Message] | None = None) -> Client:
    """Send one request through an app and return the client."""
    client = Client() if messages is None else Client(messages)
    async with asyncio.timeout(10):
        await app(scope, client.receive, client.send)
    return client


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Let the event loop run until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - there is no event for any condition
            await asyncio.sleep(0)
