"""The upstream's end of the wire, and the client's."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Self

__all__ = ["Answered", "Record", "Upstream", "read_answer"]

_BODY = b"0123456789" * 20
_VALIDATORS = (
    frozenset[bytes](),
    frozenset((b"etag", b"last-modified")),
    frozenset((b"etag", b"accept-ranges")),
    frozenset((b"last-modified",)),
)


@dataclass
class Record:
    """A request that arrived whole, and what it was answered with."""

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    status: int
    answered: bytes
    times: int = 1
    early: bool = False
    """Whether it was answered before its body was read."""
    validators: frozenset[bytes] = frozenset()
    """Names of the validators that it was answered with."""


@dataclass
class Answered:
    """A response; ``body`` is ``None`` where none belongs to it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | None
    closes: bool


@dataclass
class Upstream:
    """Reads requests, keeps each by its number, and answers as each asks for.

    ``cut`` are the numbers of requests whose clients leave in the middle, ``late`` those of them
    that came whole all the same.
    """

    records: dict[int, Record] = field(default_factory=dict)
    cut: set[int] = field(default_factory=set)
    late: list[int] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, headers = await _head(reader)
        known = dict(headers)
        number = int(known[b"x-fuzz"])
        status, _, kind = known[b"x-answer"].partition(b" ")
        early = kind in (b"early", b"early drain")
        body = b"" if early else await _body(reader, headers) or b""
        method, target = first.split(b" ", 1)[0], first.split(b" ", 1)[1].rsplit(b" ", 1)[0]
        if number in self.cut:
            self.late.append(number)
        bare = method == b"HEAD" or status in (b"204", b"304")
        validators = _VALIDATORS[number // 2 % len(_VALIDATORS)]
        content = b"" if bare else _BODY[: number % len(_BODY)]
        if number in self.records:
            self.records[number].times += 1
        else:
            record = Record(method, target, headers, body, int(status), content, early=early)
            record.validators = validators
            self.records[number] = record
        lines = [b"HTTP/1.1 " + status + b" Said", b"Date: now", b"X-From: upstream"]
        lines += [name + b": x" for name in sorted(validators)]
        if early and status != b"204":
            lines.append(b"Content-Length: %d" % len(content))
        if kind == b"close" or early:
            lines.append(b"Connection: close")
        elif kind == b"chunked" and not bare:
            lines.append(b"Transfer-Encoding: chunked")
            content = b"".join(
                b"%x\r\n%b\r\n" % (len(content[at : at + 9]), content[at : at + 9])
                for at in range(0, len(content), 9)
            )
            content += b"0\r\n\r\n"
        elif status != b"204":
            lines.append(b"Content-Length: %d" % len(content))
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + content)
        await writer.drain()
        if kind == b"early drain":
            await reader.read()
        return not (kind == b"close" or early)


async def read_answer(reader: asyncio.StreamReader, *, head: bool) -> Answered:
    """Read the response to a request, past interim ones."""
    while True:
        first, headers = await _head(reader)
        status = int(first.split(b" ")[1])
        if status >= 200:
            break
    closes = any(name == b"connection" and value.lower() == b"close" for name, value in headers)
    if head or status in (204, 304):
        return Answered(status, headers, None, closes)
    body = await _body(reader, headers)
    if body is None:
        return Answered(status, headers, await reader.read(), True)
    return Answered(status, headers, body, closes)


async def _head(reader: asyncio.StreamReader) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return first, [(name.lower(), value.strip()) for name, _, value in pairs]


async def _body(reader: asyncio.StreamReader, headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """Read a body by its framing; ``None`` where none is said."""
    known = dict(headers)
    if known.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = b""
        while size := int((await reader.readuntil(b"\n")).split(b";")[0], 16):
            body += (await reader.readexactly(size + 2))[:-2]
        while await reader.readuntil(b"\n") != b"\r\n":
            pass
        return body
    if b"content-length" in known:
        return await reader.readexactly(int(known[b"content-length"]))
    return None
