"""A stopped process or a driver that hangs: its engine is ended and another one serves."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import httpx
import pytest

from .processes import descendants, engines, gone, hosts
from .running import Served, fresh, serving, until

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="a system without /proc"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for sockets, whose name is short enough."""
    with TemporaryDirectory(prefix="ql-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def running(
    upstream: str,
    behaviour: Path,
    folder: Path,
    workers: int = 1,
    patience: str = "1",
    at: str = "",
) -> Iterator[Served]:
    options = ("--engine", "faulty", "--model", str(behaviour), "--path", "/search")
    variables = {
        "TMPDIR": str(folder),
        "QUERYLIFT_WORKERS": str(workers),
        "QUERYLIFT_ENGINE_HANG_TIMEOUT": patience,
        "QUERYLIFT_ENGINE_BREAKER_COOLDOWN": "0.5",
        "QUERYLIFT_BUDGET_MS": "300",
        "QUERYLIFT_ENGINE_SOCKET": at,
    }
    with serving(upstream, *options, **variables) as served:
        yield served


def rewritten(served: Served) -> bool:
    # A new connection each time, so that every worker is asked.
    with httpx.Client(base_url=served.client.base_url, timeout=30, trust_env=False) as client:
        answer = client.get("/search", params={"q": fresh()})
    assert answer.status_code == 200
    return answer.headers["query-reformulation"].startswith("rewritten")


def asked_until_rewritten(served: Served, pause: float, count: int) -> None:
    """Ask for new texts, one after another with this pause, until so many were rewritten.

    On a busy machine some are late in between.
    """
    end = monotonic() + 90
    while count:
        assert monotonic() < end, "it never recovered"
        count -= rewritten(served)
        sleep(pause)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("pause", [0.0, 0.02, 0.15, 0.7])
@pytest.mark.parametrize("fault", ["stopped", "hangs"])
def test_it_recovers_at_every_rate(
    upstream: str, behaviour: Path, folder: Path, workers: int, pause: float, fault: str
) -> None:
    with running(upstream, behaviour, folder, workers) as served:
        asked_until_rewritten(served, 0.0, 3 * workers)
        (first,) = engines(served, folder)
        if fault == "stopped":
            os.kill(first, signal.SIGSTOP)
        else:
            behaviour.write_text("hang once")
        until(lambda: not rewritten(served))
        asked_until_rewritten(served, pause, 3 * workers)
        assert gone(first), "the one that hung is left"
        assert len(engines(served, folder)) == 1


def test_it_recovers_when_nobody_asks_meanwhile(
    upstream: str, behaviour: Path, folder: Path
) -> None:
    """The hang is noticed without another request, and another process is started at once."""
    with running(upstream, behaviour, folder) as served:
        asked_until_rewritten(served, 0.0, 3)
        (first,) = engines(served, folder)
        os.kill(first, signal.SIGSTOP)
        assert not rewritten(served)
        until(lambda: gone(first))
        until(lambda: engines(served, folder))
        asked_until_rewritten(served, 0.0, 3)


def test_a_process_that_is_continued_in_time_is_kept(
    upstream: str, behaviour: Path, folder: Path
) -> None:
    with running(upstream, behaviour, folder, patience="30") as served:
        asked_until_rewritten(served, 0.0, 3)
        (first,) = engines(served, folder)
        os.kill(first, signal.SIGSTOP)
        for _ in range(10):
            assert not rewritten(served)
        os.kill(first, signal.SIGCONT)
        asked_until_rewritten(served, 0.05, 3)
        assert engines(served, folder) == [first]


@pytest.mark.parametrize("workers", [1, 2])
def test_one_that_is_stopped_while_it_loads_is_replaced(
    upstream: str, behaviour: Path, folder: Path, workers: int
) -> None:
    behaviour.write_text("load slowly")
    with running(upstream, behaviour, folder, workers) as served:
        until(lambda: behaviour.with_suffix(".loading").exists())
        # The process that started a shared one holds its socket until it has ended itself.
        until(lambda: len(engines(served, folder)) == 1)
        (first,) = engines(served, folder)
        os.kill(first, signal.SIGSTOP)
        behaviour.write_text("well")
        asked_until_rewritten(served, 0.05, 3)
        assert gone(first)


def test_a_server_that_comes_to_a_shared_engine_that_hangs_gets_another(
    upstream: str, behaviour: Path, folder: Path
) -> None:
    """The one whose call hung is gone, so that nobody else ends it."""
    at = f"{folder}/engine"
    with running(upstream, behaviour, folder, at=at) as served:
        asked_until_rewritten(served, 0.0, 3)
        (first,) = hosts(folder)
        behaviour.write_text("hang once")
        until(lambda: not rewritten(served))
        served.process.kill()
        served.process.wait(10)
    with running(upstream, behaviour, folder, at=at) as served:
        asked_until_rewritten(served, 0.05, 3)
        assert gone(first)
    until(lambda: not hosts(folder))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("workers", [1, 2])
def test_signals_end_a_server_with_a_stopped_engine(
    upstream: str, behaviour: Path, folder: Path, number: int, count: int, workers: int
) -> None:
    """The first ends it in its time, the second at once; nothing is left behind."""
    with running(upstream, behaviour, folder, workers, patience="60") as served:
        asked_until_rewritten(served, 0.0, 3)
        (engine,) = engines(served, folder)
        os.kill(engine, signal.SIGSTOP)
        assert not rewritten(served)
        everything = [*descendants(served.process.pid), engine]
        for _ in range(count):
            served.stop(number)
            sleep(0.2)
        served.process.wait(20)
        until(lambda: all(map(gone, everything)))


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("which", ["first", "last", "all"])
def test_signals_end_a_server_with_stopped_workers(
    upstream: str, behaviour: Path, folder: Path, which: str, count: int
) -> None:
    with running(upstream, behaviour, folder, 3) as served:
        asked_until_rewritten(served, 0.0, 3)
        workers = descendants(served.process.pid)
        assert len(workers) == 3
        everything = [*workers, *engines(served, folder)]
        for worker in {"first": workers[:1], "last": workers[-1:], "all": workers}[which]:
            os.kill(worker, signal.SIGSTOP)
        for _ in range(count):
            served.stop()
            sleep(0.2)
        served.process.wait(20)
        until(lambda: all(map(gone, everything)))
