"""An engine in a process of its own, so that its work never holds up an event loop.

Python runs one thread at a time in a process: an engine's thread and the event loop take turns,
and each turn of the loop may have to wait for one of the engine's. In another process nothing
is shared but a pipe.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..core.outcome import Mode
from ..errors import ConfigurationError, EngineError
from ..policy.acceptance import Acceptance
from .base import Answer, Engine, Loadable
from .judging import Judged, judged, sendable

__all__ = ["ASK_EVERY", "ProcessEngine", "lower_priority"]

_MOST_TEXTS = 256
ASK_EVERY = 0.01
"""Seconds between looks at whether texts are still wanted."""
_NICENESS, _SESSION_NICENESS = 10, 19  # as nice counts
_log = logging.getLogger("querylift.engines")


class ProcessEngine:
    """Runs another engine in a child process; its name, revision and answers are that one's.

    ``make`` makes the engine, here for its name and there to run it, and is sent to the child by
    pickling: ``functools.partial(load_engine, "t5", model)``. A child that died (also killed, or
    out of memory) fails the call under way, and the next call starts another one. One
    that does not come back within ``patience`` seconds after the last of its texts stopped being
    wanted is killed.

    Concurrency: owned by one thread, as any engine. The child ends with the pipe, so that it
    does not outlive this process. Errors: those of the engine's ``load``, told by the child.
    """

    def __init__(self, make: Callable[[], Engine], *, patience: float = 10.0) -> None:
        if not patience > 0:
            raise ConfigurationError(f"engine process: patience ({patience}) must be above 0")
        engine = make()
        self.name = engine.name
        self.revision = engine.revision
        self._make = make
        self._owner = 0
        self._patience = patience
        self._process: Any = None
        self._pipe: Connection | None = None
        self._unwanted: Any = None
        self._acceptance: Acceptance | None = None

    @property
    def pid(self) -> int | None:
        """The child's process id, while there is one."""
        return None if self._process is None else self._process.pid

    def load(self) -> None:
        """Start the child and wait until its engine is loaded."""
        if self._owner == os.getpid():
            self.close()
        self._owner = os.getpid()
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        self._unwanted = context.RawArray("b", _MOST_TEXTS)
        self._process = context.Process(
            target=_serve,
            args=(self._make, there, self._unwanted, self._acceptance),
            name="querylift-engine",
            daemon=True,
        )
        self._process.start()
        there.close()
        self._pipe = here
        self._take(lambda: True)

    def judge_with(self, acceptance: Acceptance) -> None:
        """Have the child judge by this; see ``Judging``."""
        self._acceptance = sendable(acceptance)

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Have the child answer; see ``Engine``."""
        answers: Sequence[Answer] = self._asked(texts, None, cancelled)
        return answers

    def generate_judged(
        self, texts: Sequence[str], modes: Sequence[Mode], cancelled: Callable[[int], bool]
    ) -> Sequence[Judged]:
        """Have the child answer and judge; see ``Judging``."""
        answers: Sequence[Judged] = self._asked(
            texts, None if self._acceptance is None else list(modes), cancelled
        )
        return answers

    def _asked(
        self,
        texts: Sequence[str],
        modes: Sequence[Mode] | None,
        cancelled: Callable[[int], bool],
    ) -> Any:
        if len(texts) > _MOST_TEXTS:
            raise EngineError(f"{len(texts)} texts in one call, where {_MOST_TEXTS} are the most")
        if self._owner != os.getpid():
            self._pipe = None  # this process was forked since: the child is its parent's
        if self._pipe is None or not self._process.is_alive():
            _log.warning("engine %s: its process is gone; another one is started", self.name)
            self.load()
        assert self._pipe is not None
        for index in range(len(texts)):
            self._unwanted[index] = 0
        try:
            self._pipe.send((list(texts), modes))
        except OSError as error:
            raise self._gone() from error

        def wanted() -> bool:
            for index in range(len(texts)):
                if not self._unwanted[index] and cancelled(index):
                    self._unwanted[index] = 1
            return not all(self._unwanted[: len(texts)])

        return self._take(wanted)

    def close(self) -> None:
        """End the child."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def _take(self, wanted: Callable[[], bool]) -> Any:
        """Return what the child says, or raise what it raised."""
        assert self._pipe is not None
        idle = 0
        try:
            while not self._pipe.poll(ASK_EVERY):
                idle = 0 if wanted() else idle + 1
                if idle * ASK_EVERY > self._patience:
                    self.close()
                    raise EngineError(f"engine {self.name} did not come back, and was ended")
            said, value = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._gone() from error
        if said == "error":
            raise value
        return value

    def _gone(self) -> EngineError:
        code = None
        if self._process is not None:
            self._process.join(1)
            code = self._process.exitcode
        self.close()
        return EngineError(f"engine {self.name}: its process ended (exit code {code})")


def lower_priority() -> None:
    """Let other processes go first where processors are short: requests first, rewrites second.

    Linux shares out processors among sessions before it does among a session's processes (sched(7),
    the autogroup feature), so that this one begins a session of its own, and that yields too.
    """
    with suppress(AttributeError, OSError):
        os.nice(_NICENESS)
    with suppress(AttributeError, OSError):
        os.setsid()
        Path("/proc/self/autogroup").write_text(str(_SESSION_NICENESS), "ascii")


def _serve(
    make: Callable[[], Engine], pipe: Connection, unwanted: Any, acceptance: Acceptance | None
) -> None:
    """Make the engine and answer until the pipe is closed: what the child does."""
    import signal

    lower_priority()
    # A terminal's interrupt reaches all its processes; this one ends with the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        try:
            engine = make()
            if isinstance(engine, Loadable):
                engine.load()
            pipe.send(("ready", None))
        except Exception as error:
            pipe.send(("error", _portable(error)))
            return
        while True:
            texts, modes = pipe.recv()
            try:
                answers: Sequence[Judged] = engine.generate(
                    texts, lambda index: bool(unwanted[index])
                )
                if modes is not None and acceptance is not None and len(answers) == len(texts):
                    answers = judged(texts, modes, answers, acceptance)  # type: ignore[arg-type]
                pipe.send(("answers", list(answers)))
            except Exception as error:
                pipe.send(("error", _portable(error)))
    except (EOFError, OSError):
        return  # the other side is gone


def _portable(error: Exception) -> Exception:
    """Return an error that can be sent: one of this package's, or its words."""
    if isinstance(error, EngineError):
        return type(error)(str(error))
    return EngineError(f"{type(error).__name__}: {error}")
