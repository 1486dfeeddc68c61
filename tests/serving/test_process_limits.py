"""The limit of open files, and the server's own log lines."""

from __future__ import annotations

import logging
import resource
import subprocess
import sys

import pytest

from middleware import UpstreamUnreachableError
from middleware.serving.process import ServerLogFilter

SCRIPT = """
import logging, resource, sys
from middleware.serving.process import raise_file_limit
logging.basicConfig(format="%(message)s")
soft, hard, needed = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
raise_file_limit(needed)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize("soft", [64, 128, 256])
@pytest.mark.parametrize("hard", [256, 512])
@pytest.mark.parametrize("connections", [10, 192, 193, 448, 449, 5000])
def test_the_soft_limit_becomes_the_hard_one(soft: int, hard: int, connections: int) -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= hard
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(soft), str(hard), str(connections)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == [str(hard)]
    warned = f"the limit of open files is {hard}" in done.stderr
    assert warned == (connections + 64 > hard)


def _record(text: str, level: int = logging.WARNING, error: BaseException | None = None) -> object:
    info = None if error is None else (type(error), error, None)
    return logging.LogRecord("uvicorn.error", level, "", 0, text, (), info)


def test_equal_warnings_are_logged_once_in_ten_seconds() -> None:
    now = [0.0]
    passes = ServerLogFilter(lambda: now[0]).filter
    kept = []
    for second in range(31):
        now[0] = float(second)
        for text in ("Invalid HTTP request received.", "Another."):
            for _ in range(100):
                record = _record(text)
                assert isinstance(record, logging.LogRecord)
                if passes(record):
                    kept.append(record.getMessage())
    assert len(kept) == 8
    assert kept[0] == "Invalid HTTP request received."
    assert kept[2] == "Invalid HTTP request received. (999 more such lines were left out)"


def test_only_tracebacks_of_upstream_errors_are_dropped() -> None:
    passes = ServerLogFilter().filter
    for error, logged in ((UpstreamUnreachableError("gone"), False), (ValueError("x"), True)):
        for _ in range(3):
            record = _record("Exception in ASGI application", logging.ERROR, error)
            assert isinstance(record, logging.LogRecord)
            assert passes(record) is logged
