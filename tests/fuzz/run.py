"""Sends requests through a proxy to an upstream that records, and holds what has to hold."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from middleware import (
    Part,
    PlainDialect,
    QuerySpan,
    Reformulator,
    ReverseProxy,
    SearchRequest,
    SearchRule,
)
from middleware.dialects.registry import dialect_names, load_dialect
from middleware.http.matching import canonical_path, first_match
from middleware.serving.protocol import BoundedProtocol
from middleware.testing import ScriptedEngine
from tests.upstream.wire import front

from .cases import Case, pieces
from .mutations import make
from .wire import Answered, Record, Upstream, read_answer

__all__ = ["Figures", "fuzz", "rules", "wrongs"]

_PATIENCE = 20.0  # seconds until a request without an answer counts as one that hangs
_RESULT = b"query-reformulation"
# What is between two neighbours only, or written by the one who sends.
_HOPS = frozenset(
    {b"host", b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"}
    | {b"transfer-encoding", b"content-length", b"expect", b"query-reformulation-control"}
    | {b"proxy-authenticate", b"proxy-authorization", b"x-drop"}
)
_CONDITIONS = frozenset(
    {
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
        b"if-range",
        b"range",
    }
)


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
        try:
            for part in pieces(data, sizes)[:200]:
                writer.write(part)
                await asyncio.sleep(0)
            sent = sum(len(part) for part in pieces(data, sizes)[:200])
            writer.write(data[sent:])
            if case.cut is not None:
                return None
            await writer.drain()
            return await read_answer(reader, head=case.method == b"HEAD")
        except (ConnectionError, asyncio.IncompleteReadError):
            return None  # broken HTTP may be answered by closing, while it is still being sent

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
        said = [value for name, value in answer.headers if name == _RESULT]
        if said:
            word = re.sub(rb";dur=.*", b"", said[0]).decode("latin-1")
            figures.outcomes[word] += 1


def wrongs(
    case: Case,
    answer: Answered | None,
    record: Record | None,
    searches: list[SearchRule],
    *,
    expands: bool,
) -> Iterator[str]:
    """Yield what must not be; the proxy that ``expands`` is behind the server of ``serve``."""
    odd_coding = case.coding == b"gzip, chunked" or any(
        name.lower() == b"transfer-encoding" for name, _ in case.headers
    )
    if answer is None:
        if not case.breaks(typed=expands) and not odd_coding:
            yield "no answer"
        return
    if record is None:
        if answer.status >= 500 and not (answer.status == 501 and odd_coding):
            yield f"{answer.status} of the proxy's own"
        elif not case.breaks(typed=expands) and not odd_coding and not _refusable(case):
            yield f"{answer.status} for a request that can be forwarded"
        return
    if answer.status != record.status:
        yield f"{answer.status} for the upstream's {record.status}"
    if answer.body is not None and answer.body != record.answered:
        yield "another body than the upstream's"
    if record.times > 1:
        yield f"sent {record.times} times"
    if record.method != case.method:
        yield f"method {record.method!r}"
    said = [value for name, value in answer.headers if name == _RESULT]
    if len(said) > 1:
        yield "two result headers"
    # The conditions of a search go on only if its text is never edited.
    free = _CONDITIONS if said else frozenset[bytes]()
    if _end_to_end(case.headers, free) != _end_to_end(record.headers, free):
        yield f"other headers: {_end_to_end(record.headers)!r}"
    target = _origin_form(case.target, bare=expands)
    if b"#" in target:  # a client must not send it, and servers differ in what they make of it
        whole = target.partition(b"#")[0]
        if not record.target.startswith(whole.partition(b"?")[0]):
            yield f"target {record.target!r}"
    elif said and said[0].startswith(b"rewritten"):
        yield from _edited(case, target, record, searches, expands=expands)
    elif record.target != target:
        yield f"target {record.target!r}"
    elif not odd_coding and record.body != (case.body or b""):
        yield "another body"


def _edited(
    case: Case, target: bytes, record: Record, searches: list[SearchRule], *, expands: bool
) -> Iterator[str]:
    """Yield what is wrong with a rewritten request: all but the texts has to be as it was."""
    path, mark, query = target.partition(b"?")
    plain = canonical_path({"path": unquote(path.decode("latin-1"), "utf-8"), "root_path": ""})
    method = case.method.decode("latin-1")
    rule = first_match(searches, method, plain)
    if rule is None:
        yield "rewritten where there is no search"
        return
    headers = [(name.lower(), value) for name, value in case.headers]
    spans = rule.dialect.spans(SearchRequest(method, plain, query, headers, case.body))
    if not _around(spans, Part.QUERY_STRING, path + mark, query, expands).fullmatch(record.target):
        yield f"target {record.target!r}"
    if not _around(spans, Part.BODY, b"", case.body or b"", expands).fullmatch(record.body):
        yield "a body changed outside of its texts"
    if b"lifted" not in record.target + record.body:
        yield "rewritten to something else"


def _around(spans: Any, part: Part, before: bytes, data: bytes, expands: bool) -> re.Pattern[bytes]:
    """Return the pattern of all that may become of bytes with texts in them."""
    pattern, at = re.escape(before), 0
    wide = [_wide(span, expands) for span in spans if span.part is part]
    for start, stop in sorted(wide):
        pattern += re.escape(data[at:start]) + rb".*"
        at = stop
    return re.compile(pattern + re.escape(data[at:]), re.DOTALL)


def _wide(span: QuerySpan, expands: bool) -> tuple[int, int]:
    expansion = span.expansion if expands else None
    return (span.start, span.stop) if expansion is None else (expansion.start, expansion.stop)


def _end_to_end(
    lines: list[tuple[bytes, bytes]], free: frozenset[bytes] = frozenset()
) -> list[tuple[bytes, bytes]]:
    drop = _HOPS | free | {b"x-fuzz", b"x-answer"}
    return [(name.lower(), value.strip()) for name, value in lines if name.lower() not in drop]


def _origin_form(target: bytes, *, bare: bool = False) -> bytes:
    """Return the target as it goes to an origin: without an authority, or a ``bare`` mark."""
    target = b"*" if target == b"*?" else target.rstrip(b" ")  # as parsers forgive them
    short = re.sub(rb"^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", b"", target) or b"/"
    if short != target:  # what it goes on as is the proxy's own to say
        target = re.sub(rb"[\x80-\xff]", lambda byte: b"%%%02X" % byte[0][0], short)
    if not bare and target.endswith(b"?") and target.count(b"?") == 1:
        target = target[:-1]
    return b"/" + target if target[:1] in (b"?", b"") else target


def _refusable(case: Case) -> bool:
    """Tell whether a request can rightly be answered without asking the upstream."""
    target = _origin_form(case.target)
    return (
        not target.startswith(b"/")
        or target.startswith(b"/-/querylift")
        or any(name.lower() == b"expect" for name, _ in case.headers)
        or case.method in (b"CONNECT",)
        # uvicorn with httptools takes no absolute form without a path.
        or re.match(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*(?:[?#]|$)", case.target) is not None
    )


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
