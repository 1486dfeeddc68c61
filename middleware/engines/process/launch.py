"""Starts another Python that runs a function of this package, with a path that is safe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import process, spawn
from pathlib import Path
from typing import IO

from ...policy.acceptance import Acceptance
from ..base import Engine

Parts = tuple[Callable[[], Engine], Acceptance | None]
"""What makes an engine, and the acceptance to judge its answers by."""

_NICENESS, _SESSION_NICENESS = 10, 19
_CODE = "import sys; sys.path[:] = {path!r}; from {module} import {name}; {name}()"


def command(function: Callable[[], None]) -> list[str]:
    """Return the command that runs a function of a module in another Python.

    Its modules are those of this process. Without ``-P``, Python would look for them in the
    current folder first, which may be anybody's.
    """
    # As multiprocessing does: the folder at the start, not one that is entered later.
    path = [entry or process.ORIGINAL_DIR for entry in sys.path]  # type: ignore[attr-defined]
    code = _CODE.format(path=path, module=function.__module__, name=function.__name__)
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return [os.fsdecode(spawn.get_executable()), *flags, "-P", "-c", code]


def read_rest(told: IO[bytes]) -> bytes:
    """Return what is left to read, and read from nowhere after that."""
    rest = told.read()
    with open(os.devnull, "rb") as nowhere:
        os.dup2(nowhere.fileno(), told.fileno())
    return rest


def leave_terminal() -> None:
    """Start a session, and ignore interrupts: those of a terminal reach all its processes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(AttributeError, OSError):
        os.setsid()


def lower_priority() -> None:
    """Give this process a lower priority than the servers it works for; call it once loaded.

    While it loads it has that of the servers, as it would take minutes on a busy machine otherwise.
    Linux divides the processors among sessions before it divides them among the processes of
    a session (sched(7), autogroup), and has a priority for each thread.
    """
    threads = [int(entry.name) for entry in Path("/proc/self/task").glob("*")] or [0]
    for thread in threads:
        with suppress(AttributeError, OSError):
            lower = os.getpriority(os.PRIO_PROCESS, thread) + _NICENESS
            os.setpriority(os.PRIO_PROCESS, thread, min(lower, _SESSION_NICENESS))
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_SESSION_NICENESS), "ascii")
