"""The proxy of ``querylift bench load``: that of ``querylift serve`` with a path for statistics.

The path returns what only the proxy's process can measure: the delay of its event loop, the
work of its engine, and its resources.
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

__all__ = ["STATS_PATH", "running_proxy"]

STATS_PATH = "/-/bench"
"""The path of the statistics; each answer resets the counters."""

_DELAY_INTERVAL = 0.005  # seconds between measurements of the event loop's delay


class _CountingEngine:
    """An engine that counts texts and busy seconds, and passes calls on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.name, self.revision = engine.name, engine.revision
        self.busy, self.texts = 0.0, 0
        if isinstance(engine, JudgingEngine):
            self._judging = engine
            self.judge_with = engine.judge_with
            self.generate_verdicts = self._generate_verdicts

    def resident(self) -> int:
        """Return the resident bytes of the engine's process, or 0 where it has none."""
        pid = getattr(self._engine, "pid", None)
        return 0 if pid is None else resident_bytes(pid)

    def load(self) -> None:
        """Load the engine."""
        if isinstance(self._engine, Loadable):
            self._engine.load()

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Run the engine and count the texts."""
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


class _InstrumentedProxy:
    """The proxy with a path for statistics."""

    def __init__(self, proxy: Any, engine: _CountingEngine) -> None:
        self._proxy = proxy
        self._engine = engine
        self._delays: list[float] = []
        self._reset_at, self._cpu_wait = time.perf_counter(), _cpu_wait()
        self._delay_task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._delay_task is None:
            self._delay_task = asyncio.create_task(self._measure_delays())
        if scope["type"] != "http" or scope["path"] != STATS_PATH:
            await self._proxy(scope, receive, send)
            return
        content = json.dumps(self._stats()).encode()
        headers = [(b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _measure_delays(self) -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(_DELAY_INTERVAL)
            self._delays.append(time.perf_counter() - started - _DELAY_INTERVAL)

    def _stats(self) -> dict[str, Any]:
        stats = self._proxy.reformulator.stats()
        delays, self._delays = sorted(self._delays), []
        engine, now, cpu_wait = self._engine, time.perf_counter(), _cpu_wait()
        figures = {
            "ready": stats.ready,
            "failure": stats.failure,
            "breaker": stats.breaker,
            "queued": stats.foreground + stats.background + stats.running + stats.flights,
            "seconds": now - self._reset_at,
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
            # The share of the time in which the event loop's thread waited for a processor.
            "cpu_wait_share": (cpu_wait - self._cpu_wait) / (now - self._reset_at),
        }
        engine.busy, engine.texts, self._reset_at, self._cpu_wait = 0.0, 0, now, cpu_wait
        return figures


def _cpu_wait() -> float:
    """Return the seconds for which the main thread has waited for a processor."""
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
    engine = _CountingEngine(proxy.reformulator.engine)
    # Replace the engine before the worker has started, and build the worker again.
    proxy.reformulator.engine = engine
    proxy.reformulator._set_up()
    with bound_socket("127.0.0.1", 0) as front:
        port = front.getsockname()[1]
        serve(_InstrumentedProxy(proxy, engine), front, started=lambda: pipe.send(port))


@contextmanager
def running_proxy(upstream: int, **options: Any) -> Iterator[int]:
    """Run the proxy, with settings of ``serve``, in a process of its own; yields the port."""
    with running(_serve_proxy, upstream, options) as port:
        yield port
