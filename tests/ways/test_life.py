"""When the worker starts and stops, and what ``/readyz`` and ``/metrics`` tell of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router
from starlette.types import Message, Receive, Scope, Send

from middleware import (
    Answer,
    ConfigurationError,
    Metrics,
    MissingExtraError,
    ModelError,
    ReformulationMiddleware,
    Reformulator,
    ReverseProxy,
    SearchRule,
)
from middleware.http.responses import status_routes
from middleware.instrumentation.metrics import METRICS
from middleware.testing import ScriptedEngine

from .conftest import Build
from .driving import RESULT, App, call, http_scope, said, until

pytestmark = pytest.mark.anyio

PREFIX = "/-/querylift"
READY = f"{PREFIX}/readyz"
METRICS_PAGE = f"{PREFIX}/metrics"


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


def wrapped(app: Any, reformulator: Reformulator, **options: Any) -> ReformulationMiddleware:
    return ReformulationMiddleware(
        app, reformulator, rules=[SearchRule()], prefix=PREFIX, **options
    )


def worker() -> threading.Thread | None:
    """Return the one thread that runs an engine, or ``None``."""
    found = [thread for thread in threading.enumerate() if thread.name == "querylift-engine"]
    assert len(found) <= 1
    return found[0] if found else None


async def readiness(app: Any, path: str = READY, **scope: Any) -> tuple[int, dict[str, Any]]:
    client = await call(app, http_scope(path=path, **scope))
    assert client.header(b"cache-control") == [b"no-store"]
    assert client.header(b"content-type") == [b"application/json"]
    return client.status, json.loads(client.body)


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


@pytest.mark.parametrize(
    ("prefix", "path"),
    [("/ops/search", "/ops/search/readyz"), ("", "/readyz"), (PREFIX, READY)],
)
async def test_the_prefix_can_be_chosen(build: Build, prefix: str, path: str) -> None:
    app = App()
    middleware = ReformulationMiddleware(app, build(), rules=[SearchRule()], prefix=prefix)
    assert (await readiness(middleware, path))[0] == 200
    assert (await readiness(middleware, f"/mounted{path}", root_path="/mounted"))[0] == 200
    head = await call(middleware, http_scope("HEAD", path))
    assert head.status == 200
    assert int(head.header(b"content-length")[0]) > 0
    assert not app.scopes
    for scope in (http_scope("POST", path), http_scope(path="/other/readyz")):
        await call(middleware, scope)
    assert len(app.scopes) == 2, "another method or place is the app's"


async def test_without_a_prefix_every_path_is_the_apps(build: Build) -> None:
    app = App()
    middleware = ReformulationMiddleware(app, build(), prefix=None, metrics=Metrics(), rules=[])
    for path in (READY, METRICS_PAGE, "/readyz", "None/readyz"):
        await call(middleware, http_scope(path=path))
    assert len(app.scopes) == 4


@pytest.mark.parametrize("prefix", ["ops", "/ops/", "/", "ops/"])
def test_a_malformed_prefix_is_told_at_once(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        ReformulationMiddleware(App(), Reformulator(ScriptedEngine()), rules=[], prefix=prefix)


def test_malformed_rules_are_told_at_once() -> None:
    wrong: Any = ["/search"]
    with pytest.raises(ConfigurationError, match="SearchRule"):
        ReformulationMiddleware(App(), Reformulator(ScriptedEngine()), rules=wrong)
    one: Any = SearchRule("/search")
    assert ReformulationMiddleware(App(), Reformulator(ScriptedEngine()), rules=one).rules == (one,)


async def test_the_metrics_page(build: Build, engine: ScriptedEngine) -> None:
    """All names are those of the table, and the counts are of what was done."""
    metrics = Metrics()
    reformulator = build(observers=[metrics])
    metrics.watch(reformulator)
    metrics.watch(reformulator)
    app = wrapped(App(), reformulator, metrics=metrics)
    for query in (b"q=red+lamp", b"q=red+lamp", b"q=x", b"q=red+lamp+%22a+b%22"):
        await call(app, http_scope(query=query))
    client = await call(app, http_scope(path=METRICS_PAGE))
    assert client.header(b"content-type")[0].startswith(b"text/plain; version=")
    assert not client.header(RESULT)
    families = {f.name: f for f in text_string_to_metric_families(client.body.decode())}
    names = {f"{f.name}_total" if f.type == "counter" else f.name for f in families.values()}
    assert {name for name in names if not name.endswith("_created")} == set(METRICS)
    decisions = {
        (s.labels["outcome"], s.labels["reason"], s.labels["source"], s.labels["mode"]): s.value
        for s in families["querylift_reformulations"].samples
        if s.name.endswith("_total")
    }
    assert decisions == {
        ("rewritten", "", "engine", "replace"): 1,
        ("rewritten", "", "memo", "replace"): 1,
        ("skipped", "too_short", "", "replace"): 1,
        ("skipped", "quoted", "", "replace"): 1,
    }
    values = {s.name: s.value for f in families.values() for s in f.samples if not s.labels}
    assert values["querylift_ready"] == 1
    assert values["querylift_breaker_open"] == 0
    assert values["querylift_memo_entries"] == 1
    assert values["querylift_memo_bytes"] == reformulator.stats().memo.bytes
    assert values["querylift_memo_hits_total"] == 1
    queue = {s.labels["lane"]: s.value for s in families["querylift_queue"].samples}
    assert queue == {"foreground": 0, "background": 0, "running": 0}
    assert (await call(app, http_scope("HEAD", METRICS_PAGE))).status == 200


def test_metrics_without_their_library_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtraError, match=r"querylift\[metrics\]"):
        Metrics()


async def test_no_metrics_no_page(reformulator: Reformulator) -> None:
    app = App()
    await call(ReformulationMiddleware(app, reformulator, rules=[]), http_scope(path=METRICS_PAGE))
    assert len(app.scopes) == 1


def test_metrics_of_two_reformulators_do_not_fit_on_one_page(build: Build) -> None:
    metrics = Metrics()
    metrics.watch(build())
    with pytest.raises(ConfigurationError, match="of its own"):
        metrics.watch(build())
