"""One engine process for several: started once, shared, and ended after the last has left."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from middleware import Acceptance, Cancelled, ConfigurationError, EngineError, Verdict
from middleware.engines.process import ProcessEngine

from .command_engine import CommandEngine, never
from .test_process import end_all, loaded, wait_for_end

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a system without local sockets")

Make = Callable[..., ProcessEngine]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket."""
    with TemporaryDirectory(prefix="ql-") as name:
        yield Path(name)


@pytest.fixture
def make(folder: Path) -> Iterator[Make]:
    """Make engines that share a process."""
    made: list[ProcessEngine] = []

    def build(engine: Callable[[], Any] = CommandEngine) -> ProcessEngine:
        made.append(ProcessEngine(engine, folder / "engine"))
        return made[-1]

    yield build
    end_all(made)


def test_several_share_one_process(make: Make, folder: Path) -> None:
    first, second = make(), make()
    assert loaded(first) == loaded(second)
    for engine in (first, second, first):
        assert engine.generate(["a"], never) == ["lifted a"]
    assert stat.S_IMODE((folder / "engine").stat().st_mode) == 0o600
    first.close()
    assert second.generate(["a"], never) == ["lifted a"], "the process belongs to none of them"


def test_many_that_begin_at_once_start_one(folder: Path) -> None:
    """From processes of their own, as the workers of a server are."""
    code = (
        "import sys\n"
        "from middleware.engines.process import ProcessEngine\n"
        "from tests.engines.command_engine import CommandEngine, never\n"
        f"engine = ProcessEngine(CommandEngine, {str(folder / 'engine')!r}, idle_timeout=1.0)\n"
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
    wait_for_end(pids.pop())
    assert not (folder / "engine").exists(), "it ends after the last one has left"


def test_calls_at_the_same_time_each_get_their_own(make: Make) -> None:
    engines = [make() for _ in range(4)]
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


def test_an_error_of_one_client_does_not_reach_the_others(make: Make) -> None:
    first, second = make(), make()
    first.load()
    second.load()
    failed: list[str] = []

    def fail() -> None:
        for _ in range(20):
            try:
                first.generate(["raise"], never)
            except EngineError as error:
                failed.append(str(error))

    failing = threading.Thread(target=fail)
    failing.start()
    for count in range(50):
        assert second.generate([f"{count}"], never) == [f"lifted {count}"]
    failing.join(30)
    assert failed == ["ValueError: not this one"] * 20


def test_a_client_that_dies_in_a_call_lets_the_others_go_on(make: Make, folder: Path) -> None:
    engine = make()
    engine.load()
    code = (
        "from middleware.engines.process import ProcessEngine\n"
        "from tests.engines.command_engine import CommandEngine\n"
        f"engine = ProcessEngine(CommandEngine, {str(folder / 'engine')!r})\n"
        "engine.load()\n"
        "engine.generate(['wait'], lambda index: bool(print('waiting', flush=True)))\n"
    )
    client = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert client.stdout is not None
    assert client.stdout.readline() == b"waiting\n"
    client.kill()
    client.communicate()
    assert engine.generate(["a"], never) == ["lifted a"]


def test_a_socket_of_another_engine_is_refused(make: Make) -> None:
    make().load()
    other = make(partial(CommandEngine, revision="8"))
    with pytest.raises(EngineError, match="runs command:7, not command:8; give"):
        other.load()
    assert other.pid is None


def test_a_client_with_another_policy_gets_answers_without_verdicts(make: Make) -> None:
    first, second = make(), make()
    first.judge_with(Acceptance())
    second.judge_with(Acceptance(max_growth=2))
    assert loaded(first) == loaded(second)
    for engine, kind in ((first, Verdict), (second, str), (first, Verdict)):
        assert isinstance(engine.generate_verdicts(["lamp"], ["replace"], never)[0], kind)  # type: ignore[list-item]


def test_a_client_that_comes_while_another_waits_is_served(make: Make) -> None:
    """One thread does all in the process: it reads messages while the engine works."""
    first, second = make(), make()
    first.load()
    arrived = threading.Event()
    answers: list[object] = []
    waiting = threading.Thread(
        target=lambda: answers.extend(first.generate(["wait"], lambda index: arrived.is_set()))
    )
    waiting.start()
    second.load()
    arrived.set()
    waiting.join(20)
    assert answers == [Cancelled()]


def test_a_socket_that_a_dead_process_left_is_replaced(make: Make, folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "engine"))
    engine = make()
    engine.load()
    assert engine.generate(["a"], never) == ["lifted a"]


def test_paths_that_can_be_no_socket_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="shorter path"):
        ProcessEngine(CommandEngine, folder / ("x" * 200))
    with pytest.raises(ConfigurationError, match="does not exist"):
        ProcessEngine(CommandEngine, folder / "none" / "engine")
