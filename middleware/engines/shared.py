"""One engine for several processes: each reaches it through a local socket.

Without this, every worker of a server has the weights in its own memory, and the workers'
engines take the processors from each other.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any, cast

from ..core.outcome import Mode
from ..errors import ConfigurationError, EngineError, ModelError
from ..policy.acceptance import Acceptance
from .base import Answer, Engine
from .host import IDLE_TIMEOUT, from_json, identity, locked, receive, send
from .judging import Judged, sendable
from .process import ASK_EVERY

__all__ = ["SharedEngine"]

_LONGEST = 100  # bytes of a path that every system's sockets take
_START = "import sys; sys.path[:] = {path!r}; from {package}.host import main; main()"
_log = logging.getLogger("querylift.engines")


class SharedEngine:
    """Runs another engine in a process that all who name the same socket share.

    ``make`` makes the engine, as for ``ProcessEngine``. Who
    finds no process at ``socket`` starts it; the others wait for that and use it. It belongs to
    none of them and ends some ``idle_timeout`` seconds after the last one has left. Where it dies,
    the calls under way fail and whoever calls next starts another one. One that does not come back
    ``patience`` seconds after the last text of a call stopped being wanted is killed.

    Texts of several processes that wait at the same time are answered in one call. The socket is
    open to its user only; put it into a folder that nobody else can write.

    Concurrency: owned by one thread, as any engine. Errors: ``ConfigurationError`` for a
    path that can be no socket, from ``load`` those of the engine's, and
    ``EngineError`` where the process at the socket runs another engine.
    """

    def __init__(
        self,
        make: Callable[[], Engine],
        socket: str | os.PathLike[str],
        *,
        patience: float = 10.0,
        idle_timeout: float = IDLE_TIMEOUT,
    ) -> None:
        self._address = os.path.abspath(os.path.expanduser(os.fspath(socket)))
        if os.name != "posix":
            raise ConfigurationError("an engine can be shared on systems with local sockets only")
        if len(os.fsencode(self._address)) > _LONGEST:
            raise ConfigurationError(
                f"engine socket {self._address} has more than {_LONGEST} bytes; give a shorter path"
            )
        if not Path(self._address).parent.is_dir():
            raise ConfigurationError(
                f"engine socket {self._address}: its folder is not there; make it first"
            )
        if not patience > 0 or not idle_timeout > 0:
            raise ConfigurationError(
                f"engine socket: patience ({patience}) and idle_timeout ({idle_timeout}) "
                "must be above 0"
            )
        engine = make()
        self.name = engine.name
        self.revision = engine.revision
        self._identity = identity(engine)
        self._make = make
        self._patience = patience
        self._idle_timeout = idle_timeout
        self._owner = 0
        self._pipe: Connection | None = None
        self._acceptance: Acceptance | None = None
        self._judges = False
        self.pid: int | None = None
        """The process that runs the engine, while this one is connected to it."""

    def load(self) -> None:
        """Connect to the process, which is started first where there is none."""
        self.close()
        self._owner = os.getpid()
        if self._connect():
            return
        with locked(self._address):
            if self._connect():  # another one was quicker
                return
            self._start()
        if not self._connect():
            raise EngineError(f"engine {self.name}: its process at {self._address} has ended")

    def judge_with(self, acceptance: Acceptance) -> None:
        """Have the process judge by this; see ``Judging``.

        It does where it was started for the same policy; else answers come back as they are.
        """
        self._acceptance = sendable(acceptance)

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Have the process answer; see ``Engine``."""
        return cast("Sequence[Answer]", self._asked(texts, None, cancelled))

    def generate_judged(
        self, texts: Sequence[str], modes: Sequence[Mode], cancelled: Callable[[int], bool]
    ) -> Sequence[Judged]:
        """Have it answer and judge; see ``Judging``."""
        return self._asked(texts, modes, cancelled)

    def _asked(
        self,
        texts: Sequence[str],
        modes: Sequence[Mode] | None,
        cancelled: Callable[[int], bool],
    ) -> Sequence[Judged]:
        if self._owner != os.getpid():
            self._pipe = None  # this process was forked since: the connection is its parent's
        if self._pipe is None:
            self.load()
        assert self._pipe is not None
        pipe, unwanted, idle = self._pipe, set[int](), 0
        try:
            judging = {"modes": list(modes)} if modes is not None and self._judges else {}
            send(pipe, {"texts": list(texts), **judging})
            while not pipe.poll(ASK_EVERY):
                left = [i for i in range(len(texts)) if i not in unwanted and cancelled(i)]
                if left:
                    unwanted.update(left)
                    send(pipe, {"unwanted": left})
                idle = idle + 1 if len(unwanted) == len(texts) else 0
                if idle * ASK_EVERY > self._patience:
                    self._end()
                    raise EngineError(f"engine {self.name} did not come back, and was ended")
            message = receive(pipe)
        except (OSError, EOFError) as error:
            _log.warning("engine %s: its process is gone; another one is used", self.name)
            self.close()
            raise EngineError(f"engine {self.name}: its process ended") from error
        if "error" in message:
            raise EngineError(message["error"])
        return [from_json(answer) for answer in message["answers"]]

    def close(self) -> None:
        """Leave the process to the others."""
        if self._pipe is not None:
            self._pipe.close()
        self._pipe = self.pid = None

    def _end(self) -> None:
        """Kill the process, as it hangs for the others too."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.close()

    def _connect(self) -> bool:
        try:
            pipe = Client(self._address, "AF_UNIX")
        except OSError:
            return False
        try:
            policy = None if self._acceptance is None else self._acceptance.revision
            send(pipe, {"hello": self._identity, "policy": policy})
            message = receive(pipe)
        except (OSError, EOFError):
            pipe.close()
            return False
        if "ready" not in message:
            pipe.close()
            raise EngineError(
                f"engine {self._identity} cannot be shared at {self._address}: {message['error']}; "
                "give it another socket"
            )
        self._pipe, self.pid, self._judges = pipe, message["ready"], message["judges"]
        return True

    def _start(self) -> None:
        """Start the process and wait until it listens; the lock is held."""
        with suppress(FileNotFoundError):
            os.unlink(self._address)  # nobody is behind it
        process = subprocess.Popen(
            [sys.executable, "-c", _START.format(path=sys.path, package=__package__)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a terminal's interrupt is not for it
        )
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(
                pickle.dumps((self._address, self._make, self._idle_timeout, self._acceptance))
            )
        with process.stdout as answer:
            told = answer.readline()
        process.wait()  # it left its work to a child that is nobody's
        failure: dict[str, Any] = json.loads(told) if told.strip() else {}
        if failure:
            kind = ModelError if failure["kind"] == ModelError.__name__ else EngineError
            raise kind(failure["error"])
        if not told:
            raise EngineError(f"engine {self.name}: its process ended while it loaded")
