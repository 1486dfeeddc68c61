"""An engine in another process, its own or a shared one: same answers, errors and limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from middleware import (
    Acceptance,
    Cancelled,
    ConfigurationError,
    EngineError,
    Mode,
    ModelError,
    Reason,
    Refusal,
    Truncated,
    Verdict,
    load_engine,
)
from middleware.core.text import normalize
from middleware.engines.process import ProcessEngine

from .command_engine import CommandEngine, never

Make = Callable[..., ProcessEngine]


@pytest.fixture(params=["child", "shared"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Make engines in a child process each, or all in a shared one."""
    if request.param == "shared" and os.name != "posix":
        pytest.skip("a system without local sockets")
    made: list[ProcessEngine] = []
    # The name of a socket is short, so that pytest's own folders do not do.
    with TemporaryDirectory(prefix="ql-") as folder:
        socket = Path(folder) / "engine" if request.param == "shared" else None

        def build(engine: Callable[[], Any] = CommandEngine, **options: Any) -> ProcessEngine:
            made.append(ProcessEngine(engine, socket, **options))
            return made[-1]

        yield build
        end_all(made)


def end_all(engines: Iterable[ProcessEngine]) -> None:
    """Close engines and end their processes, also shared ones, which would end later."""
    pids = {engine.pid for engine in engines if engine.pid is not None}
    for engine in engines:
        engine.close()
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_for_end(pid)


def wait_for_end(pid: int, limit: float = 20.0) -> None:
    """Wait until a process has ended, also if nobody has asked for its exit code yet."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text("ascii"):
                return
        except FileNotFoundError:
            return
    pytest.fail(f"process {pid} goes on")


def loaded(engine: ProcessEngine) -> int:
    """Load an engine and return its process."""
    engine.load()
    assert engine.pid is not None
    return engine.pid


def test_it_answers_as_the_engine_does(make: Make) -> None:
    engine = make()
    assert loaded(engine) != os.getpid()
    assert (engine.name, engine.revision) == ("command", "7")
    for _ in range(2):
        assert engine.generate(["a", "refuse", "truncate", "b\x00\ud800"], never) == [
            "lifted a", Refusal(Reason.TOO_LONG), Truncated(), "lifted b\x00\ud800"
        ]  # fmt: skip
    assert engine.generate([], never) == []


def test_errors_keep_their_class_and_the_engine_goes_on(make: Make) -> None:
    engine = make()
    engine.load()
    with pytest.raises(EngineError, match="ValueError: not this one") as caught:
        engine.generate(["raise"], never)
    assert type(caught.value) is EngineError
    with pytest.raises(ModelError, match=r"^weights went bad$"):
        engine.generate(["raise ModelError"], never)
    assert engine.generate(["a"], never) == ["lifted a"]


def test_an_engine_that_cannot_be_loaded_says_why(make: Make) -> None:
    for _ in range(2):
        engine = make(partial(CommandEngine, broken=True))
        with pytest.raises(ModelError, match="copy them again"):
            engine.load()
        assert engine.pid is None


@pytest.mark.skipif(not hasattr(os, "getsid"), reason="needs sessions")
def test_its_process_has_a_lower_priority(make: Make) -> None:
    pid = loaded(make())
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid) >= min(19, own + 10)
    assert os.getsid(pid) == pid
    share = Path(f"/proc/{pid}/autogroup")
    if share.exists() and (text := share.read_text("ascii")).strip():
        assert text.split()[-1] == "19"


def test_it_outlives_an_interrupt(make: Make) -> None:
    """A terminal sends it to all its processes."""
    engine = make()
    os.kill(loaded(engine), signal.SIGINT)
    assert engine.generate(["a"], never) == ["lifted a"]


def test_a_process_that_dies_fails_one_call(make: Make) -> None:
    engine = make()
    first = loaded(engine)
    with pytest.raises(EngineError, match="process ended"):
        engine.generate(["die"], never)
    assert engine.generate(["a"], never) == ["lifted a"]
    assert engine.pid not in (None, first)


def test_a_process_that_died_between_calls_is_started_again(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """As the system kills the largest when memory is short."""
    engines = make(), make()
    pids = [loaded(engine) for engine in engines]
    for pid in set(pids):
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        wait_for_end(pid)
    for engine in engines:
        assert engine.generate(["b"], never) == ["lifted b"]
        assert engine.pid not in pids
    assert "another one is started" in caplog.text


def test_a_cancelled_text_is_stopped(make: Make) -> None:
    engine = make()
    engine.load()
    asked: list[int] = []

    def after_a_while(index: int) -> bool:
        asked.append(index)
        return index == 0 and len(asked) > 10

    assert engine.generate(["wait", "a"], after_a_while) == [Cancelled(), "lifted a"]
    assert engine.generate(["b"], never) == ["lifted b"]


def test_a_process_that_hangs_is_killed(make: Make) -> None:
    engine = make(hang_timeout=0.1)
    first = loaded(engine)
    with pytest.raises(EngineError, match="did not stop within"):
        engine.generate(["hang"], lambda index: True)
    assert engine.generate(["a"], never) == ["lifted a"]
    assert engine.pid != first


_APP = """
import os, signal, sys, time
from middleware import Reformulator
from middleware.engines.process import ProcessEngine
from tests.engines.command_engine import CommandEngine

if __name__ == "__main__":
    engine = ProcessEngine(CommandEngine)
    reformulator = Reformulator(engine)
    reformulator.wait_ready()
    text = {"busy": "hang", "idle": "red lamp"}[sys.argv[1]]
    reformulator.reformulate_sync(text, budget=0.5)
    os.kill(engine.pid, signal.SIGSTOP)
    while not engine.hangs:
        time.sleep(0.01)
    print(engine.pid, flush=True)
    if sys.argv[2] == "closes":
        reformulator.close(timeout=0.2)
        os.kill(os.getpid(), signal.SIGTERM)  # without anything at the exit, as uvicorn does
    if sys.argv[2] == "raises":
        raise KeyboardInterrupt
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="a system without /proc")
@pytest.mark.parametrize("state", ["busy", "idle"])
@pytest.mark.parametrize("how", ["closes", "raises", "returns"])
def test_a_stopped_child_ends_with_the_process_that_started_it(
    tmp_path: Path, state: str, how: str
) -> None:
    (tmp_path / "app.py").write_text(_APP)
    ran = subprocess.run(
        [sys.executable, str(tmp_path / "app.py"), state, how],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    wait_for_end(int(ran.stdout))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_does_not_touch_the_process_of_its_parent(make: Make) -> None:
    engine = make()
    pid = loaded(engine)
    child = os.fork()
    if child == 0:  # pragma: no cover
        found = engine.generate(["a"], never)
        own = engine.pid
        engine.close()
        os._exit(found != ["lifted a"] or own is None)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert engine.generate(["b"], never) == ["lifted b"]
    assert engine.pid == pid


def test_wrong_time_limits_are_refused(make: Make) -> None:
    for option in ("hang_timeout", "idle_timeout"):
        with pytest.raises(ConfigurationError, match=option):
            make(**{option: 0})


class BoundAcceptance(Acceptance):
    """An acceptance that cannot be pickled, as it holds what belongs to this process."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


def test_answers_are_judged_in_the_process(make: Make) -> None:
    """The verdicts are those of acceptance here; what is no rewrite comes as it is."""
    engine = make()
    engine.judge_with(Acceptance())
    engine.load()
    texts, modes = ["lamp", "refuse", "red lamp"], [Mode.REPLACE, Mode.REPLACE, Mode.EXPAND]
    found = engine.generate_verdicts(texts, modes, never)
    plain = engine.generate(texts, never)
    assert plain == ["lifted lamp", Refusal(Reason.TOO_LONG), "lifted red lamp"]
    assert found[1] == plain[1]
    for index in (0, 2):
        answer = normalize(f"lifted {texts[index]}")
        assert found[index] == Verdict(*Acceptance().judge(texts[index], answer, modes[index]))
    assert engine.generate_verdicts(["wait"], [Mode.REPLACE], lambda index: True) == [Cancelled()]


def test_an_acceptance_that_the_process_does_not_have_is_not_used(make: Make) -> None:
    """Answers then come without verdicts, for the caller to judge."""
    engine = make()
    engine.judge_with(BoundAcceptance())
    engine.load()
    assert engine.generate_verdicts(["lamp"], [Mode.REPLACE], never) == ["lifted lamp"]
    engine.judge_with(Acceptance())  # too late for the process
    assert engine.generate_verdicts(["lamp"], [Mode.REPLACE], never) == ["lifted lamp"]


def test_another_acceptance_than_that_of_the_process_is_not_used(make: Make) -> None:
    engine = make()
    engine.judge_with(Acceptance())
    engine.load()
    engine.judge_with(Acceptance(max_growth=2))
    assert engine.generate_verdicts(["lamp"], [Mode.REPLACE], never) == ["lifted lamp"]
    engine.judge_with(Acceptance())
    assert isinstance(engine.generate_verdicts(["lamp"], [Mode.REPLACE], never)[0], Verdict)


def test_the_bundled_model_answers_the_same() -> None:
    texts = ["please show me wireless headphones", "red shoes"]
    here: Any = load_engine()
    here.load()
    there = ProcessEngine(partial(load_engine, "t5"))
    there.load()
    try:
        assert there.generate(texts, never) == here.generate(texts, never)
    finally:
        there.close()
