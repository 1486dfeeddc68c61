"""The worker: one thread that owns the engine and runs the scheduled flights."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from collections.abc import Callable

from ..core.reformulation import Verdict
from ..engines.base import Engine, Loadable, Restartable
from ..engines.claims import claim, release
from ..engines.judging import EngineResult, JudgingEngine
from ..errors import EngineError
from ..policy.acceptance import Acceptance
from .clock import Clock
from .engine_calls import EngineCalls
from .flights import Flight
from .guarded import wake_all
from .scheduler import Scheduler

_SWITCH_INTERVAL = 0.0005
"""Seconds for which the engine may keep the interpreter from the event loop, which would wait as
long at every turn; CPython's default is 5 ms."""

_log = logging.getLogger("querylift.runtime")


class Worker:
    """Runs flights through an engine on a thread of its own.

    ``acceptance`` is handed to an engine that judges its answers itself. ``judge`` turns an
    engine's result into a verdict and stores it; it runs on the worker thread, without the lock.
    ``lock`` is the dispatcher's; it is notified when there is work.

    Invariants: at most one engine call at a time, even if the thread was stopped and
    started again during the call; each flight is closed exactly once.
    """

    def __init__(
        self,
        engine: Engine,
        acceptance: Acceptance,
        judge: Callable[[Flight, EngineResult], Verdict],
        scheduler: Scheduler,
        lock: threading.Condition,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._restartable = engine if isinstance(engine, Restartable) else None
        self._acceptance = acceptance
        self._scheduler = scheduler
        self._lock = lock
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._owner: threading.Thread | None = None  # the thread that uses the engine
        self.loaded = False
        self._abandoned = False
        self.failure: BaseException | None = None
        self._calls = EngineCalls(
            engine, judge, scheduler, lock, clock, lambda: self._thread is not self._owner
        )

    @property
    def started(self) -> bool:
        """Whether there is a thread."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread unless there is one; needs the lock.

        Once the engine could not be loaded, this does nothing until ``stop``. While another
        worker uses the engine, it sets ``failure`` and starts no thread.
        """
        if self._thread is None:
            try:
                claim(self._engine, self)
            except EngineError as error:
                if self.failure is None:
                    _log.error("%s", error)
                self.failure = error
                return
            self.failure = None
            self.loaded = self.loaded or not isinstance(self._engine, Loadable)
            sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_INTERVAL))
            self._thread = self._clock.spawn("querylift-engine", self._run)

    def stop(self, timeout: float) -> None:
        """Drop all flights and end the thread after its current step; takes the lock.

        Waits at most ``timeout`` seconds for the thread. A longer engine call goes on alone, unless
        it is in a process, which is ended then.
        """
        with self._lock:
            thread, self._thread = self._thread, None
            self._scheduler.clear()
            self._clock.notify(self._lock)
        self.wake_waiters()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
            engine = self._restartable
            if engine is not None and (thread.is_alive() or engine.hangs):
                engine.abandon()  # or it would outlive this process

    def wake_waiters(self) -> None:
        """Call the wakes in the outbox; the lock must not be held."""
        wake_all(self._scheduler.outbox)

    def _run(self) -> None:
        with self._lock:
            # A stopped thread may still be in an engine call.
            while self._is_current() and self._owner is not None:
                self._clock.wait(self._lock)
            if not self._is_current():
                self._release()
                return
            self._owner = threading.current_thread()
        try:
            if self._load():
                self._serve()
        finally:
            with self._lock:
                self._owner = None
                self._release()
                self._clock.notify(self._lock)

    def _release(self) -> None:
        """Let other workers use the engine, unless a thread of this one does or will."""
        if self._owner is None and (self._thread is None or self._is_current()):
            release(self._engine, self)

    def _is_current(self) -> bool:
        """Return whether the calling thread is the worker's, and not one that was stopped."""
        return self._thread is threading.current_thread()

    def _serve(self) -> None:
        while True:
            try:
                with self._lock:
                    batch = self._next_batch()
                self.wake_waiters()
                if batch is None:
                    return
                self._calls.run(batch)
            except Exception:  # a bug in the runtime must not end the thread
                _log.exception("a batch of rewrites was lost")
                self._recover()
            with self._lock:
                self._scheduler.ended(self._clock.now())
                goes_on = self._is_current() and not self._abandoned
            self.wake_waiters()
            if goes_on and self._restartable is not None and self._restartable.lost:
                self._load_again(self._restartable)

    def _load_again(self, engine: Restartable) -> None:
        """Load an engine whose process has ended, so that no lookup has to wait for that."""
        try:
            engine.load()
            with self._lock:
                self._scheduler.restarted()
        except BaseException as error:  # the next call tries it again
            _log.error("engine %s cannot be started again: %s", self._engine.name, error)

    def abandon(self) -> None:
        """Give the engine up for good, as this process is about to end; see ``Restartable``."""
        self._abandoned = True
        if self._restartable is not None:
            self._restartable.abandon()

    def _recover(self) -> None:
        """Drop all flights and wait for new ones: these would fail again."""
        with self._lock:
            self._scheduler.clear()
        self.wake_waiters()
        with self._lock:
            self._scheduler.ended(self._clock.now())
            if self._is_current() and not self._scheduler.queued:
                self._clock.wait(self._lock)

    def _next_batch(self) -> list[Flight] | None:
        """Wait for flights to run or results to deliver; ``None``: the thread must end."""
        while self._is_current():
            batch = self._scheduler.next_batch(self._clock.now())
            if batch or self._scheduler.outbox:
                self._scheduler.began(batch, self._clock.now())
                return batch
            self._clock.wait(self._lock)
        return None

    def _load(self) -> bool:
        try:
            if isinstance(self._engine, JudgingEngine):
                self._engine.judge_with(self._acceptance)
            if self.loaded:
                return True
            assert isinstance(self._engine, Loadable)
            self._engine.load()
        except BaseException as error:  # whatever it is, requests go on without rewrites
            if not self._is_current():  # stopped meanwhile, and perhaps therefore failed
                return False
            _log.error("engine %s cannot be started: %s", self._engine.name, error)
            with self._lock:
                self.failure = error
                self._clock.notify(self._lock)
            return False
        # A model's libraries are hundreds of thousands of objects that live as long as the
        # process. Frozen, they no longer delay the event loop at each full garbage collection.
        gc.freeze()
        with self._lock:
            self.loaded = True
            self._clock.notify(self._lock)
        return True
