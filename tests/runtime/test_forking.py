"""Forked children: threads and held locks did not come along, and nothing may wait for them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

FORKING = """
    import os, sys, threading, warnings
    from middleware.core.memo import Memo
    from middleware.runtime.clock import SystemClock
    from middleware.runtime.reformulator import Reformulator
    from middleware.testing import ScriptedEngine

    class Seeing(SystemClock):
        # Remembers the lock of the runtime.
        conditions, seen = set(), False
        def wait(self, condition, until=None):
            if not self.seen:
                self.conditions.add(condition)
            super().wait(condition, until)

    class Engine(ScriptedEngine):
        loads = 0
        def load(self):
            self.loads += 1

    hold, held = threading.Event(), threading.Event()

    def script(text):
        if text == "held query":
            held.set()
            hold.wait(30)
        return f"lifted {text}"

    engine = Engine(script)
    clock, memo, memo_lock = Seeing(), Memo(), threading.Lock()
    memo.guard(memo_lock)
    reformulator = Reformulator(engine, budget=20, memo=memo, clock=clock)
    reformulator.wait_ready()
    clock.seen = True
    assert reformulator.reformulate_sync("warm jacket").source == "engine"
    held_caller = threading.Thread(target=reformulator.reformulate_sync, args=["held query"])
    held_caller.start()
    held.wait(30)
    (runtime,) = clock.conditions
    runtime.acquire(); memo_lock.acquire()  # as another thread may hold them at this moment
    warnings.simplefilter("ignore")   # newer Pythons warn of forking with threads
    child = os.fork()
    if child == 0:
        hold.set()
        kept = reformulator.reformulate_sync("warm jacket")
        assert kept.source == "memo", kept
        reformulator.wait_ready(20)
        found = reformulator.reformulate_sync("thin jacket")
        assert (found.query, found.source) == ("lifted thin jacket", "engine"), found
        assert engine.loads == 2
        assert reformulator.stats().flights == 0
        reformulator.close()
        sys.stdout.write("child ")
        sys.stdout.flush()
        os._exit(0)
    memo_lock.release(); runtime.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    hold.set()
    held_caller.join(20)
    assert reformulator.reformulate_sync("held query").source == "memo"
    assert engine.loads == 1
    reformulator.close()
    print("parent")
"""


PROBING = """
    import os, threading, warnings
    from middleware.core.breaker import Breaker
    from middleware.runtime.reformulator import Reformulator
    from middleware.testing import ScriptedEngine

    parent = os.getpid()
    hold, held = threading.Event(), threading.Event()

    def script(text):
        if os.getpid() != parent:
            return text
        if text == "probing query":
            held.set()
            hold.wait(30)
        return RuntimeError("broken")

    breaker = Breaker(window=1, cooldown=1e-9, max_cooldown=1e-9)
    reformulator = Reformulator(ScriptedEngine(script), budget=20, breaker=breaker)
    assert reformulator.reformulate_sync("failing query").reason == "engine_error"
    prober = threading.Thread(target=reformulator.reformulate_sync, args=["probing query"])
    prober.start()
    held.wait(30)
    assert reformulator.reformulate_sync("other query").reason == "breaker_open"
    warnings.simplefilter("ignore")
    child = os.fork()
    if child == 0:
        found = reformulator.reformulate_sync("other query")
        os._exit(0 if found.outcome == "unchanged" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    hold.set()
    prober.join(20)
    reformulator.close()
    print("parent")
"""


CHANGING = """
    import os, threading, warnings
    from middleware.http.clients import Clients
    from middleware.core.pagination import PaginationMemory
    from middleware.core.rate_limit import RateLimiter
    from middleware.core.memo import Memo, MemoKey
    from middleware.core.outcome import Mode
    from middleware.core.reformulation import Verdict
    from middleware.core.typing_ahead import TypingAhead
    from middleware.runtime.reformulator import Reformulator
    from middleware.testing import ScriptedEngine

    hold, held = threading.Event(), threading.Event()

    class Slow(Memo):
        stops = False
        def _charge(self, value):
            if self.stops:
                held.set()
                hold.wait(30)
            return super()._charge(value)

    def key(text):
        return MemoKey(text, "scripted:1", "p", Mode.REPLACE, "")

    memo = Slow(max_entries=3, max_bytes=6000)
    for number in range(3):
        memo.put(key(f"lamp {number}"), Verdict("lamp"), 0.0)
    reformulator = Reformulator(ScriptedEngine(lambda text: f"lifted {text}"), budget=20, memo=memo)
    pages, typing, limiter = PaginationMemory(), TypingAhead(), RateLimiter(1.0)
    locks = [threading.Lock() for _ in range(3)]
    for each, lock in zip((pages, typing, limiter), locks):
        each.guard(lock)
    clients = Clients(pages=pages, typing=typing, rate_limiter=limiter)
    memo.stops = True
    changer = threading.Thread(target=memo.put, args=[key("desk"), Verdict("desk"), 1.0])
    changer.start()
    held.wait(30)
    for lock in locks:
        lock.acquire()
    warnings.simplefilter("ignore")
    child = os.fork()
    if child == 0:
        memo.stops = False
        assert len(memo) == 0, "a part of a change is no state to go on from"
        for number in range(10):
            memo.put(key(f"jacket {number}"), Verdict("jacket"), 2.0)
        assert memo.stats().entries == 3 and memo.stats().bytes <= 6000
        scope = {"headers": [], "client": ("127.0.0.1", 1)}
        assert clients.within_rate(scope)
        assert not clients.typing.is_typing("a", "red", 0.0)
        assert reformulator.reformulate_sync("warm jacket").query == "lifted warm jacket"
        os._exit(0)
    for lock in locks:
        lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    hold.set()
    changer.join(20)
    assert memo.stats().entries == 3 and memo.get(key("desk"), 1.0) is not None
    print("parent")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.parametrize(
    ("script", "said"),
    [(FORKING, "child parent\n"), (PROBING, "parent\n"), (CHANGING, "parent\n")],
    ids=["locks held and a text under way", "a probe under way", "a change of the memo under way"],
)
def test_a_forked_child_starts_anew_and_keeps_the_memo(script: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, said), done.stderr
