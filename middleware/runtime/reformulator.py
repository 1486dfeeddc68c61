"""The decision path: from a text to the query that is sent, within a budget."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Self

from ..core.breaker import Breaker
from ..core.deadline import Deadline
from ..core.memo import Memo, MemoKey
from ..core.outcome import Mode, Reason, Source
from ..core.reformulation import Reformulation, Timings, Verdict, conclude
from ..core.slow_calls import SlowCallDetector
from ..core.text import normalize
from ..engines.base import Engine
from ..engines.judging import Judged, Judging, verdict_of
from ..errors import ConfigurationError
from ..instrumentation.record import Observer, Record
from ..policy.acceptance import Acceptance
from ..policy.admission import Admission
from .clock import SYSTEM_CLOCK, Clock
from .dispatcher import Dispatcher
from .flights import Flight, FlightResult, Wake
from .forking import forget_at_fork
from .guarded import memo_get, memo_put, tell
from .loop_notifier import ResultFuture, resolve
from .pending import PendingLookup
from .scheduler import NOTHING, Limits
from .stats import Stats
from .thread_waiter import ThreadWaiter

__all__ = ["Reformulator"]

_log = logging.getLogger("querylift.runtime")


class Reformulator:
    """Rewrites query texts through an engine, and never lets a caller wait past the budget.

    ``budget`` is in seconds, from reading the text to the decision. ``mode`` is what is
    done with rewrites unless a call says otherwise. ``memo``, ``admission`` and
    ``acceptance`` default to ones with their own defaults; ``observers`` are told each
    decision. ``late_fill`` lets a rewrite that came too late still fill the memo.

    Use it as a context manager, ``async with`` or ``with``, to start the worker and wait
    until the engine is loaded; otherwise the first call starts it, and texts pass as
    ``skipped;reason=not_ready`` until then.

    Concurrency: safe to share between threads, tasks and event loops; a forked child
    starts a worker of its own. Errors: ``ConfigurationError`` from the constructor,
    ``EngineError`` from starting; never from a reformulation.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        budget: float = 0.100,
        memo: Memo | None = None,
        admission: Admission | None = None,
        acceptance: Acceptance | None = None,
        mode: Mode | str = Mode.REPLACE,
        breaker: Breaker | None = None,
        limits: Limits | None = None,
        late_fill: bool = True,
        observers: Iterable[Observer] = (),
        switch_interval: float | None = 0.0005,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not 0 < budget < 60:
            raise ConfigurationError(
                f"budget ({budget}) is in seconds, above 0 and below 60; 0.1 is 100 ms"
            )
        self.engine = engine
        self.budget = budget
        self.mode = Mode.parse(mode)
        self.memo = Memo() if memo is None else memo
        self.memo.guard(threading.Lock())
        self.admission = admission or Admission()
        self.acceptance = acceptance or Acceptance()
        self._late_fill = late_fill
        self._observers = tuple(observers)
        self._switch_interval = switch_interval
        self._clock = clock
        self._limits = limits or Limits()
        self._breaker = breaker or Breaker(slow_calls=SlowCallDetector(above=budget))
        self._engine_key = f"{engine.name}:{engine.revision}"
        self._policy = f"{self.admission.revision}/{self.acceptance.revision}"
        if isinstance(engine, Judging):
            engine.judge_with(self.acceptance)
        self._set_up()
        forget_at_fork(self)

    def _set_up(self) -> None:
        self._pid = os.getpid()
        self._dispatcher = Dispatcher(
            self.engine,
            self._judge,
            self.memo,
            self._breaker,
            self._limits,
            self._clock,
            late_fill=self._late_fill,
            switch_interval=self._switch_interval,
        )

    # --- Life ---

    @property
    def ready(self) -> bool:
        """Whether the engine is loaded, so that texts are rewritten."""
        return self._dispatcher.ready

    def start(self) -> None:
        """Start the worker without waiting for the engine to load; again is no harm."""
        self._dispatcher.start()

    def wait_ready(self, timeout: float | None = None) -> None:
        """Start the worker and wait until the engine is loaded, at most ``timeout`` seconds.

        Errors: ``EngineError`` when it cannot be loaded, or not within the time.
        """
        self._dispatcher.wait_ready(timeout)

    def close(self) -> None:
        """Stop the worker; the memo is kept, and a later call starts it again."""
        self._dispatcher.stop()

    def __enter__(self) -> Self:
        try:
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)

    def stats(self) -> Stats:
        """Return a snapshot."""
        return self._dispatcher.stats()

    # --- The decision path ---

    async def reformulate(
        self,
        text: str,
        *,
        budget: float | None = None,
        mode: Mode | str | None = None,
        scope: str = "",
        cached: bool = True,
        stored: bool = True,
        allowed: Callable[[], bool] | None = None,
    ) -> Reformulation:
        """Return the reformulation of a text within ``budget`` seconds.

        ``scope`` names who may share the answer (a tenant, an index). ``cached=False``
        doesn't ask the memo, ``stored=False`` doesn't fill it. ``allowed`` is asked where the
        text would be put before the engine. Never raises for a text.
        """
        ask = self._ask(text, budget, mode, scope, cached, stored, allowed)
        if isinstance(ask, Reformulation):
            return ask
        loop = asyncio.get_running_loop()
        future: ResultFuture = loop.create_future()
        wake = partial(self._dispatcher.notifier.of(loop).ring, future)
        entered = self._enter(ask, wake)
        if isinstance(entered, Reformulation):
            return self._done(ask, entered)
        flight, source = entered
        try:
            timer = self._clock.call_at(ask.deadline.at, partial(resolve, future, None))
            try:
                result = await future
            finally:
                timer.cancel()
        finally:
            self._dispatcher.leave(flight, wake)
        return self._done(ask, ask.landed(result, source))

    def reformulate_sync(
        self,
        text: str,
        *,
        budget: float | None = None,
        mode: Mode | str | None = None,
        scope: str = "",
        cached: bool = True,
        stored: bool = True,
        allowed: Callable[[], bool] | None = None,
    ) -> Reformulation:
        """Do the same as ``reformulate`` for code without an event loop; blocks."""
        ask = self._ask(text, budget, mode, scope, cached, stored, allowed)
        if isinstance(ask, Reformulation):
            return ask
        arrival = ThreadWaiter(self._clock)
        entered = self._enter(ask, arrival)
        if isinstance(entered, Reformulation):
            return self._done(ask, entered)
        flight, source = entered
        try:
            result = arrival.wait(ask.deadline)
        finally:
            self._dispatcher.leave(flight, arrival)
        return self._done(ask, ask.landed(result, source))

    def _ask(
        self,
        text: str,
        budget: float | None,
        mode: Mode | str | None,
        scope: str,
        cached: bool,
        stored: bool,
        allowed: Callable[[], bool] | None = None,
    ) -> PendingLookup | Reformulation:
        """Admission and memo: what can be said at once, or the question to wait for."""
        started = self._clock.now()
        chosen = self.mode if mode is None else mode if type(mode) is Mode else Mode.parse(mode)
        try:
            if chosen is Mode.OFF:
                return self.record(Reformulation.untouched(text, Reason.DISABLED), chosen)
            # What is known of a text in shadow mode is what replace mode would do with it.
            keyed = Mode.REPLACE if chosen is Mode.SHADOW else chosen
            key = MemoKey(normalize(text), self._engine_key, self._policy, keyed, scope)
            # A text that is in the memo has passed the same admission before, so that the
            # memo can be asked first: its answer is the quicker one.
            verdict = memo_get(self.memo, key, started) if cached else None
            if verdict is not None and chosen is not Mode.SHADOW:
                timings = Timings(self._clock.now() - started)
                return self.record(conclude(text, verdict, chosen, Source.MEMO, timings), chosen)
            seconds = self.budget if budget is None else budget
            deadline = Deadline.after(started, seconds)
            ask = PendingLookup(text, key, chosen, started, deadline, cached, stored)
            if verdict is not None:
                return self._done(ask, conclude(text, verdict, chosen, Source.MEMO))
            # Looking at it any further is most of what it costs to turn a text away.
            fast_reject = (
                None
                if chosen is Mode.SHADOW
                else self._dispatcher.scheduler.fast_reject(key, seconds, started)
            )
            reason = fast_reject or self.admission.check(key.text)
            if reason is None and not self.ready:
                self.start()
                reason = None if self.ready else Reason.NOT_READY
            if reason is None and allowed is not None and not allowed():
                reason = Reason.RATE_LIMITED
        except Exception:
            _log.exception("a text could not be looked at")
            reason = Reason.ENGINE_ERROR
        if reason is not None:
            timings = Timings(self._clock.now() - started)
            return self.record(Reformulation.untouched(text, reason, timings=timings), chosen)
        return ask

    def _enter(self, ask: PendingLookup, wake: Wake) -> tuple[Flight, Source] | Reformulation:
        if ask.mode is Mode.SHADOW:

            def wake(result: FlightResult) -> None:
                self._shadowed(ask, result)

        return self._dispatcher.enter(ask, wake)

    def _done(self, ask: PendingLookup, reformulation: Reformulation) -> Reformulation:
        """Put the total time on a decision and tell it."""
        reformulation = ask.timed(reformulation, self._clock.now())
        if ask.mode is not Mode.SHADOW:
            return self.record(reformulation, ask.mode)
        if reformulation.reason is not Reason.SHADOW:  # else told when the engine has answered
            self.record(reformulation, ask.mode)
        timings = reformulation.timings
        return Reformulation.untouched(ask.original, Reason.SHADOW, timings=timings)

    def _shadowed(self, ask: PendingLookup, result: FlightResult) -> None:
        """Tell what a text in shadow mode would have become."""
        if result == NOTHING:
            result = FlightResult(reason=Reason.OVERLOADED)
        self._done(ask, ask.landed(result, Source.ENGINE))

    def record(self, reformulation: Reformulation, mode: Mode) -> Reformulation:
        """Tell the observers a decision; also one that was made before this was asked."""
        if self._observers:
            tell(self._observers, Record(reformulation, mode, self.engine.name))
        return reformulation

    # --- On the worker thread ---

    def _judge(self, flight: Flight, answer: Judged) -> Verdict:
        """Acceptance: turn an engine's answer into a verdict, and keep it."""
        verdict = verdict_of(flight.text, flight.key.mode, answer, self.acceptance)
        if flight.stored:
            memo_put(self.memo, flight.key, verdict, self._clock.now())
        return verdict

    def forget(self) -> None:
        """Start anew in a forked child: threads and locks did not come along, the memo did."""
        if self._pid != os.getpid():
            self.memo.guard(threading.Lock(), after_fork=True)
            self._breaker.release()  # the probe was lent to a call of the parent's
            self._set_up()
