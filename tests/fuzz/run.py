"""Sends requests through a proxy to an upstream that records, and has each one judged."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from middleware import PlainDialect, Reformulator, ReverseProxy, SearchRule
from middleware.dialects.registry import dialect_names, load_dialect
from middleware.serving.protocol import BoundedProtocol
from middleware.testing import ScriptedEngine
from tests.upstream.wire import front

from .cases import Case, pieces
from .judge import RESULT, wrongs
from .mutations import make
from .wire import Answered, Upstream, read_answer

__all__ = ["Figures", "fuzz", "rules"]

_PATIENCE = 20.0  # seconds until a request without an answer counts as one that hangs


def rules() -> list[SearchRule]:
    """Return the rules of all dialects, and of a plain search."""
    made = [SearchRule("/search", dialect=PlainDialect(["q"], ["/query"]))]
    for name in dialect_names():
        if name != "plain":
            dialect = load_dialect(name)
            made += [SearchRule(path, dialect=dialect) for path in dialect.paths]
    return made


@dataclass
class Figures:
    """What came of a run; ``violations`` are numbers of requests and what was wrong."""

    seed: int
    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    arrived: int = 0
    refused: int = 0
    unanswered: int = 0
    left: int = 0
    violations: list[tuple[int, str]] = field(default_factory=list)

    def as_json(self) -> str:
        """Return all of it on one line."""
        return json.dumps(
            {
                "seed": self.seed,
                "requests": self.requests,
                "reached_upstream": self.arrived,
                "refused": self.refused,
                "no_answer_to_broken_http": self.unanswered,
                "client_left": self.left,
                "statuses": dict(sorted(self.statuses.items())),
                "outcomes": dict(self.outcomes.most_common()),
                "violations": len(self.violations),
            }
        )


async def fuzz(seed: int, count: int, *, start: int = 0, workers: int = 12) -> Figures:
    """Send the requests of the numbers from ``start`` on, and return what came of it."""
    figures = Figures(seed)
    engines = [ScriptedEngine(lambda text: f"lifted {text}") for _ in range(2)]
    numbers = iter(range(start, start + count))
    waits: dict[str, Any] = {
        "timeout_keep_alive": 3600
    }  # on a busy machine a client may be slow to come back
    async with Upstream() as upstream:
        with (
            Reformulator(engines[0], budget=5.0) as plain,
            Reformulator(engines[1], budget=5.0, mode="expand") as wide,
        ):
            apps = [
                ReverseProxy(
                    f"http://127.0.0.1:{upstream.port}",
                    reformulator=reformulator,
                    rules=rules(),
                    trust_control=reformulator is wide,
                )
                for reformulator in (plain, wide)
            ]
            async with (
                front(apps[0], **waits) as first,
                front(apps[1], BoundedProtocol, **waits) as second,
            ):
                allowed = {upstream.port, first, second}
                with _connections(allowed, figures):
                    run = _Run(seed, figures, upstream, (first, second), numbers)
                    await asyncio.gather(*(run.work() for _ in range(workers)))
        # What clients left behind must not have been completed for them.
        figures.violations += [(number, "half a request was completed") for number in upstream.late]
    return figures


class _Run:
    """Workers with a connection to each proxy, who take turns at the numbers."""

    def __init__(
        self,
        seed: int,
        figures: Figures,
        upstream: Upstream,
        ports: tuple[int, int],
        numbers: Iterator[int],
    ) -> None:
        self._seed = seed
        self._figures = figures
        self._upstream = upstream
        self._ports = ports
        self._numbers = numbers
        self._rules = rules()

    async def work(self) -> None:
        """Send requests until there is none left."""
        open_: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        for number in self._numbers:
            port = self._ports[number % 2]
            case = make(self._seed, number)
            self._figures.requests += 1
            if port not in open_:
                open_[port] = await asyncio.open_connection("127.0.0.1", port)
            reader, writer = open_.pop(port)
            try:
                async with asyncio.timeout(_PATIENCE):
                    answer = await self._send(case, number, reader, writer)
            except TimeoutError:
                self._figures.violations.append((number, "hangs"))
                answer = None
            if answer is not None and not answer.closes:
                open_[port] = (reader, writer)
            else:
                writer.close()
            self._judge(case, number, answer)
        for _, writer in open_.values():
            writer.close()

    async def _send(
        self,
        case: Case,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> Answered | None:
        data = b"".join(case.wire(number))
        if case.cut is not None:
            self._upstream.cut.add(number)
            data = data[: case.cut]
        sizes = case.sizes if len(data) < 3000 else [*case.sizes, 60_000]
        # The answer is read meanwhile, as it may come before all is sent.
        reading = asyncio.ensure_future(read_answer(reader, head=case.method == b"HEAD"))
        try:
            for part in pieces(data, sizes)[:200]:
                writer.write(part)
                await asyncio.sleep(0)
            sent = sum(len(part) for part in pieces(data, sizes)[:200])
            writer.write(data[sent:])
            if case.cut is None:
                with suppress(ConnectionError):
                    await writer.drain()
                return await reading
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # broken HTTP may be answered by closing, while it is still being sent
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return None

    def _judge(self, case: Case, number: int, answer: Answered | None) -> None:
        figures, record = self._figures, self._upstream.records.pop(number, None)
        if case.cut is not None:
            figures.left += 1
            return
        if record is not None:
            figures.arrived += 1
        for wrong in wrongs(case, answer, record, self._rules, expands=bool(number % 2)):
            figures.violations.append((number, wrong))
        if answer is None:
            figures.unanswered += 1
            return
        figures.statuses[answer.status] += 1
        figures.refused += record is None
        said = [value for name, value in answer.headers if name == RESULT]
        if said:
            word = re.sub(rb";dur=.*", b"", said[0]).decode("latin-1")
            figures.outcomes[word] += 1


@contextmanager
def _connections(allowed: set[int], figures: Figures) -> Iterator[None]:
    """Take note of every connection of this process that goes elsewhere."""
    watching = True

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if not watching:
            return
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            host, port = arguments[1][:2]
            if host != "127.0.0.1" or port not in allowed:
                figures.violations.append((-1, f"connected to {host}:{port}"))
        elif event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", b"127.0.0.1"):
            figures.violations.append((-1, f"looked up {arguments[0]!r}"))

    sys.addaudithook(hook)
    try:
        yield
    finally:
        watching = False
