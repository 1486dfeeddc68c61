"""The memo: bounds, order of leaving, times to live, threads, and an honest size."""

from __future__ import annotations

import random
import threading
import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from middleware import ConfigurationError, Memo, MemoKey, Mode, Reason, Verdict
from middleware.core.memo import ENTRY_OVERHEAD
from tests.conftest import at_most

REJECTED = Verdict(reason=Reason.REJECTED_DRIFT)


def key(text: str, **changes: str) -> MemoKey:
    """Return a key for a text; what is not given is the same for all."""
    return MemoKey(text, "engine", "policy", Mode.REPLACE, "")._replace(**changes)  # type: ignore[arg-type]


def test_gives_back_what_was_put() -> None:
    """A verdict comes back for its whole key and for no other one."""
    memo = Memo()
    memo.put(key("a"), Verdict("b"), 0.0)
    assert memo.get(key("a"), 1.0) == Verdict("b")
    for other in (
        key("A"), key("a", engine="other"), key("a", policy="other"), key("a", scope="tenant"),
        key("a", mode=Mode.EXPAND),
    ):  # fmt: skip
        assert memo.get(other, 1.0) is None
    assert (memo.stats().hits, memo.stats().misses) == (1, 5)


def test_rejections_leave_earlier() -> None:
    """Each verdict has its own time, to the moment; a new one starts anew."""
    memo = Memo(ttl=100.0, rejection_ttl=5.0)
    memo.put(key("good"), Verdict("g"), 0.0)
    memo.put(key("same"), Verdict(), 0.0)
    memo.put(key("bad"), REJECTED, 0.0)
    assert memo.get(key("bad"), 4.9) == REJECTED
    assert memo.get(key("bad"), 5.0) is None
    assert memo.get(key("same"), 99.9) == Verdict()
    memo.put(key("good"), Verdict("h"), 99.9)
    assert memo.get(key("same"), 100.0) is None
    assert memo.get(key("good"), 199.8) == Verdict("h")
    assert memo.get(key("good"), 199.9) is None


def test_expired_entries_leave_without_being_asked_for() -> None:
    """``expire`` gives the bytes back."""
    memo = Memo(ttl=1.0)
    for index in range(100):
        memo.put(key(str(index)), Verdict("x"), 0.0)
    assert memo.stats().bytes > 100 * ENTRY_OVERHEAD
    memo.expire(2.0)
    assert (len(memo), memo.stats().bytes) == (0, 0)


def test_the_least_recently_used_entry_leaves_first() -> None:
    """Reading an entry keeps it; the number of entries is bounded whatever their size."""
    memo = Memo(max_entries=3)
    for text in "abc":
        memo.put(key(text), Verdict(text), 0.0)
    assert memo.get(key("a"), 1.0)
    memo.put(key("d"), Verdict("d"), 1.0)
    assert len(memo) == 3
    assert memo.get(key("b"), 1.0) is None
    assert memo.get(key("a"), 1.0)


@pytest.mark.parametrize("bound", [1, 2, 3, 7, 1_000, 1_500])
def test_the_bound_on_entries_is_reached_and_not_passed(bound: int) -> None:
    """Exactly as many entries fit as were allowed, whatever the bytes divide by."""
    memo = Memo(max_entries=bound, max_bytes=3 * 2**20 + 7)
    for index in range(2 * bound):
        memo.put(key(str(index)), Verdict("x"), 0.0)
    assert len(memo) == bound


def test_bytes_are_bounded() -> None:
    """Large texts push others out, and one larger than the memo is not kept at all."""
    memo = Memo(max_bytes=20 * ENTRY_OVERHEAD, max_entries=1_000)
    for index in range(50):
        memo.put(key(f"{index}" * 500), Verdict("x" * 500), 0.0)
        assert memo.stats().bytes <= 20 * ENTRY_OVERHEAD
    assert 1 < len(memo) < 20
    memo.put(key("small"), Verdict("s"), 0.0)
    memo.put(key("small"), Verdict("s" * 30_000), 0.0)
    assert memo.get(key("small"), 0.0) is None
    assert memo.stats().bytes <= 20 * ENTRY_OVERHEAD


def test_purge() -> None:
    """Entries that match are forgotten and counted; without a condition, all."""
    memo = Memo()
    for scope in ("x", "y"):
        for index in range(5):
            memo.put(key(str(index), scope=scope), Verdict("r"), 0.0)
    assert memo.purge(lambda each: each.scope == "x") == 5
    assert memo.get(key("1", scope="x"), 0.0) is None
    assert memo.get(key("1", scope="y"), 0.0)
    assert memo.purge() == 5
    assert memo.stats().bytes == 0


def test_time_never_goes_back() -> None:
    """A caller with an older time can't revive what has expired."""
    memo = Memo(ttl=10.0)
    memo.put(key("a"), Verdict("b"), 0.0)
    assert memo.get(key("a"), 20.0) is None
    assert memo.get(key("a"), 5.0) is None


@pytest.mark.parametrize(
    "options", [{"max_entries": 0}, {"max_bytes": -1}, {"ttl": 0.0}, {"rejection_ttl": -1.0},
                {"ttl": float("nan")}],
)  # fmt: skip
def test_wrong_options(options: dict[str, float]) -> None:
    """Bounds and times must be above 0."""
    with pytest.raises(ConfigurationError, match="memo"):
        Memo(**options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_threads_never_see_an_error() -> None:
    """Eight threads on few keys, with times to live that end all the while."""
    memo = Memo(max_entries=8, ttl=2e-3, rejection_ttl=1e-3)
    memo.guard(threading.Lock())
    faults: list[BaseException] = []
    start = threading.Barrier(8)

    def hammer(seed: int) -> None:
        rng = random.Random(seed)
        start.wait()
        try:
            for step in range(4_000):
                text, now = str(rng.randrange(16)), step * 1e-4 + rng.random() * 1e-2
                choice = rng.random()
                if choice < 0.45:
                    found = memo.get(key(text), now)
                    assert found is None or found.reason or found.rewrite == text
                elif choice < 0.9:
                    memo.put(key(text), Verdict(text) if choice < 0.7 else REJECTED, now)
                elif choice < 0.94:
                    memo.expire(now)
                elif choice < 0.97:
                    memo.purge(lambda each: each.text == "3")
                else:
                    assert memo.stats().entries <= 8
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=hammer, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(memo) <= 8


@pytest.mark.parametrize("length", [12, 60, 400])
def test_the_bytes_told_are_the_bytes_taken(length: int) -> None:
    """What an entry is charged covers what it takes, and by less than 600 bytes too much."""
    count = 5_000
    # So many entries allowed that each is charged its own size, not its share of the whole.
    memo = Memo(max_entries=100 * count, max_bytes=100 * count * ENTRY_OVERHEAD)
    memo.put(key("warm up"), Verdict("warm"), 0.0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for index in range(count):
            text = f"{index:012d}".ljust(length, "é")
            memo.put(key(text), Verdict(f"{text}s"), float(index))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    told = memo.stats().bytes
    assert len(memo) == count + 1
    assert taken <= told <= taken + 600 * count


class Machine(RuleBasedStateMachine):
    """A memo of four entries beside a plain list of what it should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.memo = Memo(max_entries=4, ttl=10.0, rejection_ttl=3.0)
        self.now = 0.0
        self.model: dict[str, tuple[Verdict, float]] = {}  # in order of use

    def forget_expired(self) -> None:
        """Drop what has expired from the model."""
        self.model = {t: e for t, e in self.model.items() if self.now < e[1]}

    @rule(seconds=st.sampled_from([0.0, 1.0, 4.0, 11.0]))
    def wait(self, seconds: float) -> None:
        """Let time go on."""
        self.now += seconds

    @rule(text=st.sampled_from("abcdefg"), rejected=st.booleans())
    def put(self, text: str, rejected: bool) -> None:
        """Keep a verdict."""
        verdict = REJECTED if rejected else Verdict(f"{text}{self.now}")
        self.memo.put(key(text), verdict, self.now)
        self.forget_expired()
        self.model.pop(text, None)
        while len(self.model) >= 4:
            del self.model[next(iter(self.model))]
        self.model[text] = (verdict, self.now + (3.0 if rejected else 10.0))

    @rule(text=st.sampled_from("abcdefg"))
    def get(self, text: str) -> None:
        """Ask for a verdict; the memo may only have what the model has, and has all of it."""
        self.forget_expired()
        expected = self.model.pop(text, None)
        assert self.memo.get(key(text), self.now) == (expected[0] if expected else None)
        if expected:
            self.model[text] = expected

    @rule(text=st.sampled_from("abcdefg"))
    def purge(self, text: str) -> None:
        """Forget one text."""
        self.forget_expired()
        self.memo.expire(self.now)
        assert self.memo.purge(lambda each: each.text == text) == (text in self.model)
        self.model.pop(text, None)

    @invariant()
    def bounded(self) -> None:
        """Neither bound is ever passed."""
        stats = self.memo.stats()
        assert stats.entries <= 4
        assert stats.bytes <= 64 * 2**20


Machine.TestCase.settings = settings(
    max_examples=at_most(60), stateful_step_count=40, deadline=None
)
TestMachine = Machine.TestCase
