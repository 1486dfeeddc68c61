"""``querylift serve`` as a process, in front of an upstream of the test's own."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx

ROOT = Path(__file__).parents[2]
PLUGIN = Path(__file__).parent / "plugin"
_WORDS = "red green blue small large heavy light quiet strong cheap modern wooden".split()
_numbers = count()


def command(*options: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "middleware",
        "serve",
        "--port",
        "0",
        "--admin-port",
        "0",
        *options,
    ]


def environment(**variables: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("QUERYLIFT_")}
    return {**kept, "PYTHONPATH": f"{ROOT}{os.pathsep}{PLUGIN}", **variables}


def started(options: list[str], **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**variables),
    )


def ended(options: list[str], **variables: str) -> tuple[int, str, float]:
    """Return status, error output and seconds of processor time of a start that fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = started(options, **variables)
    try:
        _, told = process.communicate(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise AssertionError("it went on") from None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return process.returncode, told, spent


@dataclass
class Served:
    """A running proxy."""

    process: subprocess.Popen[str]
    client: httpx.Client
    port: int
    admin: httpx.Client

    def search(self, text: str | None = None) -> tuple[str, dict[str, Any], str]:
        """Return what the header says, its parameters, and the query the upstream saw."""
        answer = self.client.get(f"/search?q={quote_plus(text or fresh())}")
        assert answer.status_code == 200, answer.text
        outcome, *parameters = answer.headers["query-reformulation"].split(";")
        return outcome, dict(p.split("=") for p in parameters), answer.json()["query"]

    def ready(self) -> tuple[int, dict[str, Any]]:
        answer = self.admin.get("/readyz")
        return answer.status_code, json.loads(answer.text)

    def metric(self, name: str) -> float:
        page = self.admin.get("/metrics").text
        return float(next((r.split()[-1] for r in page.splitlines() if r.startswith(name)), 0))

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)


def fresh() -> str:
    """Return a query that nobody has asked before, and that nothing minds."""
    number, words = next(_numbers), []
    for _ in range(4):
        number, place = divmod(number, len(_WORDS))
        words.append(_WORDS[place])
    assert number == 0
    return f"{' '.join(words)} lamp"


def until(holds: Callable[[], Any], limit: float = 20.0) -> Any:
    """Ask again and again, each of which is a request that takes its time."""
    end = monotonic() + limit
    while not (found := holds()):
        assert monotonic() < end, "it never came to that"
    return found


@contextmanager
def serving(
    upstream: str, *options: str, dialect: str | None = "plain", **variables: str
) -> Iterator[Served]:
    """Run it, by default told that the upstream is an app, so that no probe is sent."""
    named = [] if dialect is None else ["--dialect", dialect]
    process = started(["--upstream", upstream, *named, *options], **variables)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.communicate()[1])
        url, admin = line.split()[1], line.split()[-1]
        with (
            httpx.Client(base_url=url, timeout=30, trust_env=False) as client,
            httpx.Client(base_url=admin, timeout=30, trust_env=False) as inner,
        ):
            yield Served(process, client, urlsplit(url).port or 0, inner)
    finally:
        process.kill()
        # Its orphans may hold the pipes open for a while: leaving closes them, and waits for it.
        with process, suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=10)
