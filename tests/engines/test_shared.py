"""One engine for several processes: started once, shared, and started again when it dies."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from middleware.core.outcome import Mode, Reason
from middleware.core.reformulation import Verdict
from middleware.core.text import normalize
from middleware.engines.base import Refusal
from middleware.engines.shared import SharedEngine
from middleware.errors import ConfigurationError, EngineError, ModelError
from middleware.policy.acceptance import Acceptance

from .told import Told, never

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a system without local sockets")


Make = Callable[..., SharedEngine]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket."""
    with TemporaryDirectory(prefix="ql-") as name:
        yield Path(name)


@pytest.fixture
def shared(folder: Path) -> Iterator[Make]:
    made: list[SharedEngine] = []

    def make(engine: Callable[[], Told] = Told, **options: float) -> SharedEngine:
        options = {"patience": 0.1, "idle_timeout": 0.5, **options}
        made.append(SharedEngine(engine, folder / "engine", **options))
        return made[-1]

    yield make
    pids = {each.pid for each in made if each.pid is not None}
    for each in made:
        each.close()
    for pid in pids:
        gone(pid)


def gone(pid: int, limit: float = 20.0) -> None:
    """Wait until a process has ended; one that nobody has asked for yet has ended too."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text("ascii"):
                return
        except FileNotFoundError:
            return
    pytest.fail("it goes on")


def test_several_share_one_process(shared: Make, folder: Path) -> None:
    first, second = shared(), shared()
    first.load()
    second.load()
    assert first.pid == second.pid
    assert first.pid not in (None, os.getpid())
    assert (first.name, first.revision) == ("told", "7")
    for engine in (first, second, first):
        assert engine.generate(["a", "refuse", "b\x00\ud800"], never) == [
            "lifted a", Refusal(Reason.TOO_LONG), "lifted b\x00\ud800"
        ]  # fmt: skip
    assert stat.S_IMODE((folder / "engine").stat().st_mode) == 0o600
    first.close()
    assert second.generate(["a"], never) == ["lifted a"], "it is nobody's own"


def test_many_that_begin_at_once_start_one(folder: Path) -> None:
    """From processes of their own, as the workers of a server are."""
    code = (
        "import sys; from functools import partial\n"
        "from middleware.engines.shared import SharedEngine\n"
        "from tests.engines.told import Told, never\n"
        f"engine = SharedEngine(Told, {str(folder / 'engine')!r}, idle_timeout=1.0)\n"
        "engine.load()\n"
        "assert engine.generate(['a'], never) == ['lifted a']\n"
        "print(engine.pid, flush=True); sys.stdin.read()\n"
    )
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        for _ in range(4)
    ]
    pids = set()
    for worker in workers:
        assert worker.stdout is not None
        pids.add(int(worker.stdout.readline()))
    for worker in workers:
        worker.communicate("")
        assert worker.returncode == 0
    assert len(pids) == 1
    gone(pids.pop())
    assert not (folder / "engine").exists(), "it ends after the last one has left"


def test_calls_at_the_same_time_each_get_their_own(shared: Make) -> None:
    engines = [shared() for _ in range(4)]
    wrong: list[object] = []

    def ask(number: int) -> None:
        engine = engines[number]
        engine.load()
        for count in range(50):
            texts = [f"{number} {count} {i}" for i in range(1 + count % 3)]
            found = engine.generate(texts, never)
            if found != [f"lifted {text}" for text in texts]:
                wrong.append(found)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert len({engine.pid for engine in engines}) == 1


def test_what_one_spoils_is_not_the_others(shared: Make) -> None:
    first, second = shared(), shared()
    first.load()
    second.load()
    failed: list[str] = []

    def spoil() -> None:
        for _ in range(20):
            try:
                first.generate(["raise"], never)
            except EngineError as error:
                failed.append(str(error))

    spoiler = threading.Thread(target=spoil)
    spoiler.start()
    for count in range(50):
        assert second.generate([f"{count}"], never) == [f"lifted {count}"]
    spoiler.join(30)
    assert failed == ["ValueError: not this one"] * 20


def test_a_killed_process_fails_the_call_and_the_next_has_another(shared: Make) -> None:
    first, second = shared(), shared()
    first.load()
    second.load()
    old = first.pid
    assert old is not None
    os.kill(old, signal.SIGKILL)
    for engine in (first, second):
        with pytest.raises(EngineError, match="process ended"):
            engine.generate(["a"], never)
    for engine in (first, second):
        assert engine.generate(["a"], never) == ["lifted a"]
    assert first.pid == second.pid != old


def test_what_is_no_longer_wanted_is_stopped(shared: Make) -> None:
    engine = shared()
    engine.load()
    asked: list[int] = []

    def after_a_while(index: int) -> bool:
        asked.append(index)
        return index == 0 and len(asked) > 10

    assert engine.generate(["wait", "a"], after_a_while) == [None, "lifted a"]


def test_one_who_leaves_in_mid_call_lets_the_others_go_on(shared: Make) -> None:
    first, second = shared(), shared()
    first.load()
    second.load()
    caller = threading.Thread(
        target=pytest.raises, args=(EngineError, first.generate, ["wait"], never)
    )
    caller.start()
    pipe = first._pipe
    assert pipe is not None
    kept = socket.fromfd(pipe.fileno(), socket.AF_UNIX, socket.SOCK_STREAM)
    kept.shutdown(socket.SHUT_RDWR)  # as the end of its process would
    kept.close()
    caller.join(20)
    assert second.generate(["a"], never) == ["lifted a"]


def test_one_that_hangs_is_ended_for_all(shared: Make) -> None:
    engine = shared()
    engine.load()
    first = engine.pid
    with pytest.raises(EngineError, match="did not come back"):
        engine.generate(["hang"], lambda index: True)
    assert engine.generate(["a"], never) == ["lifted a"]
    assert engine.pid != first


def test_an_engine_that_cannot_be_loaded_says_why(shared: Make) -> None:
    for _ in range(2):
        with pytest.raises(ModelError, match="copy them again"):
            shared(partial(Told, broken=True)).load()


def test_a_socket_with_another_engine_behind_it_is_told(shared: Make) -> None:
    shared().load()
    with pytest.raises(EngineError, match="it runs told:7; give it another socket"):
        shared(partial(Told, revision="8")).load()


def test_a_socket_that_nobody_is_behind_is_replaced(shared: Make, folder: Path) -> None:
    (folder / "engine").write_text("left behind")
    engine = shared()
    engine.load()
    assert engine.generate(["a"], never) == ["lifted a"]


def test_places_that_can_be_no_socket_are_told(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="shorter path"):
        SharedEngine(Told, folder / ("x" * 200))
    with pytest.raises(ConfigurationError, match="make it first"):
        SharedEngine(Told, folder / "none" / "engine")
    with pytest.raises(ConfigurationError, match="patience"):
        SharedEngine(Told, folder / "engine", patience=0)


class Mine(Acceptance):
    """An acceptance that cannot be sent, as it holds what belongs to this process."""

    def __init__(self) -> None:
        super().__init__()
        self.held = threading.Lock()


def test_answers_are_judged_where_they_are_made(shared: Make) -> None:
    """A text as acceptance would have it here; what is no text comes as it is."""
    engine = shared()
    engine.judge_with(Acceptance())
    engine.load()
    try:
        texts, modes = ["lamp", "refuse", "red lamp"], [Mode.REPLACE, Mode.REPLACE, Mode.EXPAND]
        found = engine.generate_judged(texts, modes, never)
        plain = engine.generate(texts, never)
        assert plain == ["lifted lamp", Refusal(Reason.TOO_LONG), "lifted red lamp"]
        assert found[1] == plain[1]
        for index in (0, 2):
            answer = normalize(f"lifted {texts[index]}")
            assert found[index] == Verdict(*Acceptance().judge(texts[index], answer, modes[index]))
        assert engine.generate_judged(["wait"], [Mode.REPLACE], lambda index: True) == [None]
    finally:
        engine.close()


def test_an_acceptance_that_cannot_be_sent_judges_here(shared: Make) -> None:
    engine = shared()
    engine.judge_with(Mine())
    engine.load()
    try:
        assert engine.generate_judged(["lamp"], [Mode.REPLACE], never) == ["lifted lamp"]
    finally:
        engine.close()
