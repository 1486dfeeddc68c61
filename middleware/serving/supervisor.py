"""Several processes that serve the same, and one that looks after them."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from ..errors import ConfigurationError, QueryliftError

__all__ = ["Work", "run_workers"]

Work = Callable[[int, Callable[[], None]], int]
"""What a worker does: it is given its number and what to call once it serves, returns a status."""

_YOUNG = 5.0  # seconds
_MOST_EARLY_DEATHS = 3

_log = logging.getLogger("querylift.serving.supervisor")


def run_workers(count: int, work: Work) -> int:
    """Run ``work`` in ``count`` forked processes until told to stop, and return the exit status.

    The others start once the first one serves; where it ends before, so does this, with its
    status. Signals to stop are passed on. A worker that dies is started again; when three died
    young in a row, or one says that it cannot serve, all are stopped. Workers stop when this
    process is killed.

    To be called in the main thread, where no other thread runs yet.
    Errors: ``ConfigurationError`` where the system cannot fork.
    """
    if not hasattr(os, "fork"):
        raise ConfigurationError("workers need a system that can fork; leave workers at 1 here")
    return _Supervisor(count, work).run()


class _Supervisor:
    def __init__(self, count: int, work: Work) -> None:
        self._count = count
        self._work = work
        self._alive: dict[int, tuple[int, float]] = {}  # process -> number, when it was started
        self._stopping = False
        self._kept_open = os.pipe()

    def run(self) -> int:
        before = {number: signal.signal(number, self._stop) for number in _SIGNALS}
        try:
            if not self._start(0, wait=True):
                return self._ended()
            for number in range(1, self._count):
                if not self._stopping:
                    self._start(number)
            return self._watch()
        finally:
            for end in self._kept_open:
                os.close(end)
            for name, handler in before.items():
                signal.signal(name, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        for process in self._alive:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)

    def _start(self, number: int, *, wait: bool = False) -> bool:
        """Start a worker; with ``wait``, tell whether it came to serve."""
        heard, said = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(heard)
            self._become(number, said)
        os.close(said)
        self._alive[process] = (number, time.monotonic())
        if self._stopping:  # told to in the meantime
            os.kill(process, signal.SIGTERM)
        try:
            return bool(os.read(heard, 1)) if wait else True
        finally:
            os.close(heard)

    def _become(self, number: int, said: int) -> NoReturn:
        """Be the worker; never returns."""
        status = 1
        try:
            for name in _SIGNALS:
                signal.signal(name, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.setpgrp()  # an interrupt at the terminal is passed on by the keeper
            os.close(self._kept_open[1])
            threading.Thread(target=self._leave_with_keeper, daemon=True).start()

            def ready() -> None:
                with suppress(OSError):  # nobody waits for it
                    os.write(said, b"1")

            status = self._work(number, ready)
        except QueryliftError as error:
            print(f"querylift: {error}", file=sys.stderr)
            status = _HOPELESS
        except KeyboardInterrupt:
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _leave_with_keeper(self) -> None:
        os.read(self._kept_open[0], 1)  # it ends when nobody holds the other end
        os.kill(os.getpid(), signal.SIGTERM)

    def _watch(self) -> int:
        worst, early = 0, 0
        while self._alive:
            process, status = os.wait()
            number, since = self._alive.pop(process)
            if self._stopping:
                worst = max(worst, _exit_status(status))
                continue
            early = early + 1 if time.monotonic() - since < _YOUNG else 0
            hopeless = os.waitstatus_to_exitcode(status) == _HOPELESS
            if hopeless or early >= _MOST_EARLY_DEATHS:
                why = "cannot serve" if hopeless else "ended at once, as others before it"
                _log.error("worker %d %s: stopping", number, why)
                worst = 1
                self._stop(signal.SIGTERM, None)
                continue
            _log.error("worker %d ended (%d): another takes its place", number, status)
            self._start(number)
        return worst

    def _ended(self) -> int:
        """Wait for the one worker there is."""
        [process] = self._alive
        return _exit_status(os.waitpid(process, 0)[1])


_HOPELESS = 78  # EX_CONFIG of sysexits.h: whoever took its place would fail as well
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def _exit_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    # uvicorn hands the signal on to itself once it has stopped.
    if code in (-signal.SIGTERM, -signal.SIGINT):
        return 0
    return 1 if code == _HOPELESS else abs(code)
