"""The engine that callers use in place of one that runs in another process.

Python runs one thread at a time in a process, so an engine's thread takes turns with the event
loop of the server. In a process of its own the engine never holds up the event loop.
"""

from __future__ import annotations

import logging
import os
import pickle
import selectors
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, cast

from ...core.outcome import Mode
from ...errors import ConfigurationError, EngineError
from ...policy.acceptance import Acceptance
from ..base import Answer, Engine
from ..claims import one_thread
from ..judging import EngineResult
from .child import start_child
from .peer import Peer, is_stopped, limit_waits
from .shared import checked_address, connect_shared, give_up, has_loaded
from .wire import decode, error_of, identity, receive, send

_LOOK_EVERY = 0.01  # seconds between looks at whether the texts of a call are still wanted
_LOOK_AT_LOADING = 0.1
_LOOK_LONGEST = 0.2  # what one look counts at most, as this process may itself have been stopped
_STOPS = 3  # processes that are started for a load, if each is stopped
_ABANDON_AFTER = 1.0  # seconds without an answer after which a shared process is not left behind
_log = logging.getLogger("querylift.engines")


class ProcessEngine:
    """Runs another engine in a process; its name, revision, answers and errors are that one's.

    ``make`` makes the engine: here for its name, and in the process to run it. It is sent there
    by pickling, such as ``functools.partial(load_engine, "t5", model)``.

    Without ``socket`` the process is a child of this one and ends with it. With ``socket``, a
    path, all processes on the machine that name the same path share one engine process. The
    first one starts it. It ends ``idle_timeout`` seconds after the last one has left. It answers
    texts of several clients in one call. The socket can be used by this user only; a folder that
    others may write to is refused, and so is a process of another user.

    If the process dies, the running call fails, and the next call starts another process. A
    process is killed that does not answer within ``hang_timeout`` seconds after all texts of a
    call were cancelled, is stopped that long while it loads, or has loaded and does not greet.

    Concurrency: owned by one thread. A forked child that uses its copy gets its own process or
    connection. Errors: ``ConfigurationError`` for a path that can be no socket; those of the
    engine's ``load``; ``EngineError`` if the process at the socket runs another engine.
    """

    def __init__(
        self,
        make: Callable[[], Engine],
        socket: str | os.PathLike[str] | None = None,
        *,
        hang_timeout: float = 10.0,
        idle_timeout: float = 10.0,
    ) -> None:
        if not hang_timeout > 0 or not idle_timeout > 0:
            raise ConfigurationError(
                f"engine process: hang_timeout ({hang_timeout}) and idle_timeout "
                f"({idle_timeout}) must be above 0 seconds"
            )
        self._address = None if socket is None else checked_address(socket)
        engine = make()
        self.name = engine.name
        self.revision = engine.revision
        self._identity = identity(engine)
        self._make = make
        self._hang_timeout = hang_timeout
        self._idle_timeout = idle_timeout
        self._acceptance: Acceptance | None = None
        self.lost = False
        """Whether the process ended during a call; the next call, or ``load``, starts another."""
        self._forget()

    def _forget(self) -> None:
        self._owner = os.getpid()
        self._child: subprocess.Popen[bytes] | None = None
        self._peer: Peer | None = None  # the shared process
        self._overdue = 0.0  # seconds for which the process should have answered
        self._connection: Connection | None = None
        self._selector: selectors.BaseSelector = selectors.DefaultSelector()
        self._policy: str | None = None  # what the process judges by
        self.pid: int | None = None
        """The process that runs the engine, while this one is connected to it."""

    def load(self) -> None:
        """Start the process, or connect to the shared one, and wait until its engine is loaded."""
        self.close()
        self.lost = False
        failures, stops = 0, 0
        while True:
            try:
                message = self._connect()
                break
            except (OSError, EOFError) as error:
                ended = self._ended()  # a shared one may just have been about to end
                failures += 1
                if failures > (self._address is not None):
                    raise ended from error
            except _HangError as hung:
                stops += 1
                if stops == _STOPS:
                    raise
                _log.warning("%s; another one is started", hung)
        if "error" in message:
            self.close()
            raise error_of(message)
        if message["engine"] != self._identity:
            self.close()
            raise EngineError(
                f"engine socket {self._address}: its process runs {message['engine']}, not "
                f"{self._identity}; give this engine another socket"
            )
        self.pid = message["ready"] if self._peer is None else self._peer.pid
        self._policy = message["policy"]

    def _connect(self) -> dict[str, Any]:
        """Connect to a process and return its first message.

        Errors: ``OSError``, ``EOFError``, and ``EngineError`` for a process that hangs.
        """
        parts = self._make, self._acceptance
        if self._address is None:
            self._connection, self._child = start_child(parts)
        else:
            self._connection, self._peer = connect_shared(parts, self._address, self._idle_timeout)
        limit_waits(self._connection, self._hang_timeout)
        self._selector.register(self._connection, selectors.EVENT_READ)
        looked = time.monotonic()
        while not self._selector.select(_LOOK_AT_LOADING):
            looked = self._wait_longer(looked, due=self._should_greet())
        self._overdue = 0.0
        return receive(self._connection)

    def _should_greet(self) -> bool:
        """Return whether the process hangs, and does not only take its time to load."""
        if self._child is not None:
            return is_stopped(self._child.pid)
        assert self._peer is not None
        assert self._address is not None
        return self._peer.stopped() or has_loaded(self._address, self._peer.pid)

    def _wait_longer(self, looked: float, *, due: bool) -> float:
        """Count the time since a look, if an answer is due, and return the time of this look.

        Errors: ``EngineError`` if the process is overdue; it was killed then.
        """
        now = time.monotonic()
        self._overdue = self._overdue + min(now - looked, _LOOK_LONGEST) if due else 0.0
        if self._overdue > self._hang_timeout:
            self._kill()
            raise _HangError(
                f"engine {self.name} did not stop within {self._hang_timeout:g} s; "
                "its process was killed"
            )
        return now

    def judge_with(self, acceptance: Acceptance) -> None:
        """Have the process judge by this acceptance; see ``JudgingEngine``.

        A process is started with an acceptance and keeps it. While it has another one, or if
        this one cannot be pickled, answers come back without verdicts.
        """
        self._acceptance = acceptance
        try:
            pickle.dumps(acceptance)
        except Exception:  # a class of the user's that belongs to this process
            self._acceptance = None

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Have the process answer; see ``Engine``."""
        return cast("Sequence[Answer]", self._call(texts, None, cancelled))

    def generate_verdicts(
        self, texts: Sequence[str], modes: Sequence[Mode], cancelled: Callable[[int], bool]
    ) -> Sequence[EngineResult]:
        """Have the process answer and judge; see ``JudgingEngine``."""
        return self._call(texts, modes, cancelled)

    def close(self) -> None:
        """End the child, or leave the shared process to its other clients."""
        self._selector.close()
        if self._connection is not None:
            self._connection.close()
        if self._child is not None and self._owner == os.getpid():
            self._child.kill()
            self._child.wait()
        if self._peer is not None:
            self._peer.close()
        self._forget()

    @property
    def hangs(self) -> bool:
        """Whether the process is stopped, or does not answer while nobody waits for it."""
        child, peer = self._child, self._peer
        stopped = peer is not None and peer.stopped()
        if child is not None:
            stopped = is_stopped(child.pid)
        return stopped or self._overdue > _ABANDON_AFTER

    def abandon(self) -> None:
        """End the child, or a shared process that hangs; see ``Restartable``."""
        child, peer = self._child, self._peer
        if child is not None and self._owner == os.getpid():
            child.kill()
        elif peer is not None and self.hangs:
            peer.kill()

    @one_thread
    def _call(
        self,
        texts: Sequence[str],
        modes: Sequence[Mode] | None,
        cancelled: Callable[[int], bool],
    ) -> Sequence[EngineResult]:
        connection = self._request(texts, modes)
        unwanted: set[int] = set()
        looked = time.monotonic()
        try:
            while not self._selector.select(_LOOK_EVERY):
                found = [i for i in range(len(texts)) if i not in unwanted and cancelled(i)]
                if found:
                    unwanted.update(found)
                    send(connection, {"cancel": found})
                looked = self._wait_longer(looked, due=len(unwanted) == len(texts))
            self._overdue = 0.0
            message = receive(connection)
        except (OSError, EOFError) as error:
            self.lost = True
            raise self._ended() from error
        except _HangError:
            self.lost = True
            raise
        if "error" in message:
            raise error_of(message)
        return [decode(result) for result in message["results"]]

    def _request(self, texts: Sequence[str], modes: Sequence[Mode] | None) -> Connection:
        """Send a call and return the connection; start a process if the last one has died."""
        if self._owner != os.getpid():  # forked since: the process is the parent's
            self.close()
        while True:
            fresh = self._connection is None
            if fresh:
                self.load()
            assert self._connection is not None
            mine = None if self._acceptance is None else self._acceptance.revision
            judged = modes is not None and mine is not None and mine == self._policy
            try:
                send(self._connection, {"texts": list(texts), "modes": modes if judged else None})
            except OSError as error:
                ended = self._ended()
                if fresh:
                    raise ended from error
                _log.warning("%s; another one is started", ended)
            else:
                return self._connection

    def _kill(self) -> None:
        """Kill the process, also a shared one: it hangs for its other clients, too."""
        if self._peer is not None and not self._peer.kill():
            assert self._address is not None
            give_up(self._address)
        self.close()

    def _ended(self) -> EngineError:
        """Give up the connection to a process that has died, and return the error to raise."""
        code = ""
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(1)
            code = f" (exit code {self._child.poll()})"
        self.close()
        return EngineError(f"engine {self.name}: its process ended{code}")


class _HangError(EngineError):
    """The process did not answer in time, and was killed."""
