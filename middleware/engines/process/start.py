"""Starts engine processes: a child of this process, or one that several processes share."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Client, Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from ...errors import ConfigurationError
from ...policy.acceptance import Acceptance
from ..base import Engine
from .host import Host

_MAX_ADDRESS = 100  # bytes of a path that a local socket takes on every system
_BACKLOG = 64  # clients that may wait until they are accepted
_NICENESS, _SESSION_NICENESS = 10, 19
_COMMAND = "import sys; sys.path[:] = {path!r}; from {module} import run_shared; run_shared()"


def start_child(
    make: Callable[[], Engine], acceptance: Acceptance | None
) -> tuple[Connection, BaseProcess]:
    """Start a child process with an engine; return the connection to it, and the process."""
    # Not a pipe: on Windows there is no selector for those.
    ours, theirs = (Connection(end.detach()) for end in socket.socketpair())
    child = multiprocessing.get_context("spawn").Process(
        target=_run_child, args=(make, acceptance, theirs), name="querylift-engine", daemon=True
    )
    child.start()
    theirs.close()
    return ours, child


def _run_child(
    make: Callable[[], Engine], acceptance: Acceptance | None, client: Connection
) -> None:
    """Serve one client until it closes the connection; what the child runs."""
    _be_in_the_background()
    Host(lambda: (make, acceptance), clients=[client]).serve(0)


def checked_address(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of an engine socket.

    Errors: ``ConfigurationError`` if no socket can be there.
    """
    address = os.path.abspath(os.path.expanduser(os.fspath(path)))
    if os.name != "posix":
        raise ConfigurationError("an engine can be shared on systems with local sockets only")
    if len(os.fsencode(address)) > _MAX_ADDRESS:
        raise ConfigurationError(
            f"engine socket {address} has more than {_MAX_ADDRESS} bytes; give a shorter path"
        )
    if not Path(address).parent.is_dir():
        raise ConfigurationError(f"engine socket {address}: its folder does not exist; make it")
    return address


def connect_shared(
    make: Callable[[], Engine], acceptance: Acceptance | None, address: str, idle_timeout: float
) -> Connection:
    """Return a connection to the engine process at a socket, which is started if there is none.

    That process is nobody's child and ends ``idle_timeout`` seconds after its last client left.
    Clients connect at once, and wait while the engine loads. Errors: ``OSError``.
    """
    with locked(address):
        try:
            return Client(address, "AF_UNIX")
        except OSError:
            _start_shared(make, acceptance, address, idle_timeout)
        return Client(address, "AF_UNIX")


@contextmanager
def locked(address: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a socket's address, which one process can hold at a time.

    Yields whether it is held: without ``wait`` it is not if another process holds it. The
    system frees the lock of a process that dies.
    """
    import fcntl  # not on every system

    with open(f"{address}.lock", "ab", opener=partial(os.open, mode=0o600)) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def _start_shared(
    make: Callable[[], Engine], acceptance: Acceptance | None, address: str, idle_timeout: float
) -> None:
    with suppress(FileNotFoundError):
        os.unlink(address)  # left behind by a process that died
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        os.chmod(address, 0o600)  # before anybody can connect: for this user only
        listener.listen(_BACKLOG)
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND.format(path=sys.path, module=__name__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # an interrupt from the terminal is not for it
        )
        engine = pickle.dumps((make, acceptance))
        process.communicate(pickle.dumps((address, listener.fileno(), idle_timeout, engine)))
        # It has ended after it forked the process that stays.


def run_shared() -> None:
    """Serve the clients of a socket; run by the process that was started, with its arguments
    pickled on standard input.
    """
    address, descriptor, idle_timeout, engine = pickle.load(sys.stdin.buffer)
    if os.fork():
        os._exit(0)  # so that nobody has to wait for the end of the process that stays
    _be_in_the_background()
    host = Host(lambda: pickle.loads(engine), listener=socket.socket(fileno=descriptor))
    # Whoever reads the output of the process that started this one need not wait for this one.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    with suppress(OSError):  # the folder may be removed at any time
        if host.failure is not None:
            os.unlink(address)  # the next client starts another process
            host.serve(1.0)
            return
        while True:
            host.serve(idle_timeout)
            with locked(address, wait=False) as held:
                if held and not host.read(0):  # nobody is connecting
                    os.unlink(address)
                    return


def _be_in_the_background() -> None:
    """Ignore interrupts, and give this process a lower priority than the servers it works for.

    An interrupt from the terminal reaches all its processes; this one ends with its clients.
    Linux divides the processors among sessions before it divides them among the processes of
    a session (sched(7), autogroup). So the process also starts a session and lowers that.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(AttributeError, OSError):
        os.nice(_NICENESS)
    with suppress(AttributeError, OSError):
        os.setsid()
        Path("/proc/self/autogroup").write_text(str(_SESSION_NICENESS), "ascii")
