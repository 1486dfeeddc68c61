"""The decision path: from a text to the query that is sent, within a budget."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterable
from functools import partial

from ..core.arguments import checked
from ..core.breaker import Breaker
from ..core.deadline import check_budget
from ..core.memo import Memo, MemoKey
from ..core.outcome import Mode, Reason, Source
from ..core.reformulation import Reformulation, Timings, Verdict, conclude
from ..core.slow_calls import SlowCallDetector
from ..core.text import normalize
from ..engines.base import Engine
from ..engines.judging import EngineResult, verdict_of
from ..errors import ConfigurationError
from ..instrumentation.record import Observer, Record
from ..policy.policy import Policy
from .clock import SYSTEM_CLOCK, Clock
from .dispatcher import Dispatcher
from .flights import DROPPED, Flight, FlightResult, Wake
from .forking import reset_after_fork
from .guarded import log_memo_fault, memo_put, notify
from .lifecycle import LOAD_TIMEOUT, Lifecycle
from .limits import Limits
from .loop_notifier import ResultFuture, set_once
from .pending import PendingLookup
from .thread_waiter import ThreadWaiter

_PLAIN_LENGTH = 512  # of ASCII, which is normalized in no time

_log = logging.getLogger("querylift.runtime")


class Reformulator(Lifecycle):
    """Rewrites query texts with an engine, and never makes a caller wait past the budget.

    ``budget`` is in seconds, from the text's arrival to the decision. ``mode`` applies unless a
    call gives another one. ``memo``, ``policy``, ``breaker`` and ``limits`` have defaults.
    ``observers`` receive a record of each decision.

    ``with`` and ``async with`` start the worker and wait at most ``load_timeout`` seconds
    (``None``: without limit) until the engine is loaded. With ``allow_degraded_start`` they go on
    without it if that fails, and ``/readyz`` answers 200. Outside of ``with`` the first call starts
    the worker, and texts are ``skipped;reason=not_ready`` until the engine is loaded.

    Concurrency: any thread, task and event loop; a forked child starts a worker of its own.
    Errors: ``ConfigurationError`` from the constructor, ``EngineError`` from starting; never from
    a reformulation.
    """

    @checked
    def __init__(
        self,
        engine: Engine,
        *,
        budget: float = 0.100,
        memo: Memo | None = None,
        policy: Policy | None = None,
        mode: Mode | str = Mode.REPLACE,
        breaker: Breaker | None = None,
        limits: Limits | None = None,
        observers: Iterable[Observer] = (),
        load_timeout: float | None = LOAD_TIMEOUT,
        allow_degraded_start: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not callable(getattr(engine, "generate", None)):
            raise ConfigurationError(f"{engine!r} is not an engine; load_engine() returns one")
        check_budget(budget)
        self.engine = engine
        self.budget = budget
        self.mode = Mode.parse(mode)
        self.memo = Memo() if memo is None else memo
        self.policy = policy or Policy()
        super().__init__(load_timeout, allow_degraded_start)
        self._observers = tuple(observers)
        self._clock = clock
        self._limits = limits or Limits()
        self._breaker = breaker or Breaker(slow_calls=SlowCallDetector(above=budget))
        self._engine_key = f"{engine.name}:{engine.revision}"
        self._policy_key = self.policy.revision
        self.memo.guard(threading.Lock())
        self._set_up()
        reset_after_fork(self)

    def _set_up(self) -> None:
        self._pid = os.getpid()
        self._dispatcher = Dispatcher(
            self.engine,
            self.policy.acceptance,
            self._judge,
            self.memo,
            self._breaker,
            self._limits,
            self._clock,
        )
        self._flights = self._dispatcher.flights

    async def reformulate(
        self,
        text: str,
        *,
        budget: float | None = None,
        mode: Mode | str | None = None,
        scope: str = "",
        cached: bool = True,
        stored: bool = True,
    ) -> Reformulation:
        """Return the reformulation of a text within ``budget`` seconds; never raises for a text.

        ``scope`` names who may share the rewrite (a tenant, an index). ``cached=False`` does not
        ask the memo, ``stored=False`` does not fill it.
        """
        found = self.look_up(
            text, budget=budget, mode=mode, scope=scope, cached=cached, stored=stored
        )
        return await self.resolve(found) if isinstance(found, PendingLookup) else found

    def reformulate_sync(
        self,
        text: str,
        *,
        budget: float | None = None,
        mode: Mode | str | None = None,
        scope: str = "",
        cached: bool = True,
        stored: bool = True,
    ) -> Reformulation:
        """Do the same as ``reformulate`` for code without an event loop; blocks the thread."""
        found = self.look_up(
            text, budget=budget, mode=mode, scope=scope, cached=cached, stored=stored
        )
        if not isinstance(found, PendingLookup):
            return found
        waiter = ThreadWaiter(self._clock)
        entered, source = self._enter(found, waiter)
        if isinstance(entered, FlightResult):
            return self._conclude(text, found.mode, found.started, entered, source)
        try:
            result = waiter.wait(found.deadline)
        finally:
            self._dispatcher.leave(entered, waiter)
        return self._conclude(text, found.mode, found.started, result or DROPPED, source)

    def look_up(
        self,
        text: str,
        *,
        budget: float | None = None,
        mode: Mode | str | None = None,
        scope: str = "",
        cached: bool = True,
        stored: bool = True,
    ) -> Reformulation | PendingLookup:
        """Return the decision if admission or the memo makes it, without waiting.

        Otherwise return a lookup for ``resolve`` or ``refuse``. Takes the arguments of
        ``reformulate``; never raises for a text.
        """
        started = self._clock.now()
        if type(mode) is not Mode:
            mode = self.mode if mode is None else Mode.parse(mode)
        reason: Reason | None = Reason.DISABLED
        pending: PendingLookup | None = None
        try:
            plain = len(text) <= _PLAIN_LENGTH and text.isascii()
            if mode is not Mode.OFF and (
                plain or (reason := self.policy.admission.check_raw(text)) is None
            ):
                # Shadow mode does what replace mode would do, and shares its memo entries.
                keyed = Mode.REPLACE if mode is Mode.SHADOW else mode
                key = MemoKey(normalize(text), self._engine_key, self._policy_key, keyed, scope)
                closed = self._flights.closed
                try:
                    verdict = self.memo.get(key, started) if cached else None
                except Exception as error:  # a miss
                    log_memo_fault(error)
                    verdict = None
                # A text in the memo was admitted before, and the memo is faster than admission.
                if verdict is not None:
                    hit = FlightResult(verdict)
                    return self._conclude(text, mode, started, hit, Source.MEMO)
                seconds = self.budget if budget is None else budget
                pending = PendingLookup(text, key, mode, started, seconds, cached, stored, closed)
                reason = self._refusal(pending)
        except Exception:
            _log.exception("a text could not be looked up")
            reason = Reason.ENGINE_ERROR
        if pending is None or reason is not None:
            return self._conclude(text, mode, started, FlightResult(reason=reason), refused=True)
        return pending

    def _refusal(self, pending: PendingLookup) -> Reason | None:
        """Return why a text must not or cannot be rewritten now, or ``None``."""
        reason = None
        if pending.mode is not Mode.SHADOW:
            # First, as under overload admission would be most of the cost of a rejection.
            reason = self._dispatcher.fast_reject(pending.key, pending.budget, pending.started)
        reason = reason or self.policy.admission.check(pending.key.text)
        if reason is None and not self.ready:
            self.start()
            reason = None if self.ready else Reason.NOT_READY
        return reason

    async def resolve(self, pending: PendingLookup) -> Reformulation:
        """Wait for the engine within the lookup's budget, and return the decision."""
        loop = asyncio.get_running_loop()
        future: ResultFuture = loop.create_future()
        wake = partial(self._dispatcher.mailbox(loop).post, future)
        entered, source = self._enter(pending, wake)
        if isinstance(entered, FlightResult):
            return self._conclude(pending.text, pending.mode, pending.started, entered, source)
        try:
            timer = self._clock.call_at(pending.deadline.at, partial(set_once, future, None))
            try:
                result = await future
            finally:
                timer.cancel()
        finally:
            self._dispatcher.leave(entered, wake)
        result = result or DROPPED
        return self._conclude(pending.text, pending.mode, pending.started, result, source)

    def refuse(self, pending: PendingLookup, reason: Reason) -> Reformulation:
        """Return the decision that a text goes on as it is, because of ``reason``."""
        result = FlightResult(reason=reason)
        return self._conclude(pending.text, pending.mode, pending.started, result, refused=True)

    def _enter(self, pending: PendingLookup, wake: Wake) -> tuple[Flight | FlightResult, Source]:
        """Put a lookup before the engine, and return the flight to wait for or a result."""
        shadow = pending.mode is Mode.SHADOW
        entered, source = self._dispatcher.enter(
            pending, partial(self._conclude_shadow, pending) if shadow else wake
        )
        if shadow and isinstance(entered, Flight):
            return FlightResult(reason=Reason.SHADOW), source
        return entered, source

    def _conclude_shadow(self, pending: PendingLookup, result: FlightResult) -> None:
        """Record what a lookup in shadow mode would have sent."""
        if result == DROPPED:
            result = FlightResult(reason=Reason.OVERLOADED)
        self._conclude(pending.text, pending.mode, pending.started, result)

    def _conclude(
        self,
        text: str,
        mode: Mode,
        started: float,
        result: FlightResult,
        source: Source = Source.ENGINE,
        *,
        refused: bool = False,
    ) -> Reformulation:
        """Make, record and return the decision about a text: every lookup ends here.

        In shadow mode the record has what would have been sent, and the caller gets the original
        text; the reason of a ``refused`` text is given in every mode.
        """
        verdict, reason, queue, engine = result
        total = self._clock.now() - started
        if engine or queue:  # the flight may have begun before this lookup
            engine = min(total, engine)
            queue = min(total - engine, queue)
        timings = Timings(total, queue, engine)
        if verdict is not None:
            decision = conclude(text, verdict, mode, source, timings)
        else:
            decision = Reformulation.untouched(text, reason or Reason.TIMEOUT, timings=timings)
        if self._observers and reason is not Reason.SHADOW:
            self.record(decision, mode)
        if mode is Mode.SHADOW and not refused:
            return Reformulation.untouched(text, Reason.SHADOW, timings=timings)
        return decision

    def record(self, decision: Reformulation, mode: Mode) -> Reformulation:
        """Give a decision to the observers, and return it."""
        notify(self._observers, Record(decision, mode, self.engine.name))
        return decision

    def _judge(self, flight: Flight, result: EngineResult) -> Verdict:
        """Return the verdict on an engine's result, and store it; on the worker thread."""
        verdict = verdict_of(flight.text, flight.key.mode, result, self.policy.acceptance)
        if flight.stored:
            memo_put(self.memo, flight.key, verdict, self._clock.now())
        return verdict

    def reset_in_child(self) -> None:
        """Start anew in a forked child, which inherits the memo but neither threads nor locks."""
        if self._pid != os.getpid():
            self.memo.guard(threading.Lock(), after_fork=True)
            self._breaker.release()  # a call of the parent has the probe
            self._set_up()
