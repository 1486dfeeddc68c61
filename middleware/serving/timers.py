"""The timers of one connection of the server, in a subclass of uvicorn's protocol class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

_SEND_TIMEOUT = 30.0  # seconds


class TimedProtocol(HttpToolsProtocol):
    """A connection that is closed if its client reads nothing, or asks nothing, for too long.

    uvicorn disconnects no client that never reads its response. It waits for another request from
    the end of a response on, but not if the request's body ends later, and it keeps that timer,
    and with it the last request, when the connection is reset.

    Concurrency: owned by its event loop.
    """

    _send_timer: asyncio.TimerHandle | None = None

    def __init__(self, *given: Any, send_timeout: float = _SEND_TIMEOUT, **named: Any) -> None:
        super().__init__(*given, **named)
        self._send_timeout = send_timeout

    @property
    def awaits_request(self) -> bool:
        """Whether the timer runs that ends the wait for another request."""
        return self.timeout_keep_alive_task is not None

    def await_request(self) -> None:
        """Start that timer, after a body that ended later than the response to it."""
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def pause_writing(self) -> None:
        """Pause, and disconnect the client if it reads nothing in time."""
        super().pause_writing()
        self._send_timer = self.loop.call_later(self._send_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on, as the client has read."""
        self._cancel_send_timer()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers."""
        self._cancel_send_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def _cancel_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None
