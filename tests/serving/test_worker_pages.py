"""``querylift serve --workers``: later pages get the first page's query from any worker."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.upstream.wire import exchange, get, split, upstream

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork"),
]
WORKERS = 2


@pytest.fixture
def anyio_backend() -> str:
    """The package runs on asyncio."""
    return "asyncio"


def serve(port: int) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Run two workers in front of an upstream, and yield the port and the process."""
    command = [sys.executable, "-m", "middleware", "serve", "--port=0", "--admin-port=-1"]
    command += [f"--upstream=http://127.0.0.1:{port}", f"--workers={WORKERS}", "--path=/search"]
    command += ["--budget-ms=9000", "--dialect=plain"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield int(line.split(" -> ")[0].rpartition(":")[2]), process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


def result(response: bytes) -> str:
    """Return the outcome that a response's header tells."""
    status, lines, _ = split(response)
    assert status == 200
    return re.sub(r";dur=.*", "", dict(lines)[b"query-reformulation"].decode())


async def test_page_two_has_the_query_of_page_one() -> None:
    """Each request has its own connection, which the system gives to either worker."""
    async with upstream() as raw:
        for port, _ in serve(raw.port):
            first = get(b"/search?q=please+show+me+wireless+headphones")
            async with asyncio.timeout(60):
                engines = 0
                while engines < WORKERS:  # each has an engine of its own, and asks it once
                    said = result(await exchange(port, first))
                    engines += said == "rewritten;src=engine"
            rewritten = raw.requests[-1].target
            second = [
                result(await exchange(port, get(first.split(b" ")[1] + b"&page=2")))
                for _ in range(12)
            ]
            assert second == ["rewritten;src=memo"] * 12
            assert {r.target for r in raw.requests[-12:]} == {rewritten + b"&page=2"}
            # All workers know it, although only one of them received page one.
            await exchange(port, get(b"/search?q=where+can+i+find+wooden+chairs"))
            third = get(b"/search?q=where+can+i+find+wooden+chairs&page=2")
            assert {result(await exchange(port, third)) for _ in range(12)} == {
                "rewritten;src=memo"
            }
