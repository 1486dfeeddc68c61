"""Who is at the other end of a local socket: whether it may be trusted, and how it is ended."""

from __future__ import annotations

import os
import signal
import socket
import stat
import struct
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from ...errors import EngineError

_CREDENTIALS = struct.Struct("3i")  # process, user, group: ``struct ucred`` of unix(7)


def folder_fault(folder: str | os.PathLike[str]) -> str:
    """Return why an engine socket in a folder cannot be trusted, the empty string if it can.

    Who may write to a folder may put another socket in the place of ours, and would be sent the
    texts that people search for.
    """
    try:
        found = os.stat(folder)
    except OSError as error:
        return f"its folder cannot be used: {error.strerror}"
    if found.st_uid not in (os.geteuid(), 0):
        return f"its folder belongs to another user (number {found.st_uid}); make one of your own"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write to its folder; run 'chmod go-w' on {folder}, or make one"
    return ""


class Peer:
    """The process at the other end of a connection to an engine socket.

    ``pid`` is what the system says, and not what the process does; 0 where the system does not
    tell, or the process is in a container that cannot be seen from here.

    Concurrency: ``stopped`` and ``kill`` may be called on any thread.
    """

    def __init__(self, connected: socket.socket) -> None:
        """Find out who listens. Errors: ``EngineError`` for a process of another user."""
        self.pid, user = _credentials(connected)
        if user not in (None, os.geteuid()):
            raise EngineError(
                f"engine socket {connected.getpeername()}: the process there belongs to another "
                f"user (number {user}), and is not trusted; name another socket"
            )
        self._handle: int | None = None
        if self.pid > 0 and hasattr(os, "pidfd_open"):
            # Stays with this process, while its number may go to another one later.
            with suppress(OSError):  # it has ended, or the system is too old
                self._handle = os.pidfd_open(self.pid)

    def stopped(self) -> bool:
        """Return whether the process is stopped, as by SIGSTOP."""
        return self._handle is not None and is_stopped(self.pid)

    def kill(self) -> bool:
        """Kill the process; return false if it cannot be known which one that is."""
        if self._handle is None:
            return False
        try:
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        except ProcessLookupError:
            pass
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Forget the process."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.close(handle)


def is_trusted_client(accepted: socket.socket) -> bool:
    """Return whether a client of an engine socket is this user or the system's administrator."""
    return _credentials(accepted)[1] in (None, os.geteuid(), 0)


def _credentials(connected: socket.socket) -> tuple[int, int | None]:
    """Return the number of the process at the other end, and of its user, if they are known."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0, None
    told = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(told)
    return process, user


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped by a signal, and not by a debugger."""
    try:
        told = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:  # it has ended, or another system
        return False
    return told.rpartition(b") ")[2][:1] == b"T"


def limit_waits(connection: Connection, seconds: float) -> None:
    """Let a message that was begun fail after this time, as its process may be stopped in it."""
    if os.name == "posix":
        limit = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
        with socket.socket(fileno=os.dup(connection.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
