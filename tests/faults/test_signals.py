"""A signal while the engine loads or serves: the end is in order, and it is no failure."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep

import httpx
import pytest

from .running import started, until

pytestmark = pytest.mark.usefixtures("hears_hangups")

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
# uvicorn raises SIGTERM again after an end in order, so that the process ends by it.
IN_ORDER = {signal.SIGTERM: -signal.SIGTERM, signal.SIGINT: 0, signal.SIGHUP: -signal.SIGTERM}


@contextmanager
def running(
    upstream: str, behaviour: Path, *options: str
) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Yield the process once it takes requests, and the URLs for searches and for the admin."""
    engine = ("--engine", "faulty", "--model", str(behaviour))
    process = started(["--upstream", upstream, "--dialect", "plain", *engine, *options])
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("querylift: http")
        yield process, line.split()[1], line.split()[-1]
    finally:
        behaviour.write_text("well")  # an engine that loads would outlive it
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=20)
        process.kill()


def stopped(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the exit status and what was told."""
    _, told = process.communicate(timeout=30)
    return process.returncode, told


@pytest.mark.parametrize(
    ("number", "workers"),
    [*((number, "1") for number in SIGNALS), (signal.SIGTERM, "2"), (signal.SIGINT, "2")],
)
def test_a_stop_while_the_engine_loads_is_no_failure(
    upstream: str, behaviour: Path, number: signal.Signals, workers: str
) -> None:
    """Closing an engine ends its loading with an error, which the signal has asked for."""
    behaviour.write_text("load slowly")
    with running(upstream, behaviour, "--workers", workers) as (process, _, _):
        until(behaviour.with_suffix(".loading").exists)
        process.send_signal(number)
        sleep(2)  # the engine is told to end, and its process waits for it
        behaviour.write_text("well")
        status, told = stopped(process)
    assert status == (IN_ORDER[number] if workers == "1" else 0)
    assert "before it was loaded" not in told
    assert "Traceback" not in told


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stop_while_it_serves_is_in_order(
    upstream: str, behaviour: Path, number: signal.Signals, tmp_path: Path
) -> None:
    """The memo is written, whichever signal it was."""
    file = tmp_path / "memo"
    with running(upstream, behaviour, "--memo-snapshot", str(file)) as (process, _, admin):
        until(lambda: httpx.get(f"{admin}/readyz", trust_env=False).status_code == 200)
        process.send_signal(number)
        assert stopped(process) == (IN_ORDER[number], "")
    assert file.exists()


def test_an_engine_that_cannot_be_loaded_still_is_a_failure(upstream: str, behaviour: Path) -> None:
    behaviour.write_text("broken")
    with running(upstream, behaviour) as (process, _, _):
        status, told = stopped(process)
    assert status == 1
    assert "weights are damaged" in told


def test_an_ignored_hangup_stays_ignored(upstream: str, behaviour: Path) -> None:
    """As ``nohup`` asks for."""
    context = running(upstream, behaviour)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a child inherits it
    try:
        process, _, admin = context.__enter__()
    finally:
        signal.signal(signal.SIGHUP, before)
    try:
        for _ in range(3):
            process.send_signal(signal.SIGHUP)
            until(lambda: httpx.get(f"{admin}/readyz", trust_env=False).status_code == 200)
        process.terminate()
        assert stopped(process)[0] == -signal.SIGTERM
    finally:
        context.__exit__(None, None, None)


BROKEN = {
    "no request": b"hello\r\n\r\n",
    "binary": bytes(range(1, 32)) + b"\r\n\r\n",
    "TLS": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a blank host": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "CONNECT": b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    "RTSP": b"OPTIONS * RTSP/1.0\r\nHost: a\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "both framings": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n",
    "no chunk": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a large head": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    "an encoding": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "blank lines": b"\r\n" * 100,
    "many headers": b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 600 + b"\r\n",
}


def test_many_broken_requests_are_told_in_few_lines(upstream: str, behaviour: Path) -> None:
    with running(upstream, behaviour) as (process, url, _):
        port = int(url.rsplit(":", 1)[1])
        for _ in range(20):
            for data in BROKEN.values():
                with (
                    socket.create_connection(("127.0.0.1", port), timeout=20) as client,
                    suppress(ConnectionError),  # refused before all was sent
                ):
                    client.sendall(data)
                    while client.recv(65_536):
                        pass
        process.terminate()
        told = stopped(process)[1].splitlines()
    assert told
    assert len(told) < 60, told[:20]
