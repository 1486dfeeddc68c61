"""An engine process that several processes share, by a local socket."""

from __future__ import annotations

import os
import pickle
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from ...errors import ConfigurationError, EngineError
from .host import Host
from .launch import Parts, command, leave_terminal, lower_priority, read_rest
from .peer import Peer, folder_fault

_MAX_ADDRESS = 100  # bytes of a path that a local socket takes on every system
_BACKLOG = 64  # clients that may wait until they are accepted
_START_TIMEOUT = 60.0  # seconds for Python to start, far more than it takes
_CONNECT_TIMEOUT = 10.0
_LOCK_TIMEOUT = 90.0  # seconds for others to start the process
_ASK_AGAIN = 0.05  # seconds until the lock is asked for again


def checked_address(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of an engine socket.

    Errors: ``ConfigurationError`` if no socket can be there, or if others might put theirs there.
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
    if fault := folder_fault(Path(address).parent):
        raise ConfigurationError(f"engine socket {address}: {fault}")
    if _is_taken(address):
        raise ConfigurationError(
            f"engine socket {address}: something else lies there; name a path where there is "
            "nothing, or the socket of other `serve` processes"
        )
    return address


def connect_shared(parts: Parts, address: str, idle_timeout: float) -> tuple[Connection, Peer]:
    """Return a connection to the engine process at a socket, which is started if there is none.

    That process is nobody's child and ends ``idle_timeout`` seconds after its last client left.
    Clients connect at once, and wait while the engine loads. Errors: ``OSError``, and
    ``EngineError`` for a process or a folder that is not to be trusted.
    """
    if fault := folder_fault(Path(address).parent):  # it may have changed since the start
        raise EngineError(f"engine socket {address}: {fault}")
    with locked(address):
        try:
            return _connect(address)
        except (ConnectionRefusedError, FileNotFoundError):
            if _is_taken(address):  # put there since the start
                raise EngineError(f"engine socket {address}: something else lies there") from None
            with suppress(FileNotFoundError):
                os.unlink(address)  # left behind by a process that died
            _start_shared(parts, address, idle_timeout)
        return _connect(address)


def _connect(address: str) -> tuple[Connection, Peer]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as opened:
        opened.settimeout(_CONNECT_TIMEOUT)
        opened.connect(address)
        peer = Peer(opened)
        opened.settimeout(None)
        return Connection(opened.detach()), peer


def end_shared(address: str) -> None:
    """Kill the process that serves a socket, if there is one; for whoever owns the socket."""
    with suppress(OSError, EngineError):
        connection, peer = _connect(address)
        peer.kill()
        peer.close()
        connection.close()


def give_up(address: str) -> None:
    """Leave a process that hangs and cannot be killed: the next client starts another."""
    with suppress(OSError), locked(address):
        os.unlink(address)


@contextmanager
def locked(address: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a socket's address, which one process can hold at a time.

    Yields whether it is held: without ``wait`` it is not if another process holds it. The
    system frees the lock of a process that dies. Errors: ``OSError`` if another process holds it
    for longer than any start takes.
    """
    import fcntl  # not on every system

    until = time.monotonic() + (_LOCK_TIMEOUT if wait else 0.0)
    flags = os.O_NOFOLLOW | os.O_CLOEXEC  # a link could lead to a file of another purpose
    with open(
        _lock_file(address), "ab", opener=lambda path, mode: os.open(path, mode | flags, 0o600)
    ) as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < until:
                    time.sleep(_ASK_AGAIN)
                    continue
                if wait:
                    raise TimeoutError(f"another process holds {file.name}") from None
                yield False
            else:
                yield True
            return


def _lock_file(address: str) -> str:
    return f"{address}.lock"


def has_loaded(address: str, pid: int) -> bool:
    """Return whether the process at a socket has loaded its engine, and so should greet at once."""
    try:
        with open(_lock_file(address), "rb") as file:
            return pid > 0 and file.read(20) == str(pid).encode()
    except OSError:
        return False


def _start_shared(parts: Parts, address: str, idle_timeout: float) -> None:
    """Start a process that serves the clients of a socket, whose address must be free.

    It is nobody's child. Clients can connect once this returns, if it has not died.
    Errors: ``OSError``.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(address)
        os.chmod(address, 0o600)  # before anybody can connect: for this user only
        process = subprocess.Popen(
            command(run_shared),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,  # an interrupt from the terminal is not for it
        )
        told = address, listener.fileno(), idle_timeout, pickle.dumps(parts)
        try:
            process.communicate(pickle.dumps(told), timeout=_START_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise TimeoutError(f"Python did not start within {_START_TIMEOUT:g} s") from None
        # It has ended after it forked the process that stays.


def run_shared() -> None:
    """Serve the clients of a socket; run by the process that was started, with its arguments
    pickled on standard input.
    """
    address, descriptor, idle_timeout, engine = pickle.loads(read_rest(sys.stdin.buffer))
    listener = socket.socket(fileno=descriptor)
    ready, tell_ready = os.pipe()
    if os.fork():
        os.close(tell_ready)
        os.read(ready, 1)
        os._exit(0)  # so that nobody has to wait for the end of the process that stays
    listener.listen(_BACKLOG)  # here, as the system tells clients the process that does this
    bound = _identity(address)
    os.close(tell_ready)
    os.close(ready)
    leave_terminal()
    host = Host(lambda: pickle.loads(engine), listener=listener, loaded=lower_priority)
    # Whoever reads the output of the process that started this one need not wait for this one.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    with suppress(OSError):  # the folder may be removed at any time
        if host.failure is not None:
            with locked(address):  # whoever has started this process is connected then
                _remove(address, bound)  # the next client starts another process
            host.serve(1.0)
            return
        Path(_lock_file(address)).write_text(str(os.getpid()), "ascii")
        while True:
            host.serve(idle_timeout)
            with locked(address, wait=False) as held:
                if held and not host.read(0):  # nobody is connecting
                    _remove(address, bound)
                    return


def _is_taken(address: str) -> bool:
    """Return whether a file that is no socket lies at a path; it must not be removed."""
    try:
        return not stat.S_ISSOCK(os.lstat(address).st_mode)
    except OSError:
        return False


def _identity(address: str) -> tuple[int, int]:
    """Return what tells the file at a path from one that takes its place later."""
    with suppress(OSError):
        found = os.lstat(address)
        return found.st_dev, found.st_ino
    return 0, 0


def _remove(address: str, bound: tuple[int, int]) -> None:
    """Remove the socket that this process has bound, and not that of a process after it."""
    if _identity(address) == bound:
        os.unlink(address)
