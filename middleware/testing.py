"""For tests of code that uses Querylift: a clock and an engine that a test controls.

With a ``ManualClock``, time passes only in ``advance``, which returns once every thread of the
runtime waits again. A test of deadlines is exact and fast, and not affected by a busy machine.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .engines.base import Answer, Cancelled
from .errors import ConfigurationError

__all__ = ["ManualClock", "ScriptedEngine"]

_SETTLE_TIMEOUT = 10.0  # real seconds after which a thread that does not wait fails the test
_ROUNDING = 1e-9  # seconds by which sums of floats may differ


@dataclass(eq=False)
class _ManualTimer:
    when: float
    callback: Callable[[], None]
    loop: asyncio.AbstractEventLoop
    active: bool = True

    def cancel(self) -> None:
        self.active = False

    def fire(self) -> None:
        self.active = False
        if self.loop is asyncio.get_running_loop():
            self.callback()
        elif not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.callback)


@dataclass(eq=False)
class _Waiting:
    thread: threading.Thread
    condition: threading.Condition
    until: float | None
    tracked: bool
    awake: bool = False


@dataclass(eq=False)
class ManualClock:
    """A ``Clock`` whose time passes in ``advance`` only.

    ``advance`` waits for all threads started with ``spawn``; a test that blocks on a thread of its
    own starts it with ``spawn``, too.

    Concurrency: ``advance`` and ``settle`` are for one task of the test, the rest for any thread.
    Errors: ``AssertionError`` if a thread does not come to rest.
    """

    seconds: float = 1000.0
    _timers: list[_ManualTimer] = field(default_factory=list)
    _waiting: list[_Waiting] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _busy: set[threading.Thread] = field(default_factory=set)
    _ending: list[threading.Thread] = field(default_factory=list)
    _monitor: threading.Condition = field(default_factory=threading.Condition)
    _released: bool = False

    @property
    def timers(self) -> int:
        """How many callbacks are still to be called."""
        with self._monitor:
            return sum(timer.active for timer in self._timers)

    @property
    def threads(self) -> list[threading.Thread]:
        """The threads started with ``spawn`` that still run."""
        with self._monitor:
            return [thread for thread in self._threads if thread.is_alive()]

    def now(self) -> float:
        """Return the current time in seconds."""
        return self.seconds

    def call_at(self, when: float, callback: Callable[[], None]) -> _ManualTimer:
        """Call ``callback`` on the running event loop in ``advance``, once ``when`` is reached."""
        timer = _ManualTimer(when, callback, asyncio.get_running_loop())
        with self._monitor:
            self._timers.append(timer)
        return timer

    def spawn(self, name: str, target: Callable[[], None]) -> threading.Thread:
        """Start a thread that ``advance`` waits for."""

        def run() -> None:
            try:
                target()
            finally:
                with self._monitor:
                    self._busy.discard(thread)
                    self._ending.append(thread)
                    self._monitor.notify_all()

        thread = threading.Thread(name=name, target=run, daemon=True)
        with self._monitor:
            self._threads.append(thread)
            self._busy.add(thread)
        thread.start()
        return thread

    def wait(self, condition: threading.Condition, until: float | None = None) -> None:
        """Wait on a held condition until it is notified or the time reaches ``until``."""
        thread = threading.current_thread()
        with self._monitor:
            if until is not None:
                if self._released:
                    self.seconds = max(self.seconds, until)
                if until <= self.seconds:
                    return
            tracked = thread in self._busy
            entry = _Waiting(thread, condition, until, tracked)
            self._busy.discard(thread)
            self._waiting.append(entry)
            self._monitor.notify_all()
        while not entry.awake:
            condition.wait()

    def notify(self, condition: threading.Condition) -> None:
        """Wake all threads that wait on a held condition."""
        with self._monitor:
            self._wake([entry for entry in self._waiting if entry.condition is condition])
        condition.notify_all()

    def sleep(self, seconds: float) -> None:
        """Block the calling thread until the time has passed, like a slow engine."""
        until = self.seconds + seconds
        condition = threading.Condition()
        with condition:
            while self.seconds < until and not self._released:
                self.wait(condition, until)

    async def advance(self, seconds: float) -> None:
        """Let time pass, and stop at each time at which something is due."""
        end = self.seconds + seconds
        await self.settle()
        while (due := self._next_due()) is not None and due <= end + _ROUNDING:
            self.seconds = max(self.seconds, due)
            self._fire()
            await self.settle()
        self.seconds = max(self.seconds, end)

    async def settle(self) -> None:
        """Wait until all threads wait and the event loop has run their callbacks."""
        while True:
            with self._monitor:
                if not self._monitor.wait_for(lambda: not self._busy, _SETTLE_TIMEOUT):
                    raise AssertionError(f"threads that do not come to rest: {self._busy}")
            for _ in range(20):  # a wake, its future, its task, and their consequences
                await asyncio.sleep(0)
            with self._monitor:
                ending, self._ending = self._ending, []
                at_rest = not self._busy
            for thread in ending:  # their work is done, but they are alive for some microseconds
                thread.join(_SETTLE_TIMEOUT)
            if at_rest:
                return

    def release(self) -> None:
        """Wake all threads that wait for a time, now and from now on; the last step of a test.

        Threads that wait for a notification go on waiting, so that they can still be stopped.
        """
        with self._monitor:
            self._released = True
            timed = [entry for entry in self._waiting if entry.until is not None]
        self._call(timed)

    def _call(self, entries: Sequence[_Waiting]) -> None:
        for entry in entries:
            with entry.condition:
                with self._monitor:
                    self._wake([entry])
                entry.condition.notify_all()

    def _wake(self, entries: Sequence[_Waiting]) -> None:
        """Mark threads as awake and busy; needs the monitor."""
        for entry in entries:
            if not entry.awake:
                entry.awake = True
                self._waiting.remove(entry)
                if entry.tracked:
                    self._busy.add(entry.thread)

    def _next_due(self) -> float | None:
        with self._monitor:
            self._timers = [timer for timer in self._timers if timer.active]
            due = [timer.when for timer in self._timers]
            due += [entry.until for entry in self._waiting if entry.until is not None]
        return min(due, default=None)

    def _fire(self) -> None:
        with self._monitor:
            timers = [t for t in self._timers if t.active and t.when <= self.seconds]
            waiting = [w for w in self._waiting if w.until is not None and w.until <= self.seconds]
        for timer in sorted(timers, key=lambda t: t.when):
            if timer.active:  # an earlier one may have cancelled it
                timer.fire()
        self._call(waiting)


@dataclass(eq=False)
class ScriptedEngine:
    """An ``Engine`` that answers from a script.

    ``script`` has the answer to each text, or an exception to raise; other texts are returned
    unchanged. A call takes ``delay`` seconds of ``clock`` in ``steps`` steps, and asks
    ``cancelled`` between them. ``calls`` has the texts of each call.
    Errors: ``ConfigurationError`` for a delay without a clock, or less than one step.
    """

    script: Mapping[str, Answer | BaseException] | Callable[[str], Answer | BaseException] = field(
        default_factory=dict
    )
    delay: float = 0.0
    clock: ManualClock | None = None
    steps: int = 10
    name: str = "scripted"
    revision: str = "1"
    calls: list[list[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.delay and self.clock is None:
            raise ConfigurationError(f"scripted engine: a delay ({self.delay} s) needs a clock")
        if self.steps < 1:
            raise ConfigurationError(f"scripted engine: steps ({self.steps}) must be at least 1")

    def generate(self, texts: Sequence[str], cancelled: Callable[[int], bool]) -> Sequence[Answer]:
        """Answer each text from the script."""
        self.calls.append(list(texts))
        cut: set[int] = set()
        if self.delay and self.clock is not None:
            start = self.clock.now()
            for step in range(1, self.steps + 1):
                self.clock.sleep(start + self.delay * step / self.steps - self.clock.now())
                cut |= {i for i in range(len(texts)) if i not in cut and cancelled(i)}
                if len(cut) == len(texts):
                    break
        return [Cancelled() if i in cut else self._answer(text) for i, text in enumerate(texts)]

    def _answer(self, text: str) -> Answer:
        answer = self.script(text) if callable(self.script) else self.script.get(text, text)
        if isinstance(answer, BaseException):
            raise answer
        return answer
