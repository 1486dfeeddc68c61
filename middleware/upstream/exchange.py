"""One request to the upstream: its body and its response as they come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from starlette.types import Receive, Scope, Send

from ..errors import (
    QueryliftError,
    RequestRefusedError,
    SlowReaderError,
    UpstreamBusyError,
    UpstreamError,
    UpstreamTimeoutError,
)
from ..http.limits import OnError
from ..http.responses import answer_nobody, error_response
from .headers import response_headers
from .rate_limited_log import RateLimitedLog
from .response import UpstreamResponse

WRONG_LENGTH = "the body is not as long as Content-Length says"

# Seconds between two calls of a receive that does not wait for the client to leave.
_POLL_INTERVAL = 0.05
# Seconds until an exchange gets a task that watches for the client to leave: most are over by
# then, and the task is a fifth of the cost of forwarding.
_WATCH_AFTER = 0.1

_log = RateLimitedLog(logging.getLogger("querylift.upstream"))


class ClientGoneError(QueryliftError):
    """The client left while its request's body was being read."""


@dataclass(eq=False, slots=True)
class Exchange:
    """Relays the response to one request, and watches for the client to leave.

    Invariants: at most one coroutine awaits ``receive``: the upload first, the watcher after it.
    The request's task is cancelled once at most, before the last message: by the watcher, or when
    the pool gives up the response because the client takes nothing of it. After
    ``run``, an exchange holds no task, so that no cycle keeps it until a garbage collection.
    """

    _scope: Scope
    _receive: Receive
    _send: Send
    _clock: Callable[[], float] | None
    _on_error: OnError | None
    started: bool = False
    _task: asyncio.Task[object] | None = field(default_factory=asyncio.current_task)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _timer: asyncio.TimerHandle | None = None
    _watcher: asyncio.Task[None] | None = None
    _closing: bool = False
    _gone: bool = False
    _given_up: bool = False

    def watch(self) -> None:
        """Start to watch for the client's disconnect soon; the request's body has been read."""
        self._timer = self._loop.call_later(_WATCH_AFTER, self._start_watcher)

    def _start_watcher(self) -> None:
        self._watcher = self._loop.create_task(self._watch())

    async def run(
        self, exchange: AbstractAsyncContextManager[UpstreamResponse], *, uploads: bool
    ) -> None:
        """Perform the exchange and relay its response, or answer with the error.

        If it ``uploads`` a body, the upload calls ``watch`` at its end.
        """
        task = self._task
        assert task is not None
        if not uploads:
            self._timer = self._loop.call_later(_WATCH_AFTER, self._start_watcher)
        started_at = self._clock() if self._clock is not None else 0.0
        try:
            async with exchange as upstream_response:
                if self._timer is None and not upstream_response.uploading:
                    self.watch()  # the transport gave up sending the body
                upstream_response.abandon = self._give_up
                try:
                    await self._relay(upstream_response, started_at)
                except asyncio.CancelledError:
                    if not self._given_up or task.cancelling() > 1:
                        raise
                    raise SlowReaderError from None
        except ClientGoneError:
            await self._leave()
        except asyncio.CancelledError:
            if not self._gone or task.cancelling() > 1:
                raise
            await self._leave()
        except UpstreamError as error:
            if self._gone:
                await self._leave()
                return
            phase = error.phase if isinstance(error, UpstreamTimeoutError) else ""
            if self._on_error is not None:
                self._on_error(error.kind, phase)
            cut = ", the answer was cut off" if self.started else ""
            _log.warning(
                f"{error.kind} {phase}{cut}",
                f"{error.kind}: {error.detail}{cut} ({_root_cause(error)})",
            )
            if self.started:
                raise
            self._closing = True
            after = error.retry_after if isinstance(error, UpstreamBusyError) else None
            response = error_response(
                error.status, error.kind, error.detail, phase=phase, retry_after=after
            )
            await response(self._scope, self._receive, self._send)
        except RequestRefusedError as refusal:
            if self.started:
                raise
            self._closing = True
            response = error_response(refusal.status, "request_refused", refusal.detail, close=True)
            await response(self._scope, self._receive, self._send)
        finally:
            self._closing = True
            if self._timer is not None:
                self._timer.cancel()
            if self._watcher is not None:
                self._watcher.cancel()
            if self._gone or self._given_up:
                task.uncancel()
            self._task = self._timer = self._watcher = None

    async def _relay(self, response: UpstreamResponse, started_at: float) -> None:
        headers, length = response_headers(response.headers, response.status)
        if self._clock is not None:
            duration = (self._clock() - started_at) * 1000
            headers.append((b"server-timing", b"upstream;dur=%.1f" % duration))
        self.started = True
        send = self._send
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        while chunk := await response.read():
            if self._closing:
                continue  # nothing follows a complete body; this lets the connection be reused
            if length is not None:
                length -= len(chunk)
                if length == 0:
                    self._closing = True
            await send(
                {"type": "http.response.body", "body": chunk, "more_body": not self._closing}
            )
        if not self._closing:
            self._closing = True
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _leave(self) -> None:
        """End the response for whoever is between here and the client, which has left."""
        self._closing = True
        if not self.started:
            await answer_nobody(self._send)

    async def _watch(self) -> None:
        ended = False
        while (message := await self._receive())["type"] == "http.request":
            # After the body's end, a server waits until the client leaves; a wrapping
            # application may return at once instead, and must not make this loop spin.
            if ended:
                await asyncio.sleep(_POLL_INTERVAL)
            ended = not message.get("more_body", False)
        if self._stoppable:
            self._gone = True
            self._cancel()

    def _give_up(self) -> None:
        """Stop, as the client takes nothing while others wait for a connection."""
        if self._stoppable:
            self._given_up = True
            self._cancel()

    @property
    def _stoppable(self) -> bool:
        return not (self._closing or self._gone or self._given_up)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


class Upload:
    """A request's body as it arrives from the client, checked against its declared length.

    Raises ``ClientGoneError`` if the client leaves before the end, so that the upstream never gets
    half a body as a whole one.
    """

    def __init__(
        self, receive: Receive, first: bytes, length: int | None, ended: Callable[[], None]
    ) -> None:
        self._receive = receive
        self._first = first
        self._remaining = length
        self._ended = ended

    async def __aiter__(self) -> AsyncIterator[bytes]:
        body, more = self._first, True
        self._first = b""
        while True:
            if self._remaining is not None:
                self._remaining -= len(body)
                if self._remaining < 0 or (not more and self._remaining):
                    raise RequestRefusedError(WRONG_LENGTH)
            if body:
                yield body
            if not more:
                break
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGoneError
            body, more = message.get("body", b""), message.get("more_body", False)
        self._ended()


def _root_cause(error: BaseException) -> str:
    """Return the message of the library or the system; for the log, never for the client."""
    while error.__cause__ is not None:
        error = error.__cause__
    return repr(error)
