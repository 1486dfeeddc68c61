"""``querylift bench overhead``: compare an app with the middleware to the app alone.

It measures three things: the time of a memo hit in this process, the requests per second behind
uvicorn (both apps in turn, each in its own process), and the delay of the event loop while the
engine runs. Uvicorn runs with h11 and asyncio, and with httptools and uvloop (``fast_``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from rich.table import Table

from ...errors import ConfigurationError
from .closed_loop import closed_loop, first_answer
from .machine import machine_facts, run_on_fastest_loop
from .tables import console
from .upstream import running, serve_app

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
    parser.add_argument("--requests", type=int, default=3000, help="in process, of each app")
    parser.add_argument("--seconds", type=float, default=0.7, help="of load, per round")
    parser.add_argument("--rounds", type=int, default=15, help="of load, per app")
    parser.add_argument("--rewrites", type=int, default=60, help="while delays are measured")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Run the benchmark, print its figures, and return the exit status."""
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
    console().print(table)
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
    """Return the same app behind the middleware, with the bundled model."""
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
    """Return the delays, in seconds, of a 1 ms timer while ``work`` runs repeatedly."""
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
    with (
        running(_serve, "bare_app", server) as bare,
        running(_serve, "wrapped_app", server) as wrapped,
    ):
        apps = [("bare", bare, b"200 OK"), ("hit", wrapped, b"src=memo")]
        for _, port, expected in apps:
            asyncio.run(_warm(port, expected))
        for _ in range(rounds):
            for name, port, _ in apps:
                load = closed_loop(port, _TARGET, _CONNECTIONS, seconds)
                sample = run_on_fastest_loop(load)
                rates[name].append(sample.count / sample.seconds)
            apps.reverse()  # so that both are equally often the first
    # The ratio of neighbouring rounds has less noise than that of the medians.
    shares = [hit / bare for bare, hit in zip(rates["bare"], rates["hit"], strict=True)]
    return {
        "bare_rps": statistics.median(rates["bare"]),
        "hit_rps": statistics.median(rates["hit"]),
        "kept_share": statistics.median(shares),
    }


def _serve(factory: str, server: _Server, pipe: Any) -> None:
    """Serve the app that a function of this module makes; send the port to the pipe."""
    serve_app(globals()[factory](), pipe, log_level="warning", **server)


async def _warm(port: int, expected: bytes) -> None:
    """Repeat the request until the head of the answer has ``expected`` in it."""
    until = time.monotonic() + _START_LIMIT
    while time.monotonic() < until:
        if expected in await first_answer(port, _TARGET):
            return
        await asyncio.sleep(0.1)
    raise ConfigurationError("the server under test did not get ready")
