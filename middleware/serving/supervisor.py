"""Runs several worker processes, and restarts those that die or are stopped."""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from ..errors import ConfigurationError, QueryliftError
from .command_line import print_error

Work = Callable[[int, Callable[[], None]], int]
"""A worker's function: takes its number and a function to call once it serves; returns a status."""

_EARLY = 5.0  # seconds after its start in which a worker's death counts as early
_MAX_EARLY_DEATHS = 3
_STOPPED_TIMEOUT = 10.0  # seconds that a worker may be stopped, as by SIGSTOP
_KILL_AFTER = 2.0  # seconds that workers have to end after a second signal
_LOOK_EVERY = 0.2  # seconds between looks at the time, while there is something to wait for
_CANNOT_SERVE = 78  # EX_CONFIG of sysexits.h: another worker would fail as well
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)

_log = logging.getLogger("querylift.serving.supervisor")


def run_workers(count: int, work: Work) -> int:
    """Run ``work`` in ``count`` forked processes until a signal, and return the exit status.

    The first worker starts alone, the others once it serves; if it ends before that, its status is
    returned. SIGINT, SIGTERM and SIGHUP are passed on to all workers. A second signal kills those
    that do not end within two seconds, a third one at once. A worker that dies is replaced, and so
    is one that is stopped for ten seconds (SIGSTOP). After three deaths in a row within seconds of
    the start, or if a worker raises a ``QueryliftError``, all are stopped. Workers also stop if
    this process is killed.

    Call it in the main thread, before other threads start.
    Errors: ``ConfigurationError`` if the system cannot fork.
    """
    if not hasattr(os, "fork"):
        raise ConfigurationError("this system cannot fork, so the setting workers must be 1")
    return _Supervisor(count, work).run()


@dataclass(slots=True)
class _Worker:
    """A worker; times are in seconds. ``stopped`` is since when it does not run, if so."""

    number: int
    started: float
    stopped: float | None = None
    killed: bool = False


class _Supervisor:
    def __init__(self, count: int, work: Work) -> None:
        self._count = count
        self._work = work
        self._alive: dict[int, _Worker] = {}  # by process id
        self._first_ready: int | None = None  # tells that the first worker serves
        self._signals = 0  # how many asked for the end
        self._kill_at = float("inf")
        self._lifeline = os.pipe()  # workers see its end when this process is gone
        self._wakeup = os.pipe()  # holds a byte for each signal

    def run(self) -> int:
        with self._handlers():
            self._first_ready = self._start(0)
            return self._watch()

    @contextmanager
    def _handlers(self) -> Iterator[None]:
        for end in self._wakeup:
            os.set_blocking(end, False)
        before = {number: signal.signal(number, self._stop) for number in _heard_signals()}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        wakeup = signal.set_wakeup_fd(self._wakeup[1], warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for name, handler in before.items():
                signal.signal(name, handler)
            for end in (*self._lifeline, *self._wakeup):
                os.close(end)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            self._kill_at = time.monotonic() + (_KILL_AFTER if self._signals == 2 else 0.0)
        for process in list(self._alive):
            _send(process, signal.SIGTERM)

    def _start(self, number: int) -> int:
        """Start a worker; return a pipe that gets a byte once it serves."""
        ready, signal_ready = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(ready)
            self._become_worker(number, signal_ready)
        os.close(signal_ready)
        self._alive[process] = _Worker(number, time.monotonic())
        if self._signals:  # one came during the fork
            _send(process, signal.SIGTERM)
        return ready

    def _become_worker(self, number: int, signal_ready: int) -> NoReturn:
        """Run the worker in this forked process, and exit."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for name in (*_heard_signals(), signal.SIGCHLD):
                signal.signal(name, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.setpgrp()  # the supervisor passes interrupts at the terminal on
            for end in (self._lifeline[1], *self._wakeup):
                os.close(end)
            threading.Thread(target=self._stop_with_supervisor, daemon=True).start()

            def ready() -> None:
                with suppress(OSError):  # the supervisor does not wait for this worker
                    os.write(signal_ready, b"1")

            status = self._work(number, ready)
        except QueryliftError as error:
            print_error(error)
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
            self._wait()
            for worker, status in self._ended():
                if self._first_ready is not None:  # it has never served, and is the only one
                    os.close(self._first_ready)
                    return _exit_status(status)
                if self._signals:
                    worst = max(worst, _exit_status(status))
                    continue
                early = early + 1 if time.monotonic() - worker.started < _EARLY else 0
                cannot_serve = os.waitstatus_to_exitcode(status) == _CANNOT_SERVE
                if cannot_serve or early >= _MAX_EARLY_DEATHS:
                    why = (
                        "cannot serve"
                        if cannot_serve
                        else "ended soon after its start, like others"
                    )
                    _log.error("worker %d %s: stopping", worker.number, why)
                    worst = 1
                    self._stop(signal.SIGTERM, None)
                    continue
                _log.error("worker %d ended (status %d); it is replaced", worker.number, status)
                os.close(self._start(worker.number))
            self._kill_overdue(time.monotonic())
        return worst

    def _wait(self) -> None:
        """Wait for a signal, for the first worker to serve, or for time to pass that matters."""
        first = [] if self._first_ready is None else [self._first_ready]
        pending = self._signals or any(w.stopped is not None for w in self._alive.values())
        found = select.select([self._wakeup[0], *first], [], [], _LOOK_EVERY if pending else None)
        if self._wakeup[0] in found[0]:
            with suppress(BlockingIOError):
                os.read(self._wakeup[0], 4096)
        if self._first_ready in found[0] and os.read(first[0], 1):
            os.close(first[0])
            self._first_ready = None
            for number in range(1, self._count):
                if not self._signals:
                    os.close(self._start(number))

    def _ended(self) -> Iterator[tuple[_Worker, int]]:
        """Yield the workers that have ended, with their status; note those that were stopped."""
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            except ChildProcessError:
                return
            if not process:
                return
            worker = self._alive.get(process)
            if worker is None:  # not a worker, but left to this process by one that has ended
                continue
            if os.WIFSTOPPED(status):
                worker.stopped = time.monotonic()
            elif os.WIFCONTINUED(status):
                worker.stopped = None
            else:
                del self._alive[process]
                yield worker, status

    def _kill_overdue(self, now: float) -> None:
        """Kill workers that were stopped for too long, or that go on after a second signal."""
        for process, worker in self._alive.items():
            late = worker.stopped is not None and now - worker.stopped >= _STOPPED_TIMEOUT
            ends = now >= self._kill_at or (self._signals and worker.stopped is not None)
            if (late or ends) and not worker.killed:
                if not ends:
                    _log.error("worker %d was stopped, and is killed", worker.number)
                worker.killed = True
                _send(process, signal.SIGKILL)


def _send(process: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)


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
