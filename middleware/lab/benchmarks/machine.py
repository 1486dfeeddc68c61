"""Facts about the machine that a benchmark runs on, and its fastest event loop."""

from __future__ import annotations

import asyncio
import datetime
import importlib.metadata
import os
import platform
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from ...engines.threads import available_cpus

T = TypeVar("T")


def run_on_fastest_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop where it is installed, else on asyncio's loop.

    A load generator and an upstream must leave most of the machine to the server under test.
    """
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:  # uvloop does not support every system
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


def machine_facts(*distributions: str) -> dict[str, Any]:
    """Return the processor, usable cores, Python version, date, and versions of distributions."""
    versions = {}
    for name in distributions:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": available_cpus(),
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "versions": versions,
    }


def resident_bytes(process: int | str) -> int:
    """Return the resident memory of a process (an id, or ``self``), or 0 where it is unknown."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def resident_mb() -> float:
    """Return this process's resident memory in MiB, or NaN where it is unknown."""
    return resident_bytes("self") / 2**20 or float("nan")


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
