"""The decision path: from a text to the query that is sent, within a budget."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Self

from middleware.core.acceptance import Acceptance
from middleware.core.admission import Admission
from middleware.core.breaker import Breaker
from middleware.core.deadline import Deadline
from middleware.core.memo import Memo, MemoKey
from middleware.core.outcome import Mode, Reason, Source
from middleware.core.pace import Pace
from middleware.core.reformulation import Reformulation, Timings, Verdict, conclude, normalize
from middleware.engines.base import Engine
from middleware.engines.judging import Judged, Judging, verdict_of
from middleware.errors import ConfigurationError
from middleware.instrumentation.record import Observer, Record

from .arrival import Arrival
from .ask import Ask
from .clock import SYSTEM_CLOCK, Clock
from .desk import Desk
from .forking import forget_at_fork
from .guarded import keep, recall, tell
from .lanes import NOTHING, Limits
from .single_flight import Flight, Landing, Wake
from .stats import Stats
from .waking import Landed, resolve

__all__ = ["Reformulator"]

_log = logging.getLogger("middleware.runtime")


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
    starts a worker of its own. Errors: :class:`ConfigurationError` from the constructor,
    :class:`~middleware.errors.EngineError` from starting; never from a reformulation.
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
        self.admission = admission or Admission()
        self.acceptance = acceptance or Acceptance()
        self._late_fill = late_fill
        self._observers = tuple(observers)
        self._switch_interval = switch_interval
        self._clock = clock
        self._limits = limits or Limits()
        self._breaker = breaker or Breaker(pace=Pace(above=budget))
        self._engine_key = f"{engine.name}:{engine.revision}"
        self._policy = f"{self.admission.revision}/{self.acceptance.revision}"
        if isinstance(engine, Judging):
            engine.judge_with(self.acceptance)
        self._set_up()
        forget_at_fork(self)

    def _set_up(self) -> None:
        self._pid = os.getpid()
        self._desk = Desk(
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
        return self._desk.ready

    def start(self) -> None:
        """Start the worker without waiting for the engine to load; again is no harm."""
        self._desk.start()

    def wait_ready(self, timeout: float | None = None) -> None:
        """Start the worker and wait until the engine is loaded, at most ``timeout`` seconds.

        Errors: :class:`EngineError` when it cannot be loaded, or not within the time.
        """
        self._desk.wait_ready(timeout)

    def close(self) -> None:
        """Stop the worker; the memo is kept, and a later call starts it again."""
        self._desk.stop()

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
        return self._desk.stats()

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
        future: Landed = loop.create_future()
        wake = partial(self._desk.waking.of(loop).ring, future)
        entered = self._enter(ask, wake)
        if isinstance(entered, Reformulation):
            return self._done(ask, entered)
        flight, source = entered
        try:
            timer = self._clock.call_at(ask.deadline.at, partial(resolve, future, None))
            try:
                landing = await future
            finally:
                timer.cancel()
        finally:
            self._desk.leave(flight, wake)
        return self._done(ask, ask.landed(landing, source))

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
        """Do the same as :meth:`reformulate` for code without an event loop; blocks."""
        ask = self._ask(text, budget, mode, scope, cached, stored, allowed)
        if isinstance(ask, Reformulation):
            return ask
        arrival = Arrival(self._clock)
        entered = self._enter(ask, arrival)
        if isinstance(entered, Reformulation):
            return self._done(ask, entered)
        flight, source = entered
        try:
            landing = arrival.wait(ask.deadline)
        finally:
            self._desk.leave(flight, arrival)
        return self._done(ask, ask.landed(landing, source))

    def _ask(
        self,
        text: str,
        budget: float | None,
        mode: Mode | str | None,
        scope: str,
        cached: bool,
        stored: bool,
        allowed: Callable[[], bool] | None = None,
    ) -> Ask | Reformulation:
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
            verdict = recall(self.memo, key, started) if cached else None
            if verdict is not None and chosen is not Mode.SHADOW:
                timings = Timings(self._clock.now() - started)
                return self.record(conclude(text, verdict, chosen, Source.MEMO, timings), chosen)
            seconds = self.budget if budget is None else budget
            deadline = Deadline.after(started, seconds)
            ask = Ask(text, key, chosen, started, deadline, cached, stored)
            if verdict is not None:
                return self._done(ask, conclude(text, verdict, chosen, Source.MEMO))
            # Looking at it any further is most of what it costs to turn a text away.
            crowded = (
                None if chosen is Mode.SHADOW else self._desk.lanes.crowded(key, seconds, started)
            )
            reason = crowded or self.admission.check(key.text)
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

    def _enter(self, ask: Ask, wake: Wake) -> tuple[Flight, Source] | Reformulation:
        if ask.mode is Mode.SHADOW:

            def wake(landing: Landing) -> None:
                self._shadowed(ask, landing)

        return self._desk.enter(ask, wake)

    def _done(self, ask: Ask, reformulation: Reformulation) -> Reformulation:
        """Put the total time on a decision and tell it."""
        reformulation = ask.timed(reformulation, self._clock.now())
        if ask.mode is not Mode.SHADOW:
            return self.record(reformulation, ask.mode)
        if reformulation.reason is not Reason.SHADOW:  # else told when the engine has answered
            self.record(reformulation, ask.mode)
        timings = reformulation.timings
        return Reformulation.untouched(ask.original, Reason.SHADOW, timings=timings)

    def _shadowed(self, ask: Ask, landing: Landing) -> None:
        """Tell what a text in shadow mode would have become."""
        if landing == NOTHING:
            landing = Landing(reason=Reason.OVERLOADED)
        self._done(ask, ask.landed(landing, Source.ENGINE))

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
            keep(self.memo, flight.key, verdict, self._clock.now())
        return verdict

    def forget(self) -> None:
        """Start anew in a forked child: threads and locks did not come along, the memo did."""
        if self._pid != os.getpid():
            self.memo.renew_lock()
            self._breaker.release()  # the probe was lent to a call of the parent's
            self._set_up()
