"""Open-loop load: requests are sent when their time has come, whatever became of earlier ones."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast
from urllib.parse import quote_plus

__all__ = ["Client", "Sent"]


@dataclass(slots=True)
class Sent:
    """One request: when it was due and sent, when answered, and what the header said.

    ``left`` is that the client closed before the answer; ``error`` is what went wrong.
    """

    due: float
    sent: float = 0.0
    done: float = 0.0
    status: int = 0
    word: str = ""
    left: bool = False
    error: str = ""

    @property
    def seconds(self) -> float:
        """From sending to the answer's last byte."""
        return self.done - self.sent

    def answered(self, status: int, head: bytes) -> None:
        """Take note of an answer that has just come."""
        self.done = time.perf_counter()
        self.status, self.word = status, _word(head)
        if status != 200:
            self.error = str(status)

    def failed(self, error: Exception) -> None:
        """Take note that there will be none."""
        self.done, self.error = time.perf_counter(), type(error).__name__


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status, the head and the body, or what went wrong."""

    status: int = 0
    head: bytes = b""
    body: bytes = b""
    error: Exception | None = None


class _Connection(asyncio.Protocol):
    """A kept-alive connection with one request at a time."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._tell: Callable[[Answer], None] | None = None
        self._held = b""
        self._wanted = self._body_from = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes, tell: Callable[[Answer], None]) -> None:
        """Send a request; ``tell`` is called once, when it was answered or cannot be."""
        assert self.transport is not None
        self._tell = tell
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._held = data if not self._held else self._held + data
        if not self._wanted:
            self._body_from = self._held.find(b"\r\n\r\n") + 4
            if self._body_from < 4:
                return
            length = _LENGTH.search(self._held, 0, self._body_from)
            self._wanted = self._body_from + (int(length[1]) if length else 0)
        if len(self._held) >= self._wanted:
            whole, self._held = self._held[: self._wanted], b""
            head, body = whole[: self._body_from], whole[self._body_from :]
            self._wanted = 0
            self._answered(Answer(int(head[9:12]), head, body))

    def connection_lost(self, exc: Exception | None) -> None:
        error = exc or ConnectionResetError("closed without an answer")
        if self._held:  # it was not idle
            error = ValueError("closed within an answer")
        self._answered(Answer(error=error))

    def _answered(self, answer: Answer) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(answer)


@dataclass
class Client:
    """Asks one server over as many connections as are needed at a time."""

    port: int
    _idle: list[_Connection] = field(default_factory=list)

    async def get(self, target: str, *lines: str) -> tuple[int, bytes, bytes]:
        """Return status, head and body."""
        while True:
            kept = self._kept()
            connection = kept or await self._opened()
            future = asyncio.get_running_loop().create_future()
            connection.ask(_request(target, *lines), partial(_resolve, future))
            try:
                answer: Answer = await future
            except asyncio.CancelledError:
                if connection.transport is not None:
                    connection.transport.abort()
                raise
            if answer.error is None:
                self._idle.append(connection)
                return answer.status, answer.head, answer.body
            if not kept or not isinstance(answer.error, ConnectionError):
                raise answer.error  # else it was closed while it lay idle

    def _kept(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.transport is not None and not connection.transport.is_closing():
                return connection
        return None

    async def _opened(self) -> _Connection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Connection, "127.0.0.1", self.port))[1]

    async def stream(
        self,
        times: Iterable[float],
        asked: Iterator[str],
        *,
        path: str = "/search",
        disconnects: random.Random | None = None,
        patience: float = 0.2,
    ) -> list[Sent]:
        """Send a request at each time, and return them all once they are answered.

        With ``disconnects``, half of the clients leave at a random moment within ``patience``.
        """
        began, sent, under_way = time.perf_counter(), list[Sent](), _UnderWay()
        for at in times:
            wait = began + at - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            stays = disconnects is None or disconnects.random() < 0.5
            limit = None if stays or disconnects is None else disconnects.uniform(0, patience)
            record = Sent(began + at)
            sent.append(record)
            target = f"{path}?q={quote_plus(next(asked))}"
            connection = self._kept() if limit is None else None
            if connection is None:
                under_way.run(self._one(record, target, limit))
                continue
            # Without a task each, as those take as much of a processor as the proxy itself does.
            record.sent = time.perf_counter()
            under_way.count += 1
            connection.ask(
                _request(target), partial(self._told, record, target, connection, under_way)
            )
        await under_way.ended(30)
        return sent

    def _told(
        self,
        record: Sent,
        target: str,
        connection: _Connection,
        under_way: _UnderWay,
        answer: Answer,
    ) -> None:
        if isinstance(answer.error, ConnectionError):  # it was closed while it lay idle
            under_way.run(self._one(record, target, None))
        elif answer.error is None:
            self._idle.append(connection)
            record.answered(answer.status, answer.head)
        else:
            record.failed(answer.error)
        under_way.over()

    async def _one(self, record: Sent, target: str, limit: float | None) -> None:
        record.sent = record.sent or time.perf_counter()
        try:
            async with asyncio.timeout(limit):
                status, head, _ = await self.get(target)
        except TimeoutError:
            record.left, record.done = True, time.perf_counter()
        except (OSError, ValueError) as error:
            record.failed(error)
        else:
            record.answered(status, head)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            with suppress(AttributeError):
                connection.transport.close()  # type: ignore[union-attr]
        self._idle.clear()


class _UnderWay:
    """The requests that have no answer yet."""

    def __init__(self) -> None:
        self.count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._none = asyncio.Event()

    def run(self, request: Coroutine[Any, Any, None]) -> None:
        """Run a request in a task of its own."""
        self.count += 1
        task = asyncio.create_task(request)
        self._tasks.add(task)
        task.add_done_callback(self.over)

    def over(self, task: asyncio.Task[None] | None = None) -> None:
        """Take note that one has ended."""
        if task is not None:
            self._tasks.discard(task)
        self.count -= 1
        if not self.count:
            self._none.set()

    async def ended(self, seconds: float) -> None:
        """Wait until there is none, at most so long."""
        if self.count:
            self._none.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none.wait(), seconds)


def _request(target: str, *lines: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in ("Host: localhost", *lines))
    return f"GET {target} HTTP/1.1\r\n{head}\r\n".encode()


def _resolve(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)


_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def _word(head: bytes) -> str:
    """Return where an answer came from (``engine``, ``memo``), or the reason why from nowhere."""
    line = head.lower().partition(b"query-reformulation: ")[2].partition(b"\r\n")[0].decode()
    _, *parameters = line.split(";")
    said = dict(parameter.partition("=")[::2] for parameter in parameters)
    return said.get("src") or said.get("reason") or ""
