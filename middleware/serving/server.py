"""HTTP servers: one in the main thread, and others in threads beside it."""

from __future__ import annotations

import errno
import gc
import os
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

__all__ = ["Stop", "address_of", "bound_socket", "serve", "served_in_thread"]

_START_LIMIT = 10.0  # seconds
_STOP_LIMIT = 5.0  # seconds
_HEAD_LIMIT = 15.0  # seconds for a request's head
_SEND_LIMIT = 30.0  # seconds for the next part of an answer
# Objects made, and looks through the young and the middling ones, until the garbage collector looks
# through more of them. Requests leave no cycles behind, and looking through all that a memo of
# 50,000 rewrites and its like hold takes tens of milliseconds, in which no request goes on.
_COLLECTIONS = (10_000, 3, 1_000)


class _Server(uvicorn.Server):
    """A server that says when it accepts requests, and lets silent clients go.

    uvicorn bounds the time between two requests and no other: a connection on which no request
    ever comes, or only a part of its head, would be held for ever.
    """

    def __init__(
        self,
        app: ASGIApp,
        started: Callable[[], None],
        *,
        relays: bool = False,
        grace: float = 2,
        stopped: Callable[[], None] | None = None,
        head_limit: float = _HEAD_LIMIT,
        send_limit: float = _SEND_LIMIT,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(BoundedProtocol, send_limit=send_limit),  # type: ignore[arg-type]
                log_level="warning",
                access_log=False,
                ws="none",
                timeout_graceful_shutdown=grace,  # type: ignore[arg-type]  # fractions are fine
                proxy_headers=False,  # they belong to whoever is behind
                # What is relayed has the origin's Date and Server already.
                date_header=not relays,
                server_header=not relays,
            )
        )
        self._tell = started
        self._head_limit, self._send_limit = head_limit, send_limit
        self._silent: dict[Any, tuple[Any, float]] = {}
        self._stopped = stopped

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on a first signal, and at once on a second one of whatever kind."""
        if self.should_exit:
            self.force_exit = True
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Do what is to be done ten times a second."""
        if counter % 5 == 0:
            self._let_silent_ones_go(time.monotonic())
        return await super().on_tick(counter)

    def _let_silent_ones_go(self, now: float) -> None:
        """Close connections without a request under way that have begun none for too long."""
        silent: dict[Any, tuple[Any, float]] = {}
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)  # the last request, none before the first
            if cycle is None or cycle.response_complete:
                last, since = self._silent.get(connection, (cycle, now))
                since = since if last is cycle else now
                silent[connection] = (cycle, since)
                if now - since > self._head_limit + self._send_limit:
                    connection.transport.abort()  # it takes nothing of what it was sent last
                elif now - since > self._head_limit:
                    connection.transport.close()
        self._silent = silent

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        # Here, as the signal is raised again after this and may end the process.
        if self._stopped is not None and not self.force_exit:
            self._stopped()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell()


def bound_socket(
    host: str, port: int, *, option: str = "--port", shared: bool = False
) -> socket.socket:
    """Return a TCP socket bound to an address, not yet listening; port 0 takes any free one.

    ``option`` is what messages name to give another port with. What is bound ``shared`` can be
    bound so again, by this user; the system spreads connections over those that listen.

    :raises ConfigurationError: when the address is taken or not to be had, with what to do.
    """
    if not 0 <= port <= 65_535:  # the resolver would take it modulo 65,536
        raise ConfigurationError(f"{port} is no port: ports are 0 to 65535")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigurationError(f"no such address: {host} port {port} ({error})") from None
    opened = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere the option lets two servers share a port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared and hasattr(socket, "SO_REUSEPORT"):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind(address)
    except OSError as error:
        opened.close()
        raise ConfigurationError(_why(host, port, error, option)) from None
    return opened


def address_of(bound: socket.socket) -> str:
    """Return the base URL under which a server on the socket is reached from this machine."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Stop:
    """Ends a server from another thread, as a signal does; before it runs, it will not start."""

    def __init__(self) -> None:
        self._server: _Server | None = None
        self._asked = False

    def __call__(self) -> None:
        """Ask the server to stop."""
        self._asked = True
        if self._server is not None:
            self._server.should_exit = True

    def hold(self, server: _Server) -> None:
        """Take the server to stop."""
        self._server = server
        if self._asked:
            server.should_exit = True


def serve(
    app: ASGIApp,
    *bound: socket.socket,
    started: Callable[[], None],
    grace: float = 2,
    stopped: Callable[[], None] | None = None,
    stop: Stop | None = None,
    head_limit: float = _HEAD_LIMIT,
    send_limit: float = _SEND_LIMIT,
) -> None:
    """Serve on these sockets until the process is told to stop.

    ``started`` is called once requests are accepted. Requests under way have ``grace`` seconds
    to end; then ``stopped`` is called, unless a second signal asked to stop at once. ``stop``
    ends it from another thread. A client that takes more than ``head_limit`` seconds for the
    head of a request, or ``send_limit`` to take the next part of an answer, is let go.

    To be called in the main thread of a process that does nothing else: it sets how often the
    garbage collector looks. Returns after an interrupt, with connections closed.
    """
    gc.set_threshold(*_COLLECTIONS)
    server = _Server(
        app,
        started,
        relays=True,
        grace=grace,
        stopped=stopped,
        head_limit=head_limit,
        send_limit=send_limit,
    )
    if stop is not None:
        stop.hold(server)
    with suppress(KeyboardInterrupt):  # uvicorn stops first and then hands the interrupt on
        server.run(sockets=list(bound))


@contextmanager
def served_in_thread(app: ASGIApp) -> Iterator[str]:
    """Serve on a free loopback port in a thread of its own; gives the base URL.

    :raises ConfigurationError: when the server does not come up.
    """
    ready = threading.Event()
    with bound_socket("127.0.0.1", 0) as bound:
        server = _Server(app, ready.set)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [bound]}, name="querylift-backend"
        )
        thread.start()
        try:
            if not ready.wait(_START_LIMIT):
                raise ConfigurationError("the search backend did not start")
            yield address_of(bound)
        finally:
            server.should_exit = True
            thread.join(_STOP_LIMIT)


def _why(host: str, port: int, error: OSError, option: str) -> str:
    number = error.errno
    if number == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is taken by another program; "
            f"give another one with {option}, or {option} 0 for any that is free"
        )
    if number in (errno.EACCES, errno.EPERM):
        return f"port {port} on {host} is not open to you; ports from 1024 up are: give {option}"
    if number == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine"
    return f"cannot listen on {host} port {port}: {error}"
