"""An engine process that is a child of this process, and ends with it."""

from __future__ import annotations

import atexit
import os
import pickle
import socket
import subprocess
import sys
from contextlib import suppress
from multiprocessing import process, spawn
from multiprocessing.connection import Connection

from .host import Host
from .launch import Parts, command, leave_terminal, lower_priority, read_rest

_children: dict[subprocess.Popen[bytes], int] = {}  # with the process that each is a child of


def start_child(parts: Parts) -> tuple[Connection, subprocess.Popen[bytes]]:
    """Start a child process with an engine; return the connection to it, and the process.

    It ends with this one: when the connection is closed, and by force at the exit of Python.
    """
    # Not a pipe: on Windows there is no selector for those.
    ours, theirs = socket.socketpair()
    # What multiprocessing tells a process that it spawns, so that functions of ``__main__`` are
    # found there. The key, which only its managers use, cannot be pickled.
    prepared = spawn.get_preparation_data("querylift-engine")
    prepared.pop("authkey", None)
    inherited = [theirs.fileno()] if os.name == "posix" else []
    child = subprocess.Popen(command(spawn_main), stdin=subprocess.PIPE, pass_fds=inherited)
    for ended in [other for other in _children if other.poll() is not None]:
        _children.pop(ended, None)
    _children[child] = os.getpid()
    handle = theirs.fileno() if os.name == "posix" else theirs.share(child.pid)  # type: ignore[attr-defined]
    assert child.stdin is not None
    with suppress(BrokenPipeError), child.stdin as stdin:  # it has died, which the connection tells
        for part in (prepared, handle, parts):
            stdin.write(pickle.dumps(part))
    theirs.close()
    return Connection(ours.detach()), child


def spawn_main() -> None:
    """Serve one client until it closes the connection; what the child runs."""
    leave_terminal()
    told = sys.stdin.buffer
    # A script without a guard around its main part would start a child of the child, and so on.
    process.current_process()._inheriting = True  # type: ignore[attr-defined]
    spawn.prepare(pickle.load(told))
    del process.current_process()._inheriting  # type: ignore[attr-defined]
    handle = pickle.load(told)
    if not isinstance(handle, int):
        handle = socket.fromshare(handle).detach()  # type: ignore[attr-defined]
    engine = read_rest(told)
    Host(lambda: pickle.loads(engine), clients=[Connection(handle)], loaded=lower_priority).serve(0)


@atexit.register
def _end_children() -> None:
    """Kill the children of this process that still run; one may be stopped, or hang."""
    for child, parent in _children.items():
        if parent == os.getpid() and child.poll() is None:
            child.kill()
            child.wait()
