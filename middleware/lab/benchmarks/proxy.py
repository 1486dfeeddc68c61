"""``querylift bench proxy``: compare the reverse proxy with proxies that only forward.

Upstream, proxies and load generator are separate processes on this machine. ``querylift`` is
``querylift serve`` with the bundled model. Its searches are memo hits, so each of them is decided
and sent with the rewritten query. Rounds of the proxies alternate.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from contextlib import ExitStack
from typing import Any

from ...errors import ConfigurationError
from .closed_loop import Sample, closed_loop, first_answer, quantile, streamed
from .machine import machine_facts, resident_bytes, run_on_fastest_loop
from .overhead import QUERY
from .proxy_servers import PEERS, process_tree, require_peers, running_peer, running_querylift
from .tables import console, print_rows
from .upstream import STREAM_PATH, STREAM_SIZE, running_upstream

MINIMUM_RATIOS = {"to_fastapi_proxy_lib": 8.0, "to_aiohttp": 0.7, "at_64_to_16": 0.9}
"""The least allowed ratios of requests per second."""

_SELF, _UPSTREAM = "querylift", "upstream"
_CONNECTIONS = (16, 64)
_TARGET = "/search?q=" + QUERY.replace(" ", "+")
_HIT = b"src=memo"
_READY_LIMIT = 60.0
_STALL = 1.0  # seconds for which a slow reader pauses
_STREAMS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.add_argument("--seconds", type=float, default=1.5, help="of load, per round")
    parser.add_argument("--rounds", type=int, default=5, help="of load, per proxy")
    parser.add_argument(
        "--only",
        metavar="NAMES",
        help=f"some of {', '.join((_UPSTREAM, _SELF, *PEERS))}, separated by commas; default: all",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="also compare one process of serve with N (serve --workers N)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--check", action="store_true", help="exit with status 1 if a ratio is too low"
    )


def run(options: argparse.Namespace) -> int:
    """Run the benchmark, print its figures, and return the exit status.

    Errors: ``QueryliftError`` if a server cannot be started.
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
        run_on_fastest_loop(_ready(ports))
        cases = [(name, many) for many in _CONNECTIONS for name in names]
        report["rows"] = _rows(ports, cases, options.rounds, options.seconds)
        report["ratios"] = rate_ratios(report["rows"])
        report["minimum_ratios"] = MINIMUM_RATIOS
        if _SELF in names:
            report["stream"] = run_on_fastest_loop(_streams(ports, pid))
    if options.workers is not None:
        report["workers"] = _workers(options.workers, options.rounds, options.seconds)
    report |= machine_facts("querylift", "uvicorn", "httptools", "h11", "aiohttp", *PEERS)
    if options.json:
        print(json.dumps(report))
    else:
        _show(report)
    if not options.check:
        return 0
    missed = [
        key for key, least in MINIMUM_RATIOS.items() if report["ratios"].get(key, least) < least
    ]
    for key in missed:
        print(
            f"querylift: missed objective: {key} is {report['ratios'][key]:.2f}, "
            f"but must be at least {MINIMUM_RATIOS[key]:g}",
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
    """Wait until each server answers, and Querylift from its memo."""
    until = time.monotonic() + _READY_LIMIT
    for name, port in ports.items():
        expected = _HIT if name == _SELF else b"200"
        while expected not in await first_answer(port, _TARGET):
            if time.monotonic() > until:
                raise ConfigurationError(f"{name} did not get ready in {_READY_LIMIT:.0f} s")
            await asyncio.sleep(0.1)


def _rows(
    ports: dict[str, int], cases: list[tuple[str, int]], rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Run all cases in turn, and return the figures of each."""
    samples: dict[tuple[str, int], list[Sample]] = {case: [] for case in cases}
    for turn in range(rounds):
        # The order alternates, so that none always runs after the same other.
        for name, many in cases if turn % 2 else reversed(cases):
            expected = _HIT if name.startswith(_SELF) else b""
            load = closed_loop(ports[name], _TARGET, many, seconds, expected=expected)
            sample = run_on_fastest_loop(load)
            if sample.wrong:
                raise ConfigurationError(f"{name} gave {sample.wrong} wrong answers")
            samples[name, many].append(sample)
    return [row_of(name, many, samples[name, many]) for name, many in cases]


def row_of(name: str, connections: int, samples: list[Sample]) -> dict[str, Any]:
    """Return the figures of a server over all rounds."""
    latencies = [1000 * latency for sample in samples for latency in sample.latencies]
    rates = sorted(sample.count / sample.seconds for sample in samples)
    return {
        "name": name,
        "connections": connections,
        "rps": quantile(rates, 0.5),
        "p50_ms": quantile(latencies, 0.5),
        "p99_ms": quantile(latencies, 0.99),
        # Near 1, the load generator is the bottleneck.
        "client_core_share": sum(s.client_seconds for s in samples)
        / sum(s.seconds for s in samples),
    }


def rate_ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the ratios of requests per second that the rows have figures for."""
    rates = {(row["name"], row["connections"]): row["rps"] for row in rows}
    few, many = _CONNECTIONS
    ratios = {}
    for key, numerator, denominator in (
        ("to_fastapi_proxy_lib", (_SELF, few), ("fastapi-proxy-lib", few)),
        ("to_aiohttp", (_SELF, few), ("aiohttp", few)),
        ("at_64_to_16", (_SELF, many), (_SELF, few)),
        ("to_upstream", (_SELF, few), (_UPSTREAM, few)),
    ):
        if rates.get(numerator) and rates.get(denominator):
            ratios[key] = rates[numerator] / rates[denominator]
    return ratios


async def _streams(ports: dict[str, int], pid: int) -> dict[str, float]:
    """Measure a large answer: its first and last byte, without and with the proxy, and memory."""
    processes = process_tree(pid)

    def memory() -> int:
        return sum(map(resident_bytes, processes))

    firsts: dict[str, list[float]] = {_UPSTREAM: [], _SELF: []}
    lasts: dict[str, list[float]] = {_UPSTREAM: [], _SELF: []}
    before = memory()
    most = before
    for turn in range(_STREAMS):
        for name in firsts:
            stall = _STALL if turn == _STREAMS - 1 else 0.0  # the last reader is slow
            first, last, high = await streamed(
                ports[name], STREAM_PATH, STREAM_SIZE, stall=stall, watch=memory
            )
            firsts[name].append(first)
            if not stall:
                lasts[name].append(last)
            if name == _SELF:
                most = max(most, high)
    figures: dict[str, float] = {"megabytes": STREAM_SIZE / 1e6}
    for name in firsts:
        figures[f"{name}_first_byte_ms"] = 1000 * quantile(firsts[name], 0.5)
        figures[f"{name}_last_byte_ms"] = 1000 * quantile(lasts[name], 0.5)
    figures["memory_grew_mib"] = (most - before) / 2**20
    return figures


def _workers(workers: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Compare ``serve`` in one process with ``serve --workers N``."""
    if workers < 2:
        raise ConfigurationError("--workers must be at least 2")
    with (
        running_upstream() as upstream,
        running_querylift(upstream, "--workers", "1") as (one, _),
        running_querylift(upstream, "--workers", str(workers)) as (several, _),
    ):
        ports = {f"{_SELF} x1": one, f"{_SELF} x{workers}": several}
        for port in ports.values():
            run_on_fastest_loop(_filled(port, workers))
        cases = [(name, many) for many in _CONNECTIONS for name in ports]
        rows = _rows(ports, cases, rounds, seconds)
    rates = {(row["name"], row["connections"]): row["rps"] for row in rows}
    return {
        "rows": rows,
        "ratios": {
            str(many): rates[f"{_SELF} x{workers}", many] / rates[f"{_SELF} x1", many]
            for many in _CONNECTIONS
        },
    }


async def _filled(port: int, workers: int) -> None:
    """Send requests on new connections until many in a row are memo hits: all processes have it."""
    until, row = time.monotonic() + _READY_LIMIT, 0
    while row < 20 * workers:  # the connections go to different processes
        row = row + 1 if _HIT in await first_answer(port, _TARGET) else 0
        if time.monotonic() > until:
            raise ConfigurationError(f"serve did not get ready in {_READY_LIMIT:.0f} s")


def _show(report: dict[str, Any]) -> None:
    output = console()
    for title, part in (("querylift bench proxy", report), ("workers", report.get("workers"))):
        if part is None:
            continue
        print_rows(part["rows"], title, output)
        for key, ratio in part["ratios"].items():
            minimum = MINIMUM_RATIOS.get(key) if part is report else None
            suffix = "" if minimum is None else f" (at least {minimum:g})"
            output.print(f"{key}: {ratio:.2f}{suffix}")
    rest = {
        k: v for k, v in report.items() if k not in ("rows", "ratios", "minimum_ratios", "workers")
    }
    output.print(rest)
