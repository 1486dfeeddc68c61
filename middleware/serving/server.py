"""HTTP servers: ``serve`` in the main thread, ``served_in_thread`` beside it."""

from __future__ import annotations

import errno
import gc
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from ..errors import ConfigurationError
from .protocol import BoundedProtocol

_START_TIMEOUT = 10.0  # seconds
_STOP_TIMEOUT = 5.0  # seconds
_HEAD_TIMEOUT = 15.0  # seconds
_SEND_TIMEOUT = 30.0  # seconds
_KEEPALIVE_TIMEOUT = 75.0  # seconds
_END_TIMEOUT = 2.0  # seconds that the process has to end after a second signal
# Thresholds of the garbage collector's generations. Requests leave no reference cycles, and a full
# collection with a memo of 50,000 rewrites stops the event loop for tens of milliseconds.
_GC_THRESHOLDS = (10_000, 3, 1_000)


class _Server(uvicorn.Server):
    """A uvicorn server that reports when it accepts requests, and closes idle connections.

    uvicorn only limits the time between two requests, here to ``keepalive_timeout`` seconds. A
    connection that never sends a complete head would stay open forever.
    """

    def __init__(
        self,
        app: ASGIApp,
        started: Callable[[], None],
        *,
        relays: bool = False,
        grace: float = 2,
        stopped: Callable[[], object] | None = None,
        ended: Callable[[], None] = lambda: None,
        stop: threading.Event | None = None,
        head_timeout: float = _HEAD_TIMEOUT,
        send_timeout: float = _SEND_TIMEOUT,
        keepalive_timeout: float = _KEEPALIVE_TIMEOUT,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(BoundedProtocol, send_timeout=send_timeout),  # type: ignore[arg-type]
                log_level="warning",
                access_log=False,
                ws="none",
                timeout_graceful_shutdown=grace,  # type: ignore[arg-type]  # accepts fractions
                timeout_keep_alive=keepalive_timeout,  # type: ignore[arg-type]  # the same
                proxy_headers=False,  # the application evaluates them
                # A relayed response has the Date and Server headers of its origin.
                date_header=not relays,
                server_header=not relays,
            )
        )
        self._started = started
        self._head_timeout, self._send_timeout = head_timeout, send_timeout
        self._idle: dict[Any, tuple[Any, float]] = {}  # connection -> its state, since when
        self._stopped, self._ended = stopped, ended
        self._stop = stop or threading.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop gracefully on the first signal, and at once on a second one of any kind."""
        if self.should_exit and not self.force_exit:
            self.force_exit = True
            # A thread that never ends, as in a call to a disk that hangs, would keep the process.
            watch = threading.Thread(target=self._end, args=(sig,), name="querylift-end")
            watch.daemon = True
            watch.start()
        super().handle_exit(sig, frame)

    def _end(self, sig: int) -> None:
        time.sleep(_END_TIMEOUT)
        self._ended()
        os._exit(128 + sig)

    async def on_tick(self, counter: int) -> bool:
        """Run the periodic work; uvicorn calls this ten times a second."""
        if counter % 5 == 0:
            self._close_idle(time.monotonic())
        self.should_exit |= self._stop.is_set()
        return await super().on_tick(counter)

    def _close_idle(self, now: float) -> None:
        """Close connections that take too long to send a request, or to read the last response.

        A request counts here until its head is complete, and again once it has its response.
        """
        idle: dict[Any, tuple[Any, float]] = {}
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)  # its last request, None before the first
            closing = connection.transport.is_closing()
            timed = getattr(connection, "awaits_request", False) and not closing
            if cycle is not None and (timed or not cycle.response_complete):
                continue  # another timer runs, or a request is in progress
            state = (cycle, closing)
            last, since = self._idle.get(connection, (state, now))
            since = since if last == state else now
            idle[connection] = (state, since)
            if closing and now - since > self._send_timeout:
                connection.transport.abort()
            elif not closing and now - since > self._head_timeout:
                connection.transport.close()
        self._idle = idle

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stop.set()
        await super().shutdown(sockets)
        # Not later: after this, uvicorn raises the signal again, which may end the process.
        if self._stopped is not None and not self.force_exit:
            self._stopped()
        self._ended()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._started()


def bound_socket(
    host: str, port: int, *, option: str = "--port", shared: bool = False
) -> socket.socket:
    """Return a TCP socket that is bound but does not listen yet; port 0 takes any free one.

    ``option`` is the command line option that error messages suggest for another port. With
    ``shared``, several sockets of this user may be bound to the port, and the system spreads
    connections over those that listen.
    Errors: ``ConfigurationError`` if the address cannot be bound, with what to do.
    """
    if not 0 <= port <= 65_535:  # the resolver would use it modulo 65,536
        raise ConfigurationError(f"{port} is not a port: ports are 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigurationError(f"no such address: {host} port {port} ({error})") from None
    opened = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # on Windows the option lets two servers share a port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared and hasattr(socket, "SO_REUSEPORT"):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind(address)
    except OSError as error:
        opened.close()
        raise ConfigurationError(_explain(host, port, error, option)) from None
    return opened


def address_of(bound: socket.socket) -> str:
    """Return the base URL of a server on the socket, as seen from this machine."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(
    app: ASGIApp,
    *bound: socket.socket,
    started: Callable[[], None],
    grace: float = 2,
    stopped: Callable[[], object] | None = None,
    ended: Callable[[], None] = lambda: None,
    stop: threading.Event | None = None,
    head_timeout: float = _HEAD_TIMEOUT,
    send_timeout: float = _SEND_TIMEOUT,
    keepalive_timeout: float = _KEEPALIVE_TIMEOUT,
) -> None:
    """Serve on these sockets until a signal, an interrupt or ``stop``, which any thread sets.

    ``started`` is called once requests are accepted. When the end begins, ``stop`` is set if it was
    not, and requests in progress have ``grace`` seconds to finish; then ``stopped`` is called,
    unless a second signal came, and ``ended`` in any case. After a second signal the process ends
    within seconds.

    A client is disconnected if it takes more than ``head_timeout`` seconds to send a request's
    head, ``send_timeout`` seconds to read the next part of a response, or ``keepalive_timeout``
    seconds to begin another request.

    Call it in the main thread of a process that does nothing else: it sets the thresholds of the
    garbage collector. When it returns, all connections are closed.
    """
    gc.set_threshold(*_GC_THRESHOLDS)
    server = _Server(
        app,
        started,
        relays=True,
        grace=grace,
        stopped=stopped,
        ended=ended,
        stop=stop,
        head_timeout=head_timeout,
        send_timeout=send_timeout,
        keepalive_timeout=keepalive_timeout,
    )
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        # A closed terminal, or systemctl reload. uvicorn handles the other and raises it again.
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    with suppress(KeyboardInterrupt):  # uvicorn raises it again after its shutdown
        server.run(sockets=list(bound))


@contextmanager
def served_in_thread(app: ASGIApp) -> Iterator[str]:
    """Serve in a new thread on a free loopback port, and yield the base URL.

    Errors: ``ConfigurationError`` if the server does not start.
    """
    ready = threading.Event()
    with bound_socket("127.0.0.1", 0) as bound:
        server = _Server(app, ready.set)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [bound]}, name="querylift-backend"
        )
        thread.start()
        try:
            if not ready.wait(_START_TIMEOUT):
                raise ConfigurationError("the search backend did not start")
            yield address_of(bound)
        finally:
            server.should_exit = True
            thread.join(_STOP_TIMEOUT)


def _explain(host: str, port: int, error: OSError, option: str) -> str:
    """Return the error message for a socket that cannot be bound."""
    number = error.errno
    if number == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is taken by another program; "
            f"choose another one with {option}, or any free one with {option} 0"
        )
    if number in (errno.EACCES, errno.EPERM):
        return f"port {port} on {host} needs privileges; choose one from 1024 on with {option}"
    if number == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine"
    return f"cannot listen on {host} port {port}: {error}"
