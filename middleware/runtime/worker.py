"""The worker: one thread that owns the engine and takes its work from the lanes."""

from __future__ import annotations

import gc
import logging
import sys
import threading
from collections.abc import Callable, Sequence

from ..core.outcome import Reason
from ..core.reformulation import Verdict
from ..engines.base import Engine, Loadable
from ..engines.judging import Judged, Judging
from ..errors import EngineError
from .clock import Clock
from .flights import Flight, FlightResult
from .guarded import where
from .scheduler import Scheduler

__all__ = ["Worker"]

_log = logging.getLogger("querylift.runtime")


class Worker:
    """Runs flights through an engine on a thread of its own.

    ``judge`` turns an answer into a verdict and stores it; it runs on the worker thread,
    without the lock. ``dispatcher`` is the one lock of the runtime; it guards the lanes and is
    notified when there is work. ``switch_interval`` (seconds) bounds how long the engine
    keeps the interpreter from the event loop; ``None`` leaves the process's own setting.

    Invariants: at most one engine call at a time, also where the thread was stopped and
    started again meanwhile; each flight is closed exactly once.
    """

    def __init__(
        self,
        engine: Engine,
        judge: Callable[[Flight, Judged], Verdict],
        scheduler: Scheduler,
        dispatcher: threading.Condition,
        clock: Clock,
        *,
        switch_interval: float | None = None,
    ) -> None:
        self._engine = engine
        self._judge = judge
        self._scheduler = scheduler
        self._dispatcher = dispatcher
        self._clock = clock
        self._switch_interval = switch_interval
        self._thread: threading.Thread | None = None
        self._occupant: threading.Thread | None = None  # the one that has the engine
        self.loaded = not isinstance(engine, Loadable)
        self.failure: BaseException | None = None

    @property
    def started(self) -> bool:
        """Whether there is a thread."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread unless there is one; the desk is held.

        After an engine could not be loaded, this does nothing until ``stop``.
        """
        if self._thread is None:
            self.failure = None
            if self._switch_interval is not None:
                # The interpreter is handed on after this time at the latest; CPython's
                # default of 5 ms is what an event loop would have to wait for each turn.
                sys.setswitchinterval(min(sys.getswitchinterval(), self._switch_interval))
            self._thread = self._clock.spawn("querylift-engine", self._run)

    def stop(self, patience: float = 5.0) -> None:
        """Let all who wait go, and end the thread after its current step; the desk is not held.

        An engine that does not come back within ``patience`` seconds is left to itself.
        """
        with self._dispatcher:
            thread, self._thread = self._thread, None
            self._scheduler.clear()
            self._clock.notify(self._dispatcher)
        self.tell()
        if thread is not None and thread is not threading.current_thread():
            thread.join(patience)

    def tell(self) -> None:
        """Wake those whose flight has ended; the desk is not held."""
        outbox = self._scheduler.outbox
        while True:
            try:
                wake, result = outbox.popleft()
            except IndexError:
                return
            try:
                wake(result)
            except Exception:
                _log.exception("a caller could not be told how its rewrite ended")

    def _run(self) -> None:
        with self._dispatcher:
            # A thread that was stopped may still be in a call that has not come back.
            while self._mine() and self._occupant is not None:
                self._clock.wait(self._dispatcher)
            if not self._mine():
                return
            self._occupant = threading.current_thread()
        try:
            if self._load():
                self._serve()
        finally:
            with self._dispatcher:
                self._occupant = None
                self._clock.notify(self._dispatcher)

    def _mine(self) -> bool:
        """Tell whether the calling thread is the one that is to work."""
        return self._thread is threading.current_thread()

    def _serve(self) -> None:
        while True:
            try:
                with self._dispatcher:
                    batch = self._next_batch()
                self.tell()
                if batch is None:
                    return
                self._fly(batch)
            except Exception:  # a fault of the runtime's own must not end the thread
                _log.exception("a batch of rewrites was lost")
                self._start_over()
            with self._dispatcher:
                self._scheduler.ended(self._clock.now())
            self.tell()

    def _start_over(self) -> None:
        """Let all go, and wait for new work: the same again would end the same way."""
        with self._dispatcher:
            self._scheduler.clear()
        self.tell()
        with self._dispatcher:
            self._scheduler.ended(self._clock.now())
            if self._mine() and not (self._scheduler.live or self._scheduler.late):
                self._clock.wait(self._dispatcher)

    def _next_batch(self) -> list[Flight] | None:
        """Wait for something to run or to tell; ``None`` when the thread is to end."""
        while self._mine():
            batch = self._scheduler.next_batch(self._clock.now())
            if batch or self._scheduler.outbox:
                self._scheduler.began(batch, self._clock.now())
                return batch
            self._clock.wait(self._dispatcher)
        return None

    def _load(self) -> bool:
        if self.loaded:
            return True
        try:
            assert isinstance(self._engine, Loadable)
            self._engine.load()
        except BaseException as error:  # whatever it is, requests go on without rewrites
            _log.error("engine %s cannot be started: %s", self._engine.name, error)
            with self._dispatcher:
                self.failure = error
                self._clock.notify(self._dispatcher)
            return False
        # The libraries of a model are hundreds of thousands of objects that live as long as
        # the process. Taken out of the collector's sight they no longer hold up the event
        # loop at every full collection.
        gc.freeze()
        with self._dispatcher:
            self.loaded = True
            self._clock.notify(self._dispatcher)
        return True

    def _fly(self, batch: list[Flight]) -> None:
        """Run one engine call, and one for each text where the call for all failed."""
        if not batch:  # there was only something to tell
            return
        cut: set[int] = set()
        last = len(batch)
        started = self._clock.now()

        def cancelled(index: int) -> bool:
            # An engine asks for one text after the other, hundreds of times a second: the lock,
            # which every caller needs, is taken once a round.
            nonlocal last
            if index <= last:
                self._look(batch, cut)
            last = index
            return index in cut

        try:
            answers = self._generate(batch, cancelled)
            if isinstance(answers, str) or len(answers) != len(batch):
                # Without the answers themselves, as they are what people searched for.
                raise EngineError(f"not one answer each for {len(batch)} texts")
            answers = list(answers)
        except BaseException as error:
            if len(batch) == 1:
                self._failed(batch[0], error)
            else:  # one text may have spoilt it for all
                self._fly_alone(batch)
            return
        ended = self._clock.now()
        with self._dispatcher:
            self._scheduler.answered(batch, ended - started, ended, complete=len(cut) < len(batch))
        for index, (flight, answer) in enumerate(zip(batch, answers, strict=True)):
            if answer is None and index in cut:
                with self._dispatcher:
                    self._scheduler.take_back(flight, self._clock.now())
                continue
            try:
                verdict = self._judge(flight, answer)
            except Exception as error:
                self._failed(flight, error)
                continue
            result = FlightResult(verdict, None, started - flight.opened, ended - started)
            with self._dispatcher:
                self._scheduler.close(flight, result)

    def _generate(self, batch: list[Flight], cancelled: Callable[[int], bool]) -> Sequence[Judged]:
        texts = [flight.text for flight in batch]
        if isinstance(self._engine, Judging):
            modes = [flight.key.mode for flight in batch]
            return self._engine.generate_judged(texts, modes, cancelled)
        return self._engine.generate(texts, cancelled)

    def _look(self, batch: list[Flight], cut: set[int]) -> None:
        """Add to ``cut`` which running flights should stop, asked by the engine between steps."""
        with self._dispatcher:
            now = self._clock.now()
            cut.update(i for i, f in enumerate(batch) if i not in cut and self._unwanted(f, now))

    def _unwanted(self, flight: Flight, now: float) -> bool:
        """Tell whether a running flight should stop; the desk is held, by whatever thread."""
        if flight.closed or self._thread is not self._occupant:
            return True  # stopped
        if flight.awaited(now):
            return False
        return not flight.worthwhile or any(f.awaited(now) for f in self._scheduler.live)

    def _fly_alone(self, batch: list[Flight]) -> None:
        """Run each flight by itself, as far as it is still wanted and the breaker lets it."""
        for flight in batch:
            with self._dispatcher:
                now = self._clock.now()
                rested = self._scheduler.resting(now) and not flight.probe
                unwanted = not rested and self._unwanted(flight, now)
                if rested:
                    self._scheduler.close(flight, FlightResult(reason=Reason.BREAKER_OPEN))
                elif unwanted:
                    self._scheduler.take_back(flight, now)
            if rested:
                self.tell()
            elif not unwanted:
                self._fly([flight])
                self.tell()

    def _failed(self, flight: Flight, error: BaseException) -> None:
        _log.warning(
            "engine %s failed: %s: %s",
            self._engine.name,
            type(error).__name__,
            # What people search for is not logged, and many libraries quote what they choke on.
            str(error).replace(flight.text, "…"),
        )
        _log.debug("it failed in\n%s", where(error))
        with self._dispatcher:
            self._scheduler.failed(flight, self._clock.now())
