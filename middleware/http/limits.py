"""ASGI middlewares that limit what clients may occupy: requests at a time, and upload time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..core.arguments import checked
from ..errors import BodyTimeoutError, ConfigurationError
from .request_body import has_body
from .responses import error_response

OnError = Callable[[str, str], None]
"""Called for each error answer that the package makes itself, to count it.

The arguments are the kind of the error, and the phase of a timeout or ``""``.
"""

_MIN_RATE = 500.0
"""Bytes a second at which a body has to arrive on average, as for Apache's mod_reqtimeout."""


class RequestLimitMiddleware:
    """Answers 503 with ``Retry-After`` while ``max_requests`` requests are being served.

    ``active`` is how many are. Concurrency: one event loop. Errors: ``ConfigurationError``.
    """

    @checked
    def __init__(self, app: ASGIApp, max_requests: int, on_error: OnError | None = None) -> None:
        if max_requests < 1:
            raise ConfigurationError(f"max_requests ({max_requests}) must be at least 1")
        self._app = app
        self._max_requests = max_requests
        self._on_error = on_error
        self.active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self.active >= self._max_requests:
            if self._on_error is not None:
                self._on_error("proxy_busy", "")
            response = error_response(
                503, "proxy_busy", "too many requests are in progress", retry_after=1
            )
            await response(scope, receive, send)
            return
        self.active += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.active -= 1


class BodyTimeoutMiddleware:
    """Answers 408 and closes the connection if a client sends its request's body too slowly.

    Each part of a body may take ``seconds``, and so may all parts together, plus one second for
    each 500 bytes: otherwise a client that sends a byte now and then holds its place for days.
    Time during which the application does not wait for the client does not count.

    Concurrency: holds no state of a request. Errors: ``ConfigurationError``.
    """

    @checked
    def __init__(
        self,
        app: ASGIApp,
        seconds: float,
        on_error: OnError | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not seconds > 0:
            raise ConfigurationError(f"body_timeout ({seconds}) is in seconds, above 0")
        self._app = app
        self._seconds = seconds
        self._on_error = on_error
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] != "http" or not has_body(scope["headers"]):
            await self._app(scope, receive, send)
            return
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, self._limited(receive), note_start)
        except BodyTimeoutError:
            if self._on_error is not None:
                self._on_error("client_timeout", "")
            if started:  # too late for another answer
                raise
            response = error_response(
                408, "client_timeout", "the request's body took too long to arrive", close=True
            )
            await response(scope, receive, send)

    def _limited(self, receive: Receive) -> Receive:
        """Return a receive that raises ``BodyTimeoutError`` until the body is complete."""
        complete = False
        left = self._seconds

        async def limited() -> Message:
            nonlocal complete, left
            if complete:
                return await receive()
            began = self._clock()
            try:
                async with asyncio.timeout(min(left, self._seconds)):
                    message = await receive()
            except TimeoutError:
                raise BodyTimeoutError from None
            left += len(message.get("body", b"")) / _MIN_RATE - (self._clock() - began)
            complete = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        return limited
