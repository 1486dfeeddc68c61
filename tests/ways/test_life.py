"""When the worker starts and stops, and what ``/readyz`` and ``/metrics`` tell of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router
from starlette.types import Message, Receive, Scope, Send

from middleware import (
    Answer,
    ModelError,
    Reformulator,
    ReverseProxy,
)
from middleware.http.responses import status_routes

from .driving import call, http_scope, said, until
from .readiness import READY, readiness, wrapped

pytestmark = pytest.mark.anyio


@dataclass
class Loading:
    """An engine that loads for as long as the test wants it to."""

    error: Exception | None = None
    let: threading.Event = field(default_factory=threading.Event)
    loads: int = 0
    name: str = "loading"
    revision: str = "7"

    def load(self) -> None:
        """Wait to be let, then be loaded or fail."""
        self.loads += 1
        assert self.let.wait(10)
        if self.error is not None:
            raise self.error

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> list[Answer]:
        """Put ``lifted`` before each text."""
        return [f"lifted {text}" for text in texts]


@pytest.fixture
def loading() -> Iterator[Loading]:
    """An engine that is let at the end of the test at the latest."""
    engine = Loading()
    yield engine
    engine.let.set()


@pytest.fixture
def loaded_later(loading: Loading) -> Iterator[Reformulator]:
    """A reformulator whose engine loads."""
    reformulator = Reformulator(loading, budget=10.0)
    yield reformulator
    loading.let.set()
    reformulator.close()


def starlette(**options: Any) -> Starlette:
    async def search(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.query_params.get("q", ""))

    return Starlette(routes=[Route("/search", search)], **options)


class Lifespan:
    """Runs an app's lifespan as a server does."""

    def __init__(self, app: Any) -> None:
        self.to_app: asyncio.Queue[Message] = asyncio.Queue()
        self.from_app: asyncio.Queue[Message] = asyncio.Queue()
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self.task = asyncio.ensure_future(app(scope, self.to_app.get, self.from_app.put))

    async def startup(self) -> str:
        """Start, and return what the app says."""
        await self.to_app.put({"type": "lifespan.startup"})
        return str((await asyncio.wait_for(self.from_app.get(), 5))["type"])

    async def shutdown(self) -> str:
        """Stop, and return what the app says."""
        await self.to_app.put({"type": "lifespan.shutdown"})
        told = await asyncio.wait_for(self.from_app.get(), 5)
        await asyncio.wait_for(self.task, 5)
        return str(told["type"])


def worker() -> threading.Thread | None:
    """Return the one thread that runs an engine, or ``None``."""
    found = [thread for thread in threading.enumerate() if thread.name == "querylift-engine"]
    assert len(found) <= 1
    return found[0] if found else None


async def test_originals_pass_while_the_engine_loads_and_readyz_tells(
    loading: Loading, loaded_later: Reformulator
) -> None:
    app = wrapped(starlette(), loaded_later)
    life = Lifespan(app)
    assert await life.startup() == "lifespan.startup.complete"
    thread = worker()
    assert thread is not None, "the worker starts with the lifespan"
    early = await call(app, http_scope(query=b"q=red+lamp"))
    assert said(early.result) == "skipped;reason=not_ready"
    assert early.body == b"red lamp"
    assert await readiness(app) == (503, {"status": "loading"})

    loading.let.set()
    await until(lambda: loaded_later.ready)
    assert await readiness(app) == (200, {"status": "ready"})
    late = await call(app, http_scope(query=b"q=red+lamp"))
    assert said(late.result) == "rewritten;src=engine"
    assert late.body == b"lifted red lamp"

    assert await life.shutdown() == "lifespan.shutdown.complete"
    assert not thread.is_alive()
    assert loading.loads == 1


async def test_an_engine_that_cannot_be_loaded_is_told_with_the_reason(
    loading: Loading, loaded_later: Reformulator
) -> None:
    loading.error = ModelError("no weights in /models/x; give another folder")
    loading.let.set()
    app = wrapped(starlette(), loaded_later)
    life = Lifespan(app)
    await life.startup()
    await until(lambda: loaded_later.stats().failure)
    assert await readiness(app) == (503, {"status": "failed"}), "no path is told in public"
    operators = Router(status_routes(loaded_later, details=lambda: {"dialect": "plain"}))
    assert await readiness(operators, "/readyz") == (
        503,
        {
            "status": "failed",
            "engine": "loading",
            "revision": "7",
            "breaker": "closed",
            "failure": "no weights in /models/x; give another folder",
            "dialect": "plain",
        },
    )
    client = await call(app, http_scope(query=b"q=red+lamp"))
    assert said(client.result) == "skipped;reason=not_ready"
    assert client.body == b"red lamp"
    await life.shutdown()
    assert loading.loads == 1


async def test_a_mounted_app_without_lifespan_starts_with_its_first_search(
    loading: Loading, loaded_later: Reformulator
) -> None:
    inner = wrapped(starlette(), loaded_later)
    outer = Starlette(routes=[Mount("/app", app=inner)])
    life = Lifespan(outer)
    await life.startup()
    assert worker() is None, "Starlette runs no lifespan of what is mounted"
    loading.let.set()
    first = await call(outer, http_scope(path="/app/search", query=b"q=red+lamp"))
    assert said(first.result) == "skipped;reason=not_ready"
    await until(lambda: loaded_later.ready)
    second = await call(outer, http_scope(path="/app/search", query=b"q=red+lamp"))
    assert second.body == b"lifted red lamp"
    await life.shutdown()


async def test_asking_readyz_starts_what_no_lifespan_started(
    loading: Loading, loaded_later: Reformulator
) -> None:
    """A load balancer that waits for ``ready`` before it sends the first search must not wait."""
    outer = Starlette(routes=[Mount("/app", app=wrapped(starlette(), loaded_later))])
    loading.let.set()
    await readiness(outer, f"/app{READY}")
    await until(lambda: loaded_later.ready)
    assert (await readiness(outer, f"/app{READY}"))[0] == 200


async def test_an_app_without_a_lifespan_keeps_its_worker(
    loading: Loading, loaded_later: Reformulator
) -> None:
    """A server takes what an app does with its lifespan scope for having none, and goes on."""

    async def refuses(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])

    async def ignores(scope: Scope, receive: Receive, send: Send) -> None:
        return

    with pytest.raises(NotImplementedError):
        await Lifespan(wrapped(refuses, loaded_later)).task
    thread = worker()
    assert thread is not None
    await Lifespan(wrapped(ignores, loaded_later)).task
    assert worker() is thread
    assert thread.is_alive()


async def test_a_lifespan_that_fails_or_is_cut_off_stops_the_worker(
    loading: Loading, loaded_later: Reformulator
) -> None:
    loading.let.set()

    @contextlib.asynccontextmanager
    async def broken(app: Starlette) -> AsyncIterator[None]:
        raise LookupError("no database")
        yield

    life = Lifespan(wrapped(starlette(lifespan=broken), loaded_later))
    assert await life.startup() == "lifespan.startup.failed"
    with pytest.raises(LookupError):
        await life.task
    assert worker() is None

    life = Lifespan(wrapped(starlette(), loaded_later))
    await life.startup()
    thread = worker()
    assert thread is not None
    life.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await life.task
    assert not thread.is_alive()


async def test_a_lifespan_that_is_cut_off_before_it_answers_stops_the_worker(
    loading: Loading, loaded_later: Reformulator
) -> None:
    loading.let.set()

    @contextlib.asynccontextmanager
    async def endless(app: Starlette) -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    life = Lifespan(wrapped(starlette(lifespan=endless), loaded_later))
    await until(worker)
    life.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await life.task
    assert worker() is None


async def test_the_apps_own_lifespan_runs_with_its_state(reformulator: Reformulator) -> None:
    steps: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, int]]:
        steps.append("up")
        yield {"opened": 1}
        steps.append("down")

    life = Lifespan(wrapped(starlette(lifespan=lifespan), reformulator))
    await life.startup()
    assert steps == ["up"]
    await life.shutdown()
    assert steps == ["up", "down"]


async def test_the_proxy_closes_its_upstream_connections_too(reformulator: Reformulator) -> None:
    proxy = ReverseProxy("http://127.0.0.1:9", rules=[], reformulator=reformulator)
    life = Lifespan(proxy)
    assert await life.startup() == "lifespan.startup.complete"
    assert worker() is not None
    assert await life.shutdown() == "lifespan.shutdown.complete"
    assert worker() is None
    await proxy.aclose()
