"""What a benchmark ran on, so that its figures can be read later."""

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

__all__ = ["machine_facts", "resident_bytes", "resident_mb", "run_quickly"]

T = TypeVar("T")


def run_quickly(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the quickest event loop there is, as uvicorn does its servers.

    What loads a server, and what stands behind it, is to take as little of the machine as can be.
    """
    try:
        import uvloop

        factory = uvloop.new_event_loop
    except ImportError:  # not on every system
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work)


def machine_facts(*distributions: str) -> dict[str, Any]:
    """Return the processor, usable cores, Python, date, and the versions of distributions."""
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
    """Return the memory that a process (an id, or ``self``) holds; 0 where it is not told."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def resident_mb() -> float:
    """Return this process's resident memory in megabytes, NaN where the system does not tell."""
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
