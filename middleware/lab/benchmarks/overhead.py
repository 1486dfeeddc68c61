"""``querylift bench overhead``: what the middleware costs a request, side by side with none.

Three measurements: a memo hit through the middleware in this process, requests a second
of an app behind uvicorn with and without it (in turn, each in a process of its own), and
how long the event loop has to wait while rewrites are being made. Uvicorn is measured by itself
(h11, asyncio), and with httptools and uvloop (``fast_``), which leave less of an app's own time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table

from .machine import machine_facts, run_quickly

__all__ = ["add_arguments", "loop_delays", "run"]

QUERY = "could you please show me how to sort a dictionary by value"
_TARGET = "/search?q=" + QUERY.replace(" ", "+")
_CONNECTIONS = 16
_START_LIMIT = 60.0
_Server = dict[str, str]
_SERVERS: dict[str, _Server] = {
    "": {"http": "h11", "loop": "asyncio"},
    "fast_": {"http": "httptools", "loop": "auto"},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--requests", type=int, default=3000, help="in-process, of each kind")
    parser.add_argument("--seconds", type=float, default=0.7, help="of load, for each round")
    parser.add_argument("--rounds", type=int, default=15, help="of load, for each app")
    parser.add_argument("--rewrites", type=int, default=60, help="while the loop is watched")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Measure, print, and return the exit status."""
    figures: dict[str, Any] = machine_facts("querylift", "starlette", "uvicorn", "torch")
    figures.update(asyncio.run(_in_process(options.requests, options.rewrites)))
    for prefix, server in _SERVERS.items():
        found = _behind_uvicorn(options.rounds, options.seconds, server)
        figures.update({f"{prefix}{name}": value for name, value in found.items()})
    if options.json:
        print(json.dumps(figures))
        return 0
    table = Table("figure", "value", title="querylift bench overhead")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.2f}" if isinstance(value, float) else str(value))
    Console().print(table)
    return 0


def bare_app() -> Any:
    """Return a Starlette app that answers a search with 2 kB of JSON."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    hits = [{"id": n, "title": f"Document {n}", "text": "x" * 60} for n in range(20)]

    async def search(request: Request) -> JSONResponse:
        return JSONResponse({"query": request.query_params.get("q", ""), "hits": hits})

    return Starlette(routes=[Route("/search", search)])


def wrapped_app() -> Any:
    """Return the same app behind the middleware, on the bundled model."""
    from ...asgi import ReformulationMiddleware
    from ...http.matching import SearchRule

    return ReformulationMiddleware(bare_app(), _reformulator(), rules=[SearchRule("/search")])


def _reformulator() -> Any:
    from ...engines.registry import load_engine
    from ...runtime.reformulator import Reformulator

    return Reformulator(load_engine(), budget=10.0)


async def _in_process(requests: int, rewrites: int) -> dict[str, float]:
    bare, wrapped = bare_app(), wrapped_app()
    async with wrapped.reformulator as reformulator:
        await _call(wrapped)  # fills the memo
        samples: dict[str, list[float]] = {"bare": [], "hit": []}
        block = 50
        for _ in range(max(1, requests // block)):
            for name, app in (("bare", bare), ("hit", wrapped)):
                for _ in range(block):
                    started = time.perf_counter()
                    await _call(app)
                    samples[name].append(time.perf_counter() - started)
        idle = await loop_delays(_idle, seconds=0.5)
        texts = iter(range(10**9))

        async def rewrite() -> None:
            await reformulator.reformulate(f"please show me red shoes number {next(texts)}")

        busy = await loop_delays(rewrite, count=rewrites)
    bare_us = 1e6 * statistics.median(samples["bare"])
    hit_us = 1e6 * statistics.median(samples["hit"])
    return {
        "bare_p50_us": bare_us,
        "hit_p50_us": hit_us,
        "hit_adds_us": hit_us - bare_us,
        "loop_delay_max_ms": 1000 * max(busy),
        "loop_delay_p99_ms": 1000 * statistics.quantiles(busy, n=100)[98],
        "loop_delay_idle_max_ms": 1000 * max(idle),
    }


async def _idle() -> None:
    await asyncio.sleep(0.01)


async def loop_delays(
    work: Callable[[], Awaitable[None]], *, count: int | None = None, seconds: float = 60.0
) -> list[float]:
    """Return by how many seconds a timer of 1 ms came late while ``work`` ran again and again."""
    delays: list[float] = []
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            started = time.perf_counter()
            await asyncio.sleep(0.001)
            delays.append(max(0.0, time.perf_counter() - started - 0.001))

    watcher = asyncio.create_task(watch())
    until = time.perf_counter() + seconds
    runs = 0
    while (count is None or runs < count) and time.perf_counter() < until:
        await work()
        runs += 1
    done.set()
    await watcher
    return delays


async def _call(app: Any) -> None:
    """Send one request through an ASGI app in this process."""
    path, _, query = _TARGET.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"accept", b"*/*"), (b"user-agent", b"bench")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    await app(scope, receive, send)


def _behind_uvicorn(rounds: int, seconds: float, server: _Server) -> dict[str, float]:
    rates: dict[str, list[float]] = {"bare": [], "hit": []}
    with _served("bare_app", server) as bare, _served("wrapped_app", server) as wrapped:
        _warm(bare, b"200 OK")
        _warm(wrapped, b"src=memo")
        apps = [("bare", bare), ("hit", wrapped)]
        for _ in range(rounds):
            for name, port in apps:
                rates[name].append(run_quickly(_load(port, seconds)))
            apps.reverse()  # neither has always the other's heat to suffer
    # Rounds next to each other saw the same machine, so that their ratio is the quieter figure.
    shares = [hit / bare for bare, hit in zip(rates["bare"], rates["hit"], strict=True)]
    return {
        "bare_rps": statistics.median(rates["bare"]),
        "hit_rps": statistics.median(rates["hit"]),
        "kept_share": statistics.median(shares),
    }


@contextmanager
def _served(factory: str, server: _Server) -> Iterator[int]:
    """Serve one of this module's apps in a process of its own; gives the port."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(factory, server, there), daemon=True)
    process.start()
    try:
        if not here.poll(_START_LIMIT):
            raise RuntimeError("the server under test did not start")
        yield here.recv()
    finally:
        process.terminate()
        process.join(5)


def _serve(factory: str, server: dict[str, Any], pipe: Any) -> None:
    import uvicorn

    from ...serving.server import bound_socket

    listener = bound_socket("127.0.0.1", 0)
    listener.listen(128)  # connections wait from now on, however long the app takes to start
    pipe.send(listener.getsockname()[1])
    app = globals()[factory]()
    config = uvicorn.Config(app, log_level="warning", access_log=False, **server)
    uvicorn.Server(config).run(sockets=[listener])


def _request() -> bytes:
    return f"GET {_TARGET} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def _warm(port: int, wanted: bytes) -> None:
    """Repeat the request until the answer's head holds ``wanted``."""
    until = time.monotonic() + _START_LIMIT
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(_request())
            if wanted in connection.recv(65536):
                return
        time.sleep(0.1)
    raise RuntimeError("the server under test did not get ready")


class _Client(asyncio.Protocol):
    """One keep-alive connection that asks again as soon as it was answered."""

    def __init__(self) -> None:
        self.answered = 0
        self._request = _request()
        self._held = b""
        self._wanted = 0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._held += data
        if not self._wanted:
            head, end, _ = self._held.partition(b"\r\n\r\n")
            if not end:
                return
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self._wanted = len(head) + 4 + int(length)
        if len(self._held) >= self._wanted:
            self._held, self._wanted = b"", 0
            self.answered += 1
            self._transport.write(self._request)


async def _load(port: int, seconds: float) -> float:
    """Return requests a second over all connections."""
    loop = asyncio.get_running_loop()
    clients = [
        await loop.create_connection(_Client, "127.0.0.1", port) for _ in range(_CONNECTIONS)
    ]
    await asyncio.sleep(0.2)
    before, started = sum(client.answered for _, client in clients), time.perf_counter()
    await asyncio.sleep(seconds)
    count = sum(client.answered for _, client in clients) - before
    elapsed = time.perf_counter() - started
    for transport, _ in clients:
        transport.close()
    await asyncio.sleep(0)
    return count / elapsed
