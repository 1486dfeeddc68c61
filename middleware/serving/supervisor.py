"""Runs several worker processes, and restarts those that die."""

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

Work = Callable[[int, Callable[[], None]], int]
"""A worker's function: takes its number and a function to call once it serves; returns a status."""

_EARLY = 5.0  # seconds after its start in which a worker's death counts as early
_MAX_EARLY_DEATHS = 3
_CANNOT_SERVE = 78  # EX_CONFIG of sysexits.h: another worker would fail as well
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)

_log = logging.getLogger("querylift.serving.supervisor")


def run_workers(count: int, work: Work) -> int:
    """Run ``work`` in ``count`` forked processes until a signal, and return the exit status.

    The first worker starts alone, the others once it serves; if it ends before that, its status is
    returned. SIGINT, SIGTERM and SIGHUP are passed on to all workers. A worker that dies is
    replaced. After three deaths in a row within seconds of the start, or if a worker raises a
    ``QueryliftError``, all are stopped. Workers also stop if this process is killed.

    Call it in the main thread, before other threads start.
    Errors: ``ConfigurationError`` if the system cannot fork.
    """
    if not hasattr(os, "fork"):
        raise ConfigurationError("this system cannot fork, so the setting workers must be 1")
    return _Supervisor(count, work).run()


class _Supervisor:
    def __init__(self, count: int, work: Work) -> None:
        self._count = count
        self._work = work
        self._alive: dict[int, tuple[int, float]] = {}  # process id -> number, start time
        self._stopping = False
        self._lifeline = os.pipe()  # workers see its end when this process is gone

    def run(self) -> int:
        before = {number: signal.signal(number, self._stop) for number in _heard_signals()}
        try:
            if not self._start(0, wait=True):
                return self._wait_for_first()
            for number in range(1, self._count):
                if not self._stopping:
                    self._start(number)
            return self._watch()
        finally:
            for end in self._lifeline:
                os.close(end)
            for name, handler in before.items():
                signal.signal(name, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        for process in self._alive:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)

    def _start(self, number: int, *, wait: bool = False) -> bool:
        """Start a worker; with ``wait``, return whether it serves."""
        ready, signal_ready = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(ready)
            self._become_worker(number, signal_ready)
        os.close(signal_ready)
        self._alive[process] = (number, time.monotonic())
        if self._stopping:  # a signal came during the fork
            os.kill(process, signal.SIGTERM)
        try:
            return bool(os.read(ready, 1)) if wait else True
        finally:
            os.close(ready)

    def _become_worker(self, number: int, signal_ready: int) -> NoReturn:
        """Run the worker in this forked process, and exit."""
        status = 1
        try:
            for name in _heard_signals():
                signal.signal(name, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.setpgrp()  # the supervisor passes interrupts at the terminal on
            os.close(self._lifeline[1])
            threading.Thread(target=self._stop_with_supervisor, daemon=True).start()

            def ready() -> None:
                with suppress(OSError):  # the supervisor does not wait for this worker
                    os.write(signal_ready, b"1")

            status = self._work(number, ready)
        except QueryliftError as error:
            print(f"querylift: {error}", file=sys.stderr)
            status = _CANNOT_SERVE
        except KeyboardInterrupt:
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _stop_with_supervisor(self) -> None:
        os.read(self._lifeline[0], 1)  # returns when the supervisor is gone
        os.kill(os.getpid(), signal.SIGTERM)

    def _watch(self) -> int:
        worst, early = 0, 0
        while self._alive:
            process, status = os.wait()
            number, since = self._alive.pop(process)
            if self._stopping:
                worst = max(worst, _exit_status(status))
                continue
            early = early + 1 if time.monotonic() - since < _EARLY else 0
            cannot_serve = os.waitstatus_to_exitcode(status) == _CANNOT_SERVE
            if cannot_serve or early >= _MAX_EARLY_DEATHS:
                why = "cannot serve" if cannot_serve else "ended soon after its start, like others"
                _log.error("worker %d %s: stopping", number, why)
                worst = 1
                self._stop(signal.SIGTERM, None)
                continue
            _log.error("worker %d ended (status %d); it is replaced", number, status)
            self._start(number)
        return worst

    def _wait_for_first(self) -> int:
        """Wait for the only worker, and return its exit status."""
        [process] = self._alive
        return _exit_status(os.waitpid(process, 0)[1])


def _heard_signals() -> list[signal.Signals]:
    """Return the signals that stop a server: SIGHUP too, unless nohup has it ignored."""
    if _HANGUP is None or signal.getsignal(_HANGUP) == signal.SIG_IGN:
        return [*_SIGNALS]
    return [*_SIGNALS, _HANGUP]


def _exit_status(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    # uvicorn stops on a signal and then raises it again.
    if -code in (*_SIGNALS, _HANGUP):
        return 0
    return 1 if code == _CANNOT_SERVE else abs(code)
