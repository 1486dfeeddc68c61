"""The processes of a running proxy, as the system lists them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from .running import Served


def state(pid: int) -> str:
    """Return the state of a process, ``Z`` also if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def gone(pid: int) -> bool:
    """Tell whether a process has ended, also if nobody has asked for its exit code yet."""
    return state(pid) == "Z"


def children(pid: int) -> list[int]:
    """Return the living children of a process, in the order of their start."""
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, listed.read_text("ascii").split())
    return sorted(child for child in found if not gone(child))


def descendants(pid: int) -> list[int]:
    """Return all processes below one."""
    return [each for child in children(pid) for each in (child, *descendants(child))]


def engines(served: Served, folder: Path) -> list[int]:
    """Return the processes that run the engine of a server.

    They are children of it, or listen at a socket below ``folder``.
    """
    found = [pid for pid in children(served.process.pid) if b"engines.process" in command(pid)]
    return found or sorted(hosts(folder))


def command(pid: int) -> bytes:
    """Return the command line of a process, with zero bytes between its words."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def hosts(folder: Path) -> set[int]:
    """Return the living processes that listen at a local socket below a folder."""
    rows = [row.split() for row in Path("/proc/net/unix").read_text("ascii").splitlines()[1:]]
    listening = {
        f"socket:[{cells[6]}]"
        for cells in rows
        if cells[3] == "00010000" and cells[-1].startswith(f"{folder}/")
    }
    pids = (int(process.name) for process in Path("/proc").glob("[0-9]*"))
    return {pid for pid in pids if not gone(pid) and files(pid) & listening}


def files(pid: int) -> set[str]:
    """Return what the open files of a process are, as far as one may know."""
    found = set()
    with suppress(OSError):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.add(os.readlink(file))
    return found
