"""A transparent streaming reverse proxy as an ASGI application.

What arrives goes on as it came (see :mod:`.target` and :mod:`.headers` for the few exceptions),
what the upstream answers goes back as it comes, chunk by chunk. It knows nothing of rewriting:
whatever wraps it may have changed the scope's query string, headers and body before.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from starlette.types import Receive, Scope, Send

from middleware.upstream.client import UpstreamClient, UpstreamResponse
from middleware.upstream.errors import (
    RequestRefusedError,
    UpstreamBusyError,
    UpstreamError,
    UpstreamTimeoutError,
    error_body,
)
from middleware.upstream.headers import (
    HeaderLines,
    RequestHeaders,
    add_framing,
    response_headers,
)
from middleware.upstream.sparing import SparingLog
from middleware.upstream.target import Upstream

__all__ = ["RETRY_SAFE", "Forwarder", "answer"]


# Set to True in scope["extensions"] for a request that may be sent twice whatever its method.
RETRY_SAFE: Final = "querylift.retry_safe"

_WRONG_LENGTH = "the body is not as long as Content-Length says"

# How often a receive that does not wait is asked again whether the client has left.
_POLL_INTERVAL = 0.05
# How long an exchange lasts until it is worth a task of its own to see the client leave: most are
# over by then, and the task is a fifth of what forwarding costs.
_WATCH_AFTER = 0.1

_log = SparingLog(logging.getLogger("middleware.upstream"))


class Forwarder:
    """Forwards every HTTP request to one upstream.

    ``client`` is an :class:`UpstreamClient`, an :class:`Upstream` or a URL. ``preserve_host`` sends
    the client's ``Host`` instead of the upstream's authority; ``forwarded`` appends this hop to
    ``Forwarded`` and the ``X-Forwarded-`` lists; ``via`` is a pseudonym for a ``Via`` line (None:
    no such line); ``server_timing`` appends ``Server-Timing: upstream;dur=<ms>``, the time to the
    response's head, as a line of its own. ``clock`` gives seconds.

    A wrapping application may set ``scope["extensions"]["querylift.retry_safe"] = True`` for a
    request that is safe to repeat whatever its method (a search by POST).

    Run the server in front without its own ``Date`` and ``Server`` lines, as the upstream's are
    relayed. With uvicorn that is ``date_header=False, server_header=False``.

    Other scope types: ``websocket`` is refused before it is accepted (the client sees 403),
    ``lifespan`` closes the client at shutdown, and anything else is ignored.

    ``failed`` is told each failure of the upstream: its kind, and the phase of a timeout.

    Errors: an upstream that is down is answered with 502, a slow one with 504, one without a free
    connection with 503 and Retry-After, a request that can't be forwarded safely with 400 or 501,
    each with a short JSON body. Once the response has
    started there is no honest answer left, so the error is raised and the server in front cuts
    the connection. (An HTTP/1.0 client that was sent no length can't tell that from the end.)

    Concurrency: holds no state of a request; any number may run at once. When a client leaves, its
    upstream exchange is cancelled.
    """

    def __init__(
        self,
        client: UpstreamClient | Upstream | str,
        *,
        preserve_host: bool = False,
        forwarded: bool = False,
        via: str | None = None,
        server_timing: bool = True,
        failed: Callable[[str, str], None] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._failed = failed
        self.client = client if isinstance(client, UpstreamClient) else UpstreamClient(client)
        self._upstream = self.client.upstream
        self._headers = RequestHeaders(
            self._upstream.authority,
            preserve_host=preserve_host,
            forwarded=forwarded,
            via=via,
        )
        self._server_timing = server_timing
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._forward(scope, receive, send)
        elif kind == "websocket":
            if (await receive())["type"] == "websocket.connect":
                await send({"type": "websocket.close", "code": 1000, "reason": ""})
        elif kind == "lifespan":
            await self._lifespan(receive, send)

    async def aclose(self) -> None:
        """Close the upstream connections; for applications whose lifespan never runs."""
        await self.client.aclose()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.client.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()
        if first["type"] != "http.request":
            return  # the client left before its request was read
        body: bytes = first.get("body", b"")
        more: bool = first.get("more_body", False)
        try:
            target = self._upstream.request_target(scope)
            lines, framing, length = self._headers.build(scope)
            if framing == "none" and (body or more):
                # An HTTP/2 server delivers bodies that were never declared.
                framing, length = ("chunked", 0) if more else ("length", len(body))
            elif framing == "length" and not more and len(body) != length:
                raise RequestRefusedError(_WRONG_LENGTH)
        except RequestRefusedError as refusal:
            await answer(send, refusal.status, "request_refused", refusal.detail)
            return
        add_framing(lines, framing, length)

        exchange = _Exchange(
            receive, send, self._clock if self._server_timing else None, self._failed
        )
        content: bytes | _Upload = body
        if more:
            content = _Upload(
                receive, body, length if framing == "length" else None, exchange.watch
            )
        else:
            exchange.watch()
        await exchange.run(
            self.client.exchange(
                scope["method"],
                target,
                lines,
                content,
                retry_safe=(scope.get("extensions") or {}).get(RETRY_SAFE),
            )
        )


class _ClientGoneError(Exception):
    """The client left while its request body was being read."""


class _Exchange:
    """One request on its way: relays the response and watches for the client to leave.

    Invariants: at most one coroutine awaits ``receive``: the upload first, the watcher after it.
    The watcher cancels the request's task only between :meth:`watch` and the last message. Once
    it has run, an exchange holds no task, so that it goes with its last user and not only when the
    garbage collector finds it.
    """

    __slots__ = (
        "_clock", "_closing", "_failed", "_gone", "_receive", "_send", "_soon", "_task", "_watcher",
        "started",
    )  # fmt: skip

    def __init__(
        self,
        receive: Receive,
        send: Send,
        clock: Callable[[], float] | None,
        failed: Callable[[str, str], None] | None,
    ) -> None:
        self._failed = failed
        self._receive = receive
        self._send = send
        self._clock = clock
        self._task = asyncio.current_task()
        self._soon: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._closing = False
        self._gone = False
        self.started = False

    def watch(self) -> None:
        """Listen before long for the client's disconnect; the request's body has been read."""
        self._soon = asyncio.get_running_loop().call_later(_WATCH_AFTER, self._listen)

    def _listen(self) -> None:
        self._watcher = asyncio.create_task(self._watch())

    async def run(self, exchange: AbstractAsyncContextManager[UpstreamResponse]) -> None:
        """Perform the exchange and relay its response, or answer for the error."""
        task = self._task
        assert task is not None
        started_at = self._clock() if self._clock is not None else 0.0
        try:
            async with exchange as response:
                if self._soon is None:
                    self.watch()  # the upstream answered without reading the whole body
                await self._relay(response, started_at)
        except _ClientGoneError:
            return
        except asyncio.CancelledError:
            if not self._gone or task.cancelling() > 1:
                raise
        except UpstreamError as error:
            if self._gone:
                return
            phase = error.phase if isinstance(error, UpstreamTimeoutError) else ""
            if self._failed is not None:
                self._failed(error.kind, phase)
            cut = ", the answer was cut off" if self.started else ""
            _log.warning(
                f"{error.kind} {phase}{cut}",
                f"{error.kind}: {error.detail}{cut} ({_root_cause(error)})",
            )
            if self.started:
                raise
            self._closing = True
            after = error.retry_after if isinstance(error, UpstreamBusyError) else None
            await answer(
                self._send, error.status, error.kind, error.detail, phase=phase, retry_after=after
            )
        except RequestRefusedError as refusal:
            if self.started:
                raise
            self._closing = True
            await answer(self._send, refusal.status, "request_refused", refusal.detail)
        finally:
            self._closing = True
            if self._soon is not None:
                self._soon.cancel()
            if self._watcher is not None:
                self._watcher.cancel()
            if self._gone:
                task.uncancel()
            self._task = self._soon = self._watcher = None

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

    async def _watch(self) -> None:
        ended = False
        while (message := await self._receive())["type"] == "http.request":
            # Past the body's end a server waits until the client leaves; what wraps this
            # application may answer at once instead, which must not spin.
            if ended:
                await asyncio.sleep(_POLL_INTERVAL)
            ended = not message.get("more_body", False)
        if not self._closing and self._task is not None:
            self._gone = True
            self._task.cancel()


class _Upload:
    """A request body as it arrives from the client, checked against its declared length.

    Raises :class:`_ClientGoneError` when the client leaves before the end, so that half a body is
    never completed upstream.
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
                    raise RequestRefusedError(_WRONG_LENGTH)
            if body:
                yield body
            if not more:
                break
            message = await self._receive()
            if message["type"] != "http.request":
                raise _ClientGoneError
            body, more = message.get("body", b""), message.get("more_body", False)
        self._ended()


def _root_cause(error: BaseException) -> str:
    """What the library or the system said; for the log, never for the client."""
    while error.__cause__ is not None:
        error = error.__cause__
    return repr(error)


async def answer(
    send: Send,
    status: int,
    error: str,
    detail: str,
    *,
    phase: str = "",
    retry_after: int | None = None,
    close: bool = False,
) -> None:
    """Send an error of the proxy's own: a word, a sentence, and for a timeout its phase.

    ``close`` has the server end the connection after it, as more of the request may come.
    """
    body = error_body(status, error, detail, phase=phase)
    headers: HeaderLines = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    if retry_after is not None:
        headers = [*headers, (b"retry-after", b"%d" % retry_after)]
    if close:
        headers = [*headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
