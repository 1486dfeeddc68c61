"""The proxy of ``querylift bench load``: that of ``querylift serve`` with a path for statistics.

The path returns what only the proxy's process can measure: the delay of its event loop, the
work of its engine, and its resources.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse

from .machine import resident_bytes
from .upstream import running

STATS_PATH = "/-/bench"
"""The path of the statistics; each answer resets the counters."""

_DELAY_INTERVAL = 0.005  # seconds between measurements of the event loop's delay


@dataclass(slots=True)
class _Work:
    """What an engine has done since the last look: seconds of calls, and texts."""

    seconds: float = 0.0
    texts: int = 0

    def count(self, engine: Any) -> None:
        """Count the calls of an engine from now on."""
        for name in ("generate", "generate_verdicts"):
            if hasattr(engine, name):
                setattr(engine, name, self._counted(getattr(engine, name)))

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(texts: Sequence[str], *arguments: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(texts, *arguments)
            finally:
                self.seconds += time.perf_counter() - began
                self.texts += len(texts)

        return counted


class _InstrumentedProxy:
    """The proxy with a path for statistics."""

    def __init__(self, proxy: Any) -> None:
        self._proxy = proxy
        self._engine = proxy.reformulator.engine
        self._work = _Work()
        self._work.count(self._engine)
        self._delays: list[float] = []
        self._reset_at, self._cpu_wait = time.perf_counter(), _cpu_wait()
        self._delay_task: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._delay_task is None:
            self._delay_task = asyncio.create_task(self._measure_delays())
        if scope["type"] != "http" or scope["path"] != STATS_PATH:
            await self._proxy(scope, receive, send)
            return
        await JSONResponse(self._stats())(scope, receive, send)

    async def _measure_delays(self) -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(_DELAY_INTERVAL)
            self._delays.append(time.perf_counter() - started - _DELAY_INTERVAL)

    def _stats(self) -> dict[str, Any]:
        stats = self._proxy.reformulator.stats()
        delays, self._delays = sorted(self._delays), []
        now, cpu_wait = time.perf_counter(), _cpu_wait()
        own_process = getattr(self._engine, "pid", None)
        figures = {
            "ready": stats.ready,
            "failure": stats.failure,
            "breaker": stats.breaker,
            "queued": stats.foreground + stats.background + stats.running + stats.flights,
            "seconds": now - self._reset_at,
            "engine_busy_s": self._work.seconds,
            "engine_texts": self._work.texts,
            "loop_delay_p50_ms": 1000 * statistics.median(delays or [0.0]),
            "loop_delay_p99_ms": 1000 * (delays or [0.0])[int(0.99 * len(delays))],
            "loop_delay_max_ms": 1000 * max(delays, default=0.0),
            "upstream_active": self._proxy.client.active_connections,
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "files": len(os.listdir("/proc/self/fd")),
            "rss_mib": sum(map(resident_bytes, filter(None, ("self", own_process)))) / 2**20,
            # The share of the time in which the event loop's thread waited for a processor.
            "cpu_wait_share": (cpu_wait - self._cpu_wait) / (now - self._reset_at),
        }
        self._work.seconds, self._work.texts = 0.0, 0
        self._reset_at, self._cpu_wait = now, cpu_wait
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
    with bound_socket("127.0.0.1", 0) as front:
        port = front.getsockname()[1]
        serve(_InstrumentedProxy(proxy), front, started=lambda: pipe.send(port))


@contextmanager
def running_proxy(upstream: int, **options: Any) -> Iterator[int]:
    """Run the proxy, with settings of ``serve``, in a process of its own; yields the port."""
    with running(_serve_proxy, upstream, options) as port:
        yield port
