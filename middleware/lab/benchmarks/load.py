"""``querylift bench load``: the proxy of ``serve`` under open-loop load.

Upstream, proxy and clients are three processes on this machine. Latencies start when a request
is sent; ``client_late_p99_ms`` is the delay of sending against the schedule.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from cachetools import LRUCache
from rich.table import Table

from ...core.outcome import Source
from ...errors import ConfigurationError
from ...serving.command_line import milliseconds
from .closed_loop import quantile
from .instrumented_proxy import STATS_PATH, running_proxy
from .machine import machine_facts, run_on_fastest_loop
from .open_loop import Client, TimedRequest
from .slo import missed_objectives
from .tables import console
from .upstream import running_upstream
from .workload import arrivals, texts

_CLOSED_CLIENTS = 24  # enough for full batches and a queue
_OTHERS = 50.0  # requests per second that are not searches
_DISTINCT, _ZIPF_RATE = 20_000, 500.0
_MEMO = 50_000  # rewrites, as serve has by default
_SEED = 20_261_125


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument(
        "scenario",
        nargs="*",
        choices=[*_SCENARIOS, []],  # argparse checks the empty list where none is given
        metavar="SCENARIO",
        help=f"{', '.join(_SCENARIOS)}; default: all",
    )
    parser.add_argument("--seconds", type=float, help="of load; default: the scenario's")
    parser.add_argument("--warm", type=float, default=30.0, help="seconds before zipf is measured")
    parser.add_argument(
        "--budget-ms",
        type=milliseconds,
        default=100.0,
        metavar="MS",
        help="milliseconds that a rewrite may take",
    )
    parser.add_argument("--rate", type=float, help="searches a second; default: the scenario's")
    parser.add_argument("--model", default="bundled", help="a T5's folder or hub id")
    parser.add_argument(
        "--thread", action="store_true", help="engine in a thread of the proxy, not a process"
    )
    parser.add_argument("--json", action="store_true", help="print a line of JSON per scenario")
    parser.add_argument(
        "--check", action="store_true", help="exit with status 1 if an objective is missed"
    )


def run(options: argparse.Namespace) -> int:
    """Run the benchmark, print its figures, and return the exit status."""
    for name in ("seconds", "warm", "rate"):
        value = getattr(options, name)
        if value is not None and not 0 < value < 86_400:
            raise ConfigurationError(f"--{name} must be above 0 and below 86400, not {value:g}")
    # A garbage collection of a quarter of a million records would delay the clients.
    gc.set_threshold(10_000, 100, 1_000)
    facts = machine_facts("querylift", "uvicorn", "h11", "torch")
    missed: list[str] = []
    for name in options.scenario or _SCENARIOS:
        scenario, seconds = _SCENARIOS[name]
        with (
            running_upstream() as upstream,
            running_proxy(
                upstream,
                budget_ms=options.budget_ms,
                model=options.model,
                engine_process=not options.thread,
                # A soak looks for leaks, so the memo must be full before it is measured.
                memo_max_entries=1000 if name == "soak" else _MEMO,
            ) as port,
        ):
            load = _Load(port, upstream, options, options.seconds or seconds)
            figures = {"scenario": name, **run_on_fastest_loop(load.measured(scenario)), **facts}
        missed += [f"{name}: {description}" for description in missed_objectives(figures)]
        if options.json:
            print(json.dumps(figures), flush=True)
            continue
        table = Table("figure", "value", title=f"querylift bench load {name}")
        for key, value in figures.items():
            table.add_row(key, f"{value:,.3f}" if isinstance(value, float) else str(value))
        console().print(table)
    if not options.check:
        return 0
    for description in missed:
        print(f"querylift: missed objective: {description}", file=sys.stderr)
    return 1 if missed else 0


class _Load:
    """The clients of a scenario, and the figures that each scenario needs: capacity and latency."""

    def __init__(
        self, port: int, upstream: int, options: argparse.Namespace, seconds: float
    ) -> None:
        self.client, self.other, self.bare = Client(port), Client(port), Client(upstream)
        self.options, self.seconds = options, seconds
        self.fresh = texts(_SEED)
        self.capacity = self.bare_ms = self.idle_other_p99 = 0.0

    async def measured(
        self, scenario: Callable[[_Load], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        """Return the figures of a scenario."""
        until = time.monotonic() + 60
        while not (stats := await self.proxy_stats())["ready"]:
            if stats["failure"] or time.monotonic() > until:
                raise RuntimeError(f"the engine did not load: {stats['failure']}")
            await asyncio.sleep(0.1)
        await self._closed_loop(2.0)  # warm-up
        # The rate without rewrites is the upper bound of all others.
        front = await self._closed_loop(3.0, mode="off")
        self.capacity = await self._closed_loop(6.0)
        bare = await self.bare.stream(arrivals(_OTHERS, 4, 1), itertools.repeat("x"))
        self.bare_ms = 1000 * quantile([request.seconds for request in bare], 0.5)
        others = await self.other.stream(
            arrivals(_OTHERS, 4, 2), itertools.repeat("x"), path="/other"
        )
        self.idle_other_p99 = 1000 * quantile([request.seconds for request in others], 0.99)
        figures: dict[str, Any] = {
            "seconds": self.seconds,
            "budget_ms": self.options.budget_ms,
            "engine_in": "thread" if self.options.thread else "process",
        }
        figures |= {"front_rps": front, "capacity_rps": self.capacity, "bare_p50_ms": self.bare_ms}
        return figures | await scenario(self)

    async def proxy_stats(self) -> dict[str, Any]:
        """Return the statistics of the proxy's process, and reset its counters."""
        return dict(json.loads((await self.other.get(STATS_PATH))[2]))

    async def idle_stats(self) -> dict[str, Any]:
        """Close all connections, wait until the proxy has too, and return its statistics."""
        self.client.close()
        self.other.close()
        await asyncio.sleep(5)  # longer than the pool keeps an idle connection
        await self.other.get("/other")  # the pool closes them at its next use
        self.other.close()
        await asyncio.sleep(0.2)
        return await self.proxy_stats()

    async def _closed_loop(self, seconds: float, mode: str = "replace") -> float:
        """Return the searches per second with new texts in a closed loop."""
        until, count = time.perf_counter() + seconds, 0

        async def client() -> None:
            nonlocal count
            while time.perf_counter() < until:
                target = f"/search?q={next(self.fresh).replace(' ', '+')}"
                await self.client.get(
                    target, f"Query-Reformulation-Control: budget=9000, mode={mode}"
                )
                count += 1

        await asyncio.gather(*[client() for _ in range(_CLOSED_CLIENTS)])
        return count / seconds

    async def search(
        self, rate: float, queries: Any, **disconnecting: Any
    ) -> tuple[list[TimedRequest], Any]:
        """Send searches and other requests concurrently; return the searches and the figures."""
        await self.proxy_stats()
        searches, others = await asyncio.gather(
            self.client.stream(arrivals(rate, self.seconds, 3), queries, **disconnecting),
            self.other.stream(
                arrivals(_OTHERS, self.seconds, 4), itertools.repeat("x"), path="/other"
            ),
        )
        stats = await self.proxy_stats()
        done = [request for request in searches if request.decision]
        in_time = [
            request
            for request in done
            if request.decision == Source.ENGINE or request.decision.startswith("rejected")
        ]
        added = [1000 * request.seconds - self.bare_ms for request in done]
        other_p99 = 1000 * quantile([request.seconds for request in others], 0.99)
        per_second = len(in_time) / self.seconds
        possible = min(rate, self.capacity)
        return searches, {
            "rate_rps": rate,
            "requests": len(searches),
            "errors": sum(bool(s.error) for s in (*searches, *others)),
            "error_kinds": dict(Counter(s.error for s in (*searches, *others) if s.error)),
            "added_p50_ms": quantile(added, 0.5),
            "added_p99_ms": quantile(added, 0.99),
            "added_p999_ms": quantile(added, 0.999),
            "in_time_share": per_second / possible,
            "in_time_rps": per_second,
            "hit_share": sum(s.decision == Source.MEMO for s in done) / max(1, len(done)),
            "decided": dict(Counter(s.decision for s in done).most_common()),
            "engine_busy_share": stats["engine_busy_s"] / stats["seconds"],
            "engine_unwaited_share": 1 - len(in_time) / max(1, stats["engine_texts"]),
            "cpu_wait_share": stats["cpu_wait_share"],
            "loop_delay_p50_ms": stats["loop_delay_p50_ms"],
            "loop_delay_p99_ms": stats["loop_delay_p99_ms"],
            "loop_delay_max_ms": stats["loop_delay_max_ms"],
            "other_p99_ms": other_p99,
            "other_p99_added_ms": other_p99 - self.idle_other_p99,
            "client_late_p99_ms": 1000 * quantile([s.sent - s.due for s in searches], 0.99),
        }


def _overload(factor: float) -> Callable[[_Load], Awaitable[dict[str, Any]]]:
    async def scenario(load: _Load) -> dict[str, Any]:
        rate = load.options.rate or factor * load.capacity
        return dict((await load.search(rate, load.fresh))[1])

    return scenario


async def _zipf(load: _Load) -> dict[str, Any]:
    distinct, rng = list(texts(_SEED + 1, _DISTINCT)), random.Random(_SEED)
    weights = list(itertools.accumulate(1 / rank for rank in range(1, _DISTINCT + 1)))
    rate = load.options.rate or _ZIPF_RATE
    count = int((load.options.warm + load.seconds) * rate * 1.2) + 100
    queries = rng.choices(distinct, cum_weights=weights, k=count)
    stream = iter(queries)
    warm = await load.client.stream(arrivals(rate, load.options.warm, 5), stream)
    searches, figures = await load.search(rate, stream)
    hits = ideal_lru_hits(queries[: len(warm) + len(searches)], _MEMO)[len(warm) :]
    return {**figures, "warm_s": load.options.warm, "ideal_lru_hit_share": sum(hits) / len(hits)}


async def _disconnects(load: _Load) -> dict[str, Any]:
    rate = load.options.rate or 2 * load.capacity
    leave_within = 2 * load.options.budget_ms / 1000
    before = await load.idle_stats()
    searches, figures = await load.search(
        rate, load.fresh, disconnects=random.Random(_SEED), leave_within=leave_within
    )
    after = await load.idle_stats()
    remaining = {f"{k}_left": after[k] - before[k] for k in ("queued", "upstream_active", "tasks")}
    grown = {f"{k}_growth": after[k] - before[k] for k in ("files", "threads")}
    return {**figures, "clients_left": sum(s.disconnected for s in searches), **remaining, **grown}


async def _soak(load: _Load) -> dict[str, Any]:
    rate = load.options.rate or 0.8 * load.capacity
    whole, load.seconds = load.seconds, load.seconds / 4
    await load.search(rate, load.fresh)  # a quarter of the time, until caches are full
    before = await load.idle_stats()
    load.seconds = whole - load.seconds
    _, figures = await load.search(rate, load.fresh)
    after = await load.idle_stats()
    return {
        **figures,
        "rss_mib": after["rss_mib"],
        "rss_growth": after["rss_mib"] / before["rss_mib"] - 1,
        "files_growth": after["files"] - before["files"],
        "threads_growth": after["threads"] - before["threads"],
    }


# name -> (function, seconds of load)
_SCENARIOS: dict[str, tuple[Callable[[_Load], Awaitable[dict[str, Any]]], float]] = {
    "overload2": (_overload(2), 60.0),
    "overload5": (_overload(5), 60.0),
    "zipf": (_zipf, 60.0),
    "disconnects": (_disconnects, 30.0),
    "soak": (_soak, 1800.0),
}


def ideal_lru_hits(queries: Sequence[str], size: int) -> list[bool]:
    """Tell for each query whether an LRU cache of ``size`` with instant answers would hit."""
    cache: LRUCache[str, None] = LRUCache(size)
    hits = []
    for text in queries:
        hits.append(text in cache)
        cache[text] = None
    return hits
