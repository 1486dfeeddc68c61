"""``querylift bench proxy``: the reverse proxy beside others that only forward, in one run.

Upstream, proxies and load generator are processes of their own on this machine. ``querylift``
is what ``querylift serve`` runs, with the bundled model; the searches it is asked are in its
memo, so that each is answered after a decision and with the rewritten query. Rounds take turns,
so that all see the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from contextlib import ExitStack
from typing import Any

from rich.console import Console
from rich.table import Table

from ...errors import ConfigurationError
from .machine import machine_facts, resident_bytes, run_quickly
from .overhead import QUERY
from .proxy_client import Sample, closed_loop, first_answer, quantile, streamed
from .proxy_servers import PEERS, children, require_peers, running_peer, running_querylift
from .upstream import STREAM_PATH, STREAM_SIZE, running_upstream

__all__ = ["BARS", "add_arguments", "run"]

BARS = {
    "to_fastapi_proxy_lib": 8.0,
    "to_aiohttp": 0.7,
    "at_64_to_16": 0.9,
}
"""What the ratios of requests a second have to be at least."""

_SELF, _UPSTREAM = "querylift", "upstream"
_CONNECTIONS = (16, 64)
_TARGET = "/search?q=" + QUERY.replace(" ", "+")
_HIT = b"src=memo"
_READY_LIMIT = 60.0
_STALL = 1.0  # seconds in which a slow reader takes nothing
_STREAMS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--seconds", type=float, default=1.5, help="of load, for each round")
    parser.add_argument("--rounds", type=int, default=5, help="of load, for each proxy")
    parser.add_argument(
        "--only",
        metavar="NAMES",
        help=f"of {', '.join((_UPSTREAM, _SELF, *PEERS))}, with commas; default: all",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="compare one process of serve with N as well (serve --workers N)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--check", action="store_true", help="end with status 1 where a ratio is not as it must be"
    )


def run(options: argparse.Namespace) -> int:
    """Measure, print, and return the exit status.

    Errors: ``QueryliftError`` where a server cannot be run.
    """
    names = _names(options.only)
    if options.rounds < 1 or not options.seconds > 0:
        raise ConfigurationError("--rounds must be at least 1 and --seconds above 0")
    report: dict[str, Any] = {}
    with ExitStack() as stack:
        upstream = stack.enter_context(running_upstream())
        ports = {_UPSTREAM: upstream}
        if _SELF in names:
            ports[_SELF], pid = stack.enter_context(running_querylift(upstream))
        for name in names:
            if name in PEERS:
                ports[name] = stack.enter_context(running_peer(name, upstream))
        run_quickly(_ready(ports))
        contests = [(name, many) for many in _CONNECTIONS for name in names]
        report["rows"] = _rows(ports, contests, options.rounds, options.seconds)
        report["ratios"] = _ratios(report["rows"])
        report["bars"] = BARS
        if _SELF in names:
            report["stream"] = run_quickly(_streams(ports, pid))
    if options.workers is not None:
        report["workers"] = _workers(options.workers, options.rounds, options.seconds)
    report |= machine_facts("querylift", "uvicorn", "httptools", "h11", "aiohttp", *PEERS)
    if options.json:
        print(json.dumps(report))
    else:
        _show(report)
    if not options.check:
        return 0
    missed = [key for key, least in BARS.items() if report["ratios"].get(key, least) < least]
    for key in missed:
        print(
            f"querylift: does not hold: {key} is {report['ratios'][key]:.2f}, "
            f"and at least {BARS[key]:g} is wanted",
            file=sys.stderr,
        )
    return 1 if missed else 0


def _names(only: str | None) -> list[str]:
    known = [_UPSTREAM, _SELF, *PEERS]
    if only is None:
        require_peers()
        return known
    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ConfigurationError(f"--only: no {unknown}; known: {', '.join(known)}")
    if any(name in PEERS for name in names):
        require_peers()
    return names


async def _ready(ports: dict[str, int]) -> None:
    """Wait until each answers, and Querylift from its memo."""
    until = time.monotonic() + _READY_LIMIT
    for name, port in ports.items():
        wanted = _HIT if name == _SELF else b"200"
        while wanted not in await first_answer(port, _TARGET):
            if time.monotonic() > until:
                raise ConfigurationError(f"{name} did not get ready in {_READY_LIMIT:.0f} s")
            await asyncio.sleep(0.1)


def _rows(
    ports: dict[str, int], contests: list[tuple[str, int]], rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Run all contests in turn, and return a row for each."""
    samples: dict[tuple[str, int], list[Sample]] = {contest: [] for contest in contests}
    for turn in range(rounds):
        # None has always the same neighbour's heat to suffer.
        for name, many in contests if turn % 2 else reversed(contests):
            wanted = _HIT if name.startswith(_SELF) else b""
            sample = run_quickly(closed_loop(ports[name], _TARGET, many, seconds, wanted=wanted))
            if sample.odd:
                raise ConfigurationError(f"{name} gave {sample.odd} answers that are not right")
            samples[name, many].append(sample)
    return [_row(name, many, samples[name, many]) for name, many in contests]


def _row(name: str, connections: int, samples: list[Sample]) -> dict[str, Any]:
    latencies = [1000 * latency for sample in samples for latency in sample.latencies]
    rates = sorted(sample.count / sample.seconds for sample in samples)
    return {
        "name": name,
        "connections": connections,
        "rps": quantile(rates, 0.5),
        "p50_ms": quantile(latencies, 0.5),
        "p99_ms": quantile(latencies, 0.99),
        # Near 1 the load generator is what was measured.
        "client_core_share": sum(s.client_seconds for s in samples)
        / sum(s.seconds for s in samples),
    }


def _ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    rates = {(row["name"], row["connections"]): row["rps"] for row in rows}
    few, many = _CONNECTIONS
    ratios = {}
    for key, above, below in (
        ("to_fastapi_proxy_lib", (_SELF, few), ("fastapi-proxy-lib", few)),
        ("to_aiohttp", (_SELF, few), ("aiohttp", few)),
        ("at_64_to_16", (_SELF, many), (_SELF, few)),
        ("to_upstream", (_SELF, few), (_UPSTREAM, few)),
    ):
        if rates.get(above) and rates.get(below):
            ratios[key] = rates[above] / rates[below]
    return ratios


async def _streams(ports: dict[str, int], pid: int) -> dict[str, float]:
    """Measure a large answer: when it begins, with and without the proxy, and its memory."""
    family = children(pid)

    def held() -> int:
        return sum(map(resident_bytes, family))

    firsts: dict[str, list[float]] = {_UPSTREAM: [], _SELF: []}
    lasts: dict[str, list[float]] = {_UPSTREAM: [], _SELF: []}
    before = held()
    most = before
    for turn in range(_STREAMS):
        for name in firsts:
            stall = _STALL if turn == _STREAMS - 1 else 0.0  # the last one reads slowly
            first, last, high = await streamed(
                ports[name], STREAM_PATH, STREAM_SIZE, stall=stall, watch=held
            )
            firsts[name].append(first)
            if not stall:
                lasts[name].append(last)
            if name == _SELF:
                most = max(most, high)
    told: dict[str, float] = {"megabytes": STREAM_SIZE / 1e6}
    for name in firsts:
        told[f"{name}_first_byte_ms"] = 1000 * quantile(firsts[name], 0.5)
        told[f"{name}_last_byte_ms"] = 1000 * quantile(lasts[name], 0.5)
    told["memory_grew_mib"] = (most - before) / 2**20
    return told


def _workers(workers: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Compare ``serve`` in one process with ``serve --workers N``."""
    if workers < 2:
        raise ConfigurationError("--workers compares with one: give 2 or more")
    with (
        running_upstream() as upstream,
        running_querylift(upstream, "--workers", "1") as (one, _),
        running_querylift(upstream, "--workers", str(workers)) as (several, _),
    ):
        ports = {f"{_SELF} x1": one, f"{_SELF} x{workers}": several}
        for port in ports.values():
            run_quickly(_filled(port, workers))
        contests = [(name, many) for many in _CONNECTIONS for name in ports]
        rows = _rows(ports, contests, rounds, seconds)
    rates = {(row["name"], row["connections"]): row["rps"] for row in rows}
    return {
        "rows": rows,
        "ratios": {
            str(many): rates[f"{_SELF} x{workers}", many] / rates[f"{_SELF} x1", many]
            for many in _CONNECTIONS
        },
    }


async def _filled(port: int, workers: int) -> None:
    """Ask on new connections until each process has the text in its memo, as far as is seen."""
    until, row = time.monotonic() + _READY_LIMIT, 0
    while row < 20 * workers:  # each is some process's turn
        row = row + 1 if _HIT in await first_answer(port, _TARGET) else 0
        if time.monotonic() > until:
            raise ConfigurationError(f"serve did not get ready in {_READY_LIMIT:.0f} s")


def _show(report: dict[str, Any]) -> None:
    console = Console()
    for title, part in (("querylift bench proxy", report), ("workers", report.get("workers"))):
        if part is None:
            continue
        table = Table(*part["rows"][0], title=title)
        for row in part["rows"]:
            table.add_row(*(f"{v:,.2f}" if isinstance(v, float) else str(v) for v in row.values()))
        console.print(table)
        for key, ratio in part["ratios"].items():
            bar = BARS.get(key) if part is report else None
            wanted = "" if bar is None else f" (at least {bar:g})"
            console.print(f"{key}: {ratio:.2f}{wanted}")
    rest = {k: v for k, v in report.items() if k not in ("rows", "ratios", "bars", "workers")}
    console.print(rest)
