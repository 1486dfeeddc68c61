"""Open-loop load: requests are sent at given times, without waiting for earlier answers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote_plus

from .closed_loop import HttpConnection, get_request

_LAST_LOOKS = 1500  # at the last requests, every 20 ms: whether they are answered


@dataclass(slots=True)
class TimedRequest:
    """A request: when it was due, sent and answered, and the decision in the answer's header.

    ``decision`` is the source of a rewrite or the reason without one. ``disconnected`` tells that
    the client left before the answer. ``error`` is the kind of error, or empty.
    """

    due: float
    sent: float = 0.0
    done: float = 0.0
    status: int = 0
    decision: str = ""
    disconnected: bool = False
    error: str = ""

    @property
    def seconds(self) -> float:
        """The time from sending to the last byte of the answer."""
        return self.done - self.sent

    def answered(self, status: int, head: bytes) -> None:
        """Record an answer that has just arrived."""
        self.done = time.perf_counter()
        self.status, self.decision = status, _decision(head)
        if status != 200:
            self.error = str(status)

    def failed(self, error: Exception) -> None:
        """Record that there is no answer."""
        self.done, self.error = time.perf_counter(), type(error).__name__


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A status with the head and the body, or an error."""

    status: int = 0
    head: bytes = b""
    body: bytes = b""
    error: Exception | None = None


class _Connection(HttpConnection):
    """A kept-alive connection with one request at a time."""

    _on_reply: Callable[[HttpReply], None] | None = None

    def send(self, request: bytes, on_reply: Callable[[HttpReply], None]) -> None:
        """Send a request; ``on_reply`` is called once, with the answer or an error."""
        self._on_reply = on_reply
        self.transport.write(request)

    def answered(self, answer: bytes, body_from: int) -> None:
        self._reply(HttpReply(int(answer[9:12]), answer[:body_from], answer[body_from:]))

    def connection_lost(self, exc: Exception | None) -> None:
        error = exc or ConnectionResetError("closed without an answer")
        if self.received:  # it was not idle
            error = ValueError("closed within an answer")
        self._reply(HttpReply(error=error))

    def _reply(self, reply: HttpReply) -> None:
        on_reply, self._on_reply = self._on_reply, None
        if on_reply is not None:
            on_reply(reply)


@dataclass
class Client:
    """Sends requests to one server, over as many connections as are needed at a time."""

    port: int
    _idle: list[_Connection] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def get(self, target: str, *lines: str) -> tuple[int, bytes, bytes]:
        """Return status, head and body."""
        while True:
            idle = self._idle_connection()
            connection = idle or await self._open()
            future = asyncio.get_running_loop().create_future()
            connection.send(get_request(target, *lines), partial(_resolve, future))
            try:
                reply: HttpReply = await future
            except asyncio.CancelledError:
                connection.transport.abort()
                raise
            if reply.error is None:
                self._idle.append(connection)
                return reply.status, reply.head, reply.body
            if not idle or not isinstance(reply.error, ConnectionError):
                raise reply.error  # else the server had closed the idle connection

    def _idle_connection(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                return connection
        return None

    async def _open(self) -> _Connection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Connection, "127.0.0.1", self.port))[1]

    async def stream(
        self,
        times: Iterable[float],
        queries: Iterator[str],
        *,
        path: str = "/search",
        disconnects: random.Random | None = None,
        leave_within: float = 0.2,
    ) -> list[TimedRequest]:
        """Send a request at each time, and return all requests once they are answered.

        With ``disconnects``, half of the clients disconnect at a random time, at most
        ``leave_within`` seconds after sending.
        """
        began, sent = time.perf_counter(), list[TimedRequest]()
        for at in times:
            wait = began + at - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            stays = disconnects is None or disconnects.random() < 0.5
            limit = None if stays or disconnects is None else disconnects.uniform(0, leave_within)
            request = TimedRequest(began + at)
            sent.append(request)
            target = f"{path}?q={quote_plus(next(queries))}"
            connection = self._idle_connection() if limit is None else None
            if connection is None:
                self._start(self._send_and_wait(request, target, limit))
                continue
            # Not in a task: tasks would take as much processor time as the proxy itself.
            request.sent = time.perf_counter()
            on_reply = partial(self._on_reply, request, target, connection)
            connection.send(get_request(target), on_reply)
        for _ in range(_LAST_LOOKS):
            if all(request.done for request in sent):
                break
            await asyncio.sleep(0.02)
        return sent

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)  # the loop itself keeps no reference
        task.add_done_callback(self._tasks.discard)

    def _on_reply(
        self, request: TimedRequest, target: str, connection: _Connection, reply: HttpReply
    ) -> None:
        if isinstance(reply.error, ConnectionError):  # the server had closed the idle connection
            self._start(self._send_and_wait(request, target, None))
        elif reply.error is None:
            self._idle.append(connection)
            request.answered(reply.status, reply.head)
        else:
            request.failed(reply.error)

    async def _send_and_wait(self, request: TimedRequest, target: str, limit: float | None) -> None:
        request.sent = request.sent or time.perf_counter()
        try:
            async with asyncio.timeout(limit):
                status, head, _ = await self.get(target)
        except TimeoutError:
            request.disconnected, request.done = True, time.perf_counter()
        except (OSError, ValueError) as error:
            request.failed(error)
        else:
            request.answered(status, head)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._idle:
            connection.transport.close()
        self._idle.clear()


def _resolve(future: asyncio.Future[HttpReply], reply: HttpReply) -> None:
    if not future.done():
        future.set_result(reply)


def _decision(head: bytes) -> str:
    """Return the source of a rewrite (``engine``, ``memo``), else the reason without one."""
    line = head.lower().partition(b"query-reformulation: ")[2].partition(b"\r\n")[0].decode()
    _, *parameters = line.split(";")
    values = dict(parameter.partition("=")[::2] for parameter in parameters)
    return values.get("src") or values.get("reason") or ""
