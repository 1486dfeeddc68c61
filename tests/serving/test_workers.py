"""Worker processes: started, replaced, stopped, and never left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork"),
    pytest.mark.usefixtures("hears_hangups"),
]

# Each worker prints its number and process id, runs until a signal, and says that it stopped.
_PROGRAM = """
import os, signal, sys, time
from middleware.errors import ConfigurationError
from middleware.serving import supervisor
from middleware.serving.supervisor import run_workers

supervisor._STOPPED_TIMEOUT, supervisor._KILL_AFTER = 0.5, 0.3

def work(number, ready):
    kind = sys.argv[2]
    if kind == "refuses":
        raise ConfigurationError("the port is taken")
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    if kind == "ignores":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if kind == "loads" and number == 0:
        os.write(1, f"0 {os.getpid()}\\n".encode())
        while not stopped:
            time.sleep(0.01)
        return 5
    ready()
    os.write(1, f"{number} {os.getpid()}\\n".encode())  # one write stays one line
    if kind == "dies" and number == 1:
        os._exit(3)
    if kind == "fails later" and number == 1:
        raise ConfigurationError("the model cannot be loaded")
    while not stopped:
        time.sleep(0.01)
    os.write(1, f"stopped {number}\\n".encode())
    return 0

sys.exit(run_workers(int(sys.argv[1]), work))
"""


@contextmanager
def running(count: int, kind: str = "stays") -> Iterator[subprocess.Popen[str]]:
    """Run the program."""
    command = [sys.executable, "-c", _PROGRAM, str(count), kind]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: subprocess.Popen[str], count: int) -> dict[str, str]:
    """Return the next ``count`` lines: first word -> last word."""
    assert process.stdout is not None
    said = [process.stdout.readline().split() for _ in range(count)]
    return {words[0]: words[-1] for words in said if words}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_one_signal_stops_all_workers(number: signal.Signals) -> None:
    with running(3) as process:
        assert set(lines(process, 3)) == {"0", "1", "2"}
        process.send_signal(number)
        assert process.stdout is not None
        assert process.stdout.read().count("stopped") == 3
        assert process.wait(10) == 0


def test_a_killed_worker_is_replaced() -> None:
    with running(2) as process:
        started = lines(process, 2)
        os.kill(int(started["1"]), signal.SIGKILL)
        again = lines(process, 1)
        assert set(again) == {"1"}
        assert again["1"] != started["1"]
        process.terminate()
        assert process.wait(10) == 0


def test_repeated_early_deaths_stop_the_server() -> None:
    with running(2, "dies") as process:
        assert process.wait(20) == 1
        assert process.stderr is not None
        assert "it is replaced" in process.stderr.read()


def test_a_worker_that_cannot_serve_stops_all() -> None:
    """A replacement would fail in the same way, however late the error comes."""
    with running(2, "fails later") as process:
        assert process.wait(20) == 1
        assert process.stderr is not None
        said = process.stderr.read()
        assert "the model cannot be loaded" in said
        assert "worker 1 cannot serve: stopping" in said
        assert "it is replaced" not in said


def test_no_other_worker_starts_if_the_first_cannot_serve() -> None:
    with running(3, "refuses") as process:
        assert process.wait(10) == 1
        assert process.stderr is not None
        assert process.stderr.read() == "querylift: the port is taken\n"


def test_workers_stop_if_the_supervisor_is_killed() -> None:
    with running(2) as process:
        lines(process, 2)
        process.kill()
        assert process.stdout is not None
        # The pipe ends when the last of them has closed it.
        until = time.monotonic() + 10
        rest = ""
        while time.monotonic() < until:
            ready, _, _ = select.select([process.stdout], [], [], 10)
            chunk = os.read(process.stdout.fileno(), 1000).decode() if ready else ""
            if not chunk:
                break
            rest += chunk
        assert sorted(rest.split()) == ["0", "1", "stopped", "stopped"]


def ended(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_for_end(pids: Iterable[int]) -> None:
    until = time.monotonic() + 20
    while not all(map(ended, pids)):
        assert time.monotonic() < until, "a process goes on"
        time.sleep(0.02)


linux = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="a system without /proc")


@linux
@pytest.mark.parametrize("which", ["0", "1", "01"])
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN])
def test_a_stopped_worker_is_replaced(which: str, number: signal.Signals) -> None:
    with running(2) as process:
        started = lines(process, 2)
        for each in which:
            os.kill(int(started[each]), number)
        again = lines(process, len(which))
        assert set(again) == set(which)
        for each in which:
            wait_for_end([int(started[each])])
        process.terminate()
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read().count("was stopped, and is killed") == len(which)


@linux
def test_a_worker_that_is_continued_in_time_goes_on() -> None:
    with running(2) as process:
        started = lines(process, 2)
        for _ in range(3):
            os.kill(int(started["1"]), signal.SIGSTOP)
            time.sleep(0.05)
            os.kill(int(started["1"]), signal.SIGCONT)
            time.sleep(0.3)  # three times of less than half a second are no half second
        process.terminate()
        assert process.stdout is not None
        assert process.stdout.read().count("stopped") == 2
        assert process.wait(10) == 0


@linux
@pytest.mark.parametrize("signals", [2, 3])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_workers_that_ignore_it(signals: int, number: signal.Signals) -> None:
    with running(3, "ignores") as process:
        started = lines(process, 3)
        process.send_signal(number)
        time.sleep(0.5)
        assert process.poll() is None
        for _ in range(signals - 1):
            process.send_signal(number)
            time.sleep(0.05)
        assert process.wait(10) == signal.SIGKILL
        wait_for_end(map(int, started.values()))


@linux
@pytest.mark.parametrize("signals", [1, 2])
def test_signals_end_stopped_workers(signals: int) -> None:
    """Also the only one, which does not serve yet."""
    for count, kind in ((3, "stays"), (3, "loads")):
        with running(count, kind) as process:
            started = lines(process, count if kind == "stays" else 1)
            os.kill(int(started["0"]), signal.SIGSTOP)
            for _ in range(signals):
                process.send_signal(signal.SIGTERM)
                time.sleep(0.05)
            process.wait(10)
            wait_for_end(map(int, started.values()))


def test_a_first_worker_that_ends_before_it_serves_tells_its_status() -> None:
    with running(3, "loads") as process:
        lines(process, 1)
        process.terminate()
        assert process.wait(10) == 5
