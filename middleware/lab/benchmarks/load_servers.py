"""The processes that ``querylift bench load`` drives beside an upstream: the proxy with a window.

The proxy is the one of ``querylift serve``. Around it, one path answers what only its own
process can tell: how late its event loop is, what its engine did, and what it holds on to.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...core.outcome import Mode
from ...engines.base import Answer, Engine, Loadable
from ...engines.judging import EngineResult, JudgingEngine
from .machine import resident_bytes
from .upstream import running

__all__ = ["INSIDE", "running_proxy"]

INSIDE = "/-/bench"
"""Where the proxy's process answers what it is asked; each answer starts a new count."""

_LOOK_EVERY = 0.005  # seconds between looks at how late the event loop is


class _Watched:
    """An engine with a count of its calls; passes everything else on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.revision = engine.name, engine.revision
        self.busy, self.texts = 0.0, 0
        if isinstance(engine, JudgingEngine):
            self._judging = engine
            self.judge_with = engine.judge_with
            self.generate_verdicts = self._generate_verdicts

    def resident(self) -> int:
        """Return the bytes that the engine's own process holds, 0 where it has none."""
        pid = getattr(self._engine, "pid", None)
        return 0 if pid is None else resident_bytes(pid)

    def load(self) -> None:
        """Load the engine."""
        if isinstance(self._engine, Loadable):
            self._engine.load()

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Run the engine, and count."""
        with self._counted(len(texts)):
            return self._engine.generate(texts, cancelled)

    def _generate_verdicts(
        self, texts: Sequence[str], modes: Sequence[Mode], cancelled: Callable[[int], bool]
    ) -> Sequence[EngineResult]:
        with self._counted(len(texts)):
            return self._judging.generate_verdicts(texts, modes, cancelled)

    @contextmanager
    def _counted(self, texts: int) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.busy += time.perf_counter() - began
            self.texts += texts


class _Window:
    """The proxy with a path that tells of its inside."""

    def __init__(self, proxy: Any, engine: _Watched) -> None:
        self._proxy = proxy
        self._engine = engine
        self._delays: list[float] = []
        self._since, self._waited = time.perf_counter(), _waited()
        self._watcher: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        if scope["type"] != "http" or scope["path"] != INSIDE:
            await self._proxy(scope, receive, send)
            return
        content = json.dumps(self._told()).encode()
        headers = [(b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _watch(self) -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(_LOOK_EVERY)
            self._delays.append(time.perf_counter() - started - _LOOK_EVERY)

    def _told(self) -> dict[str, Any]:
        stats = self._proxy.reformulator.stats()
        delays, self._delays = sorted(self._delays), []
        engine, now, waited = self._engine, time.perf_counter(), _waited()
        told = {
            "ready": stats.ready,
            "failure": stats.failure,
            "breaker": stats.breaker,
            "queued": stats.foreground + stats.background + stats.running + stats.flights,
            "seconds": now - self._since,
            "engine_busy_s": engine.busy,
            "engine_texts": engine.texts,
            "loop_delay_p50_ms": 1000 * statistics.median(delays or [0.0]),
            "loop_delay_p99_ms": 1000 * (delays or [0.0])[int(0.99 * len(delays))],
            "loop_delay_max_ms": 1000 * max(delays, default=0.0),
            "upstream_active": self._proxy.client.active_connections,
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "files": len(os.listdir("/proc/self/fd")),
            "rss_mib": (resident_bytes("self") + self._engine.resident()) / 2**20,
            # The part of the time in which the loop's thread could have run and had no processor.
            "cpu_wait_share": (waited - self._waited) / (now - self._since),
        }
        engine.busy, engine.texts, self._since, self._waited = 0.0, 0, now, waited
        return told


def _waited() -> float:
    """Return the seconds that the main thread has waited for a processor."""
    return int(Path("/proc/self/schedstat").read_text("ascii").split()[1]) / 1e9


def _serve_proxy(upstream: int, options: dict[str, Any], pipe: Any) -> None:
    from ...serving.assembly import build_proxy
    from ...serving.server import bound_socket, serve
    from ...serving.sources import load_settings

    fixed = {
        "upstream": f"http://127.0.0.1:{upstream}",
        "dialect": "plain",
        "path": ("/search",),
        "trust_control": True,
    }
    settings = load_settings(environment={}, options={**fixed, **options})
    proxy = build_proxy(settings)
    assert proxy.reformulator is not None
    engine = _Watched(proxy.reformulator.engine)
    # The worker is made of the engine: it is put in before anything has started.
    proxy.reformulator.engine = engine
    proxy.reformulator._set_up()
    with bound_socket("127.0.0.1", 0) as front:
        port = front.getsockname()[1]
        serve(_Window(proxy, engine), front, started=lambda: pipe.send(port))


@contextmanager
def running_proxy(upstream: int, **options: Any) -> Iterator[int]:
    """Run the proxy, with settings of ``serve``, in a process of its own; gives the port."""
    with running(_serve_proxy, upstream, options) as port:
        yield port
