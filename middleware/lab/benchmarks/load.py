"""``querylift bench load``: the proxy of ``serve`` under load that does not wait for it.

Upstream, proxy and clients are three processes on this machine. Latencies count from when a
request was sent; ``client_late_p99_ms`` says how far behind its schedule the client itself was.
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
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from ...core.outcome import Source
from .load_client import Client, Sent
from .load_servers import INSIDE, running_proxy
from .machine import machine_facts, run_quickly
from .slo import misses
from .upstream import running_upstream
from .workload import arrivals, texts

__all__ = ["add_arguments", "ideal_lru_hits", "run"]

_CLOSED_CLIENTS = 24  # full batches, and some waiting
_OTHERS = 50.0  # requests a second that are not searches, beside the searches
_DISTINCT, _ZIPF_RATE = 20_000, 500.0
_MEMO = 50_000  # rewrites, as serve has by default
_SEED = 20_261_125


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument(
        "scenario",
        nargs="*",
        choices=[*_SCENARIOS, []],  # the empty list is what argparse checks where none is given
        metavar="SCENARIO",
        help=f"{', '.join(_SCENARIOS)}; default: all",
    )
    parser.add_argument("--seconds", type=float, help="of load; default: as each scenario says")
    parser.add_argument("--warm", type=float, default=30.0, help="seconds before zipf is measured")
    parser.add_argument("--budget-ms", type=float, default=100.0, help="time a rewrite may take")
    parser.add_argument("--rate", type=float, help="searches a second, instead of a scenario's own")
    parser.add_argument("--model", default="bundled", help="a T5's folder or hub id")
    parser.add_argument(
        "--thread", action="store_true", help="engine in a thread of the proxy, not a process"
    )
    parser.add_argument("--json", action="store_true", help="print a line of JSON a scenario")
    parser.add_argument(
        "--check", action="store_true", help="end with status 1 where a figure is not as it must be"
    )


def run(options: argparse.Namespace) -> int:
    """Measure, print, and return the exit status."""
    # A look through a quarter of a million records holds up the clients, and a burst follows.
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
                # A soak is about what grows for ever: the memo is full within its first part.
                memo_max_entries=1000 if name == "soak" else _MEMO,
            ) as port,
        ):
            load = _Load(port, upstream, options, options.seconds or seconds)
            figures = {"scenario": name, **run_quickly(load.measured(scenario)), **facts}
        missed += [f"{name}: {words}" for words in misses(figures)]
        if options.json:
            print(json.dumps(figures), flush=True)
            continue
        table = Table("figure", "value", title=f"querylift bench load {name}")
        for key, value in figures.items():
            table.add_row(key, f"{value:,.3f}" if isinstance(value, float) else str(value))
        Console().print(table)
    if not options.check:
        return 0
    for words in missed:
        print(f"querylift: does not hold: {words}", file=sys.stderr)
    return 1 if missed else 0


class _Load:
    """One scenario's servers, and what every scenario measures first: capacity and the bare way."""

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
        """Return a scenario's figures."""
        until = time.monotonic() + 60
        while not (told := await self.inside())["ready"]:
            if told["failure"] or time.monotonic() > until:
                raise RuntimeError(f"the engine did not load: {told['failure']}")
            await asyncio.sleep(0.1)
        await self._closed(2.0)  # the code is warm then
        # What the proxy can pass on when nothing is rewritten bounds every rate there can be.
        front = await self._closed(3.0, mode="off")
        self.capacity = await self._closed(6.0)
        bare = await self.bare.stream(arrivals(_OTHERS, 4, 1), itertools.repeat("x"))
        self.bare_ms = 1000 * _quantile([sent.seconds for sent in bare], 0.5)
        others = await self.other.stream(
            arrivals(_OTHERS, 4, 2), itertools.repeat("x"), path="/other"
        )
        self.idle_other_p99 = 1000 * _quantile([sent.seconds for sent in others], 0.99)
        figures: dict[str, Any] = {
            "seconds": self.seconds,
            "budget_ms": self.options.budget_ms,
            "engine_in": "thread" if self.options.thread else "process",
        }
        figures |= {"front_rps": front, "capacity_rps": self.capacity, "bare_p50_ms": self.bare_ms}
        return figures | await scenario(self)

    async def inside(self) -> dict[str, Any]:
        """Ask the proxy's process about itself, and start its counts anew."""
        return dict(json.loads((await self.other.get(INSIDE))[2]))

    async def settled(self) -> dict[str, Any]:
        """Close all connections, wait until idle ones to the upstream are too, and ask."""
        self.client.close()
        self.other.close()
        await asyncio.sleep(5)  # longer than the pool keeps an idle one
        await self.other.get("/other")  # it lets go of them when it is next used
        self.other.close()
        await asyncio.sleep(0.2)
        return await self.inside()

    async def _closed(self, seconds: float, mode: str = "replace") -> float:
        """Return the searches a second, new texts all, when there is always one to answer."""
        until, count = time.perf_counter() + seconds, 0

        async def ask() -> None:
            nonlocal count
            while time.perf_counter() < until:
                target = f"/search?q={next(self.fresh).replace(' ', '+')}"
                await self.client.get(
                    target, f"Query-Reformulation-Control: budget=9000, mode={mode}"
                )
                count += 1

        await asyncio.gather(*[ask() for _ in range(_CLOSED_CLIENTS)])
        return count / seconds

    async def search(self, rate: float, asked: Any, **leaving: Any) -> tuple[list[Sent], Any]:
        """Send searches and other requests side by side; returns the searches and figures."""
        await self.inside()
        searches, others = await asyncio.gather(
            self.client.stream(arrivals(rate, self.seconds, 3), asked, **leaving),
            self.other.stream(
                arrivals(_OTHERS, self.seconds, 4), itertools.repeat("x"), path="/other"
            ),
        )
        told = await self.inside()
        done = [sent for sent in searches if sent.word]
        in_time = [s for s in done if s.word == Source.ENGINE or s.word.startswith("rejected")]
        added = [1000 * sent.seconds - self.bare_ms for sent in done]
        other_p99 = 1000 * _quantile([sent.seconds for sent in others], 0.99)
        per_second = len(in_time) / self.seconds
        possible = min(rate, self.capacity)
        return searches, {
            "rate_rps": rate,
            "requests": len(searches),
            "errors": sum(bool(s.error) for s in (*searches, *others)),
            "error_kinds": dict(Counter(s.error for s in (*searches, *others) if s.error)),
            "added_p50_ms": _quantile(added, 0.5),
            "added_p99_ms": _quantile(added, 0.99),
            "added_p999_ms": _quantile(added, 0.999),
            "in_time_share": per_second / possible,
            "in_time_rps": per_second,
            "hit_share": sum(s.word == Source.MEMO for s in done) / max(1, len(done)),
            "decided": dict(Counter(s.word for s in done).most_common()),
            "engine_busy_share": told["engine_busy_s"] / told["seconds"],
            "engine_unwaited_share": 1 - len(in_time) / max(1, told["engine_texts"]),
            "cpu_wait_share": told["cpu_wait_share"],
            "loop_delay_p50_ms": told["loop_delay_p50_ms"],
            "loop_delay_p99_ms": told["loop_delay_p99_ms"],
            "loop_delay_max_ms": told["loop_delay_max_ms"],
            "other_p99_ms": other_p99,
            "other_p99_added_ms": other_p99 - self.idle_other_p99,
            "client_late_p99_ms": 1000 * _quantile([s.sent - s.due for s in searches], 0.99),
        }


def _overload(factor: float) -> Callable[[_Load], Awaitable[dict[str, Any]]]:
    async def scenario(load: _Load) -> dict[str, Any]:
        rate = load.options.rate or factor * load.capacity
        return dict((await load.search(rate, load.fresh))[1])

    return scenario


async def _zipf(load: _Load) -> dict[str, Any]:
    known, draw = list(texts(_SEED + 1, _DISTINCT)), random.Random(_SEED)
    weights = list(itertools.accumulate(1 / rank for rank in range(1, _DISTINCT + 1)))
    rate = load.options.rate or _ZIPF_RATE
    count = int((load.options.warm + load.seconds) * rate * 1.2) + 100
    asked = draw.choices(known, cum_weights=weights, k=count)
    stream = iter(asked)
    warm = await load.client.stream(arrivals(rate, load.options.warm, 5), stream)
    searches, figures = await load.search(rate, stream)
    hits = ideal_lru_hits(asked[: len(warm) + len(searches)], _MEMO)[len(warm) :]
    return {**figures, "warm_s": load.options.warm, "ideal_lru_hit_share": sum(hits) / len(hits)}


async def _disconnects(load: _Load) -> dict[str, Any]:
    rate = load.options.rate or 2 * load.capacity
    patience = 2 * load.options.budget_ms / 1000
    before = await load.settled()
    searches, figures = await load.search(
        rate, load.fresh, disconnects=random.Random(_SEED), patience=patience
    )
    after = await load.settled()
    left = {f"{k}_left": after[k] - before[k] for k in ("queued", "upstream_active", "tasks")}
    grown = {f"{k}_growth": after[k] - before[k] for k in ("files", "threads")}
    return {**figures, "clients_left": sum(s.left for s in searches), **left, **grown}


async def _soak(load: _Load) -> dict[str, Any]:
    rate = load.options.rate or 0.8 * load.capacity
    whole, load.seconds = load.seconds, load.seconds / 4
    await load.search(rate, load.fresh)  # a quarter, until what is kept has been filled
    before = await load.settled()
    load.seconds = whole - load.seconds
    _, figures = await load.search(rate, load.fresh)
    after = await load.settled()
    return {
        **figures,
        "rss_mib": after["rss_mib"],
        "rss_growth": after["rss_mib"] / before["rss_mib"] - 1,
        "files_growth": after["files"] - before["files"],
        "threads_growth": after["threads"] - before["threads"],
    }


# name -> (what it does, seconds of load)
_SCENARIOS: dict[str, tuple[Callable[[_Load], Awaitable[dict[str, Any]]], float]] = {
    "overload2": (_overload(2), 60.0),
    "overload5": (_overload(5), 60.0),
    "zipf": (_zipf, 60.0),
    "disconnects": (_disconnects, 30.0),
    "soak": (_soak, 1800.0),
}


def ideal_lru_hits(asked: Sequence[str], size: int) -> list[bool]:
    """Tell for each request whether an LRU of ``size`` that fills at once would know it."""
    kept: OrderedDict[str, None] = OrderedDict()
    hits = []
    for text in asked:
        hits.append(text in kept)
        kept[text] = None
        kept.move_to_end(text)
        if len(kept) > size:
            kept.popitem(last=False)
    return hits


def _quantile(values: list[float], share: float) -> float:
    ordered = sorted(values) or [0.0]
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
