"""Asking an upstream which search API it is, beside the requests that it is sent meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from ...runtime.clock import SYSTEM_CLOCK, Clock
from ...upstream.client import UpstreamClient
from ...upstream.errors import UpstreamError, UpstreamTimeoutError, UpstreamUnreachableError
from ...upstream.target import Upstream
from ..plain import PlainDialect
from .probes import PROBES, guess_dialect
from .schedule import ProbeSchedule, Told, asks_to_wait

__all__ = ["LOGGER", "Answer", "Ask", "DialectDetector", "asking"]

LOGGER = "querylift.detection"
"""The logger that says what was found."""

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]
"""Status, headers and the beginning of the body of what an upstream answers."""
Ask = Callable[[str], Awaitable[Answer]]
"""Sends a GET for a target, below the upstream's base. Errors: ``UpstreamError``."""

# Seconds: to connect, between bytes, for all, and for what follows the head of an answer.
_CONNECT, _READ, _TOTAL, _BODY = 3.0, 4.0, 5.0, 2.0
_ENOUGH = 64 * 1024  # bytes of an answer
_ALIKE = frozenset({"elasticsearch", "opensearch"})

_log = logging.getLogger(LOGGER)


class DialectDetector:
    """Finds out in a task of its own which dialect an upstream speaks, and has it used.

    ``use`` is called with a dialect's name once there is one to use, and again where a later look
    finds another. With ``named``, the dialect that was chosen, it is not called, and where the
    upstream tells another one a warning says so. What is found is logged once; ``quiet`` leaves
    that to another process that asks the same. ``verify`` is that of ``UpstreamClient``, and
    ``ask`` replaces what sends probes.

    Probes are GETs without credentials, each on a connection apart from the searches', of 5 s
    and 64 KiB at most; redirects are not followed. ``ProbeSchedule`` says when they are sent.

    Concurrency: for one event loop at a time. Errors: none; what is not expected is logged, and
    asked again.
    """

    def __init__(
        self,
        upstream: str,
        use: Callable[[str], None],
        *,
        named: str | None = None,
        quiet: bool = False,
        verify: bool | str = True,
        ask: Ask | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._upstream = Upstream.parse(upstream)
        self._verify = verify
        self._use = use
        self._named = named
        self._level = logging.DEBUG if quiet else logging.INFO
        self._ask = ask
        self._clock = clock
        self._inquiry = ProbeSchedule()
        self._task: asyncio.Task[None] | None = None
        self._over = self._failed = False

    def start(self) -> None:
        """Begin to ask, on the running event loop; again, or once all was said, is no harm."""
        if self._over:
            return
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="recognition")

    async def stop(self) -> None:
        """Ask no more, and return once nothing is under way; may be started again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        while True:
            try:
                told = await self._round()
                wait = self._take(told)
            except Exception:
                _log.exception("%s cannot be asked which search API it is", self._upstream)
                wait = self._inquiry.take(Told(), self._clock.now())
            if wait is None:
                self._over = True
                return
            await self._sleep(wait)

    async def _round(self) -> Told:
        if self._ask is not None:
            told, why = await _round(self._ask)
        else:
            async with asking(self._upstream, self._verify) as ask:
                told, why = await _round(ask)
        if why and not self._failed and self._named is None and self._inquiry.dialect is None:
            self._failed = True
            level = logging.DEBUG if self._level == logging.DEBUG else logging.WARNING
            _log.log(
                level,
                "%s cannot be asked yet which search API it is: %s; until it can, requests pass as "
                "they came (dialect_unknown)",
                self._upstream,
                why,
            )
        return told

    def _take(self, told: Told) -> float | None:
        before = self._inquiry.dialect
        wait = self._inquiry.take(told, self._clock.now())
        found = self._inquiry.dialect
        if self._named is not None:
            if told.dialect is not None and not _agree(self._named, told.dialect):
                _log.warning(
                    "the dialect is %s, but %s speaks %s, as its answer to GET %s tells",
                    self._named,
                    self._upstream,
                    told.dialect,
                    told.probe,
                )
            return wait if found is None else None  # one answer is enough here
        if found is not None and found != before:
            self._use(found)
            if told.dialect is None:
                said = "looks like none of the search APIs known, so that its dialect is"
                end = "; name another one with --dialect"
            else:
                said, end = "speaks", f", as its answer to GET {told.probe} tells"
            _log.log(self._level, "%s %s %s%s", self._upstream, said, found, end)
        return wait

    async def _sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        timer = self._clock.call_at(self._clock.now() + seconds, partial(_wake, woken))
        try:
            await woken
        finally:
            timer.cancel()


@contextlib.asynccontextmanager
async def asking(upstream: Upstream | str, verify: bool | str = True) -> AsyncIterator[Ask]:
    """Give what sends probes to an upstream, on a connection that is closed at the end."""
    async with UpstreamClient(
        upstream,
        verify=verify,
        connect_timeout=_CONNECT,
        read_timeout=_READ,
        write_timeout=_READ,
        total_timeout=_TOTAL,
        max_connections=1,
    ) as client:
        yield partial(_get, client)


async def _round(ask: Ask) -> tuple[Told, str]:
    """Send the probes until one tells; return what they gave, and what kept them from it."""
    there, settled, why = False, True, ""
    for probe in PROBES:
        try:
            status, headers, body = await ask(probe)
        except UpstreamError as error:
            settled, why = False, why or error.detail
            refused = isinstance(error, UpstreamUnreachableError) or (
                isinstance(error, UpstreamTimeoutError) and error.phase == "connect"
            )
            there = there or not refused
            if refused or probe == PROBES[0]:
                break
            continue
        there = True
        name = guess_dialect(status, headers, body)
        if name is not None:
            return Told(name, probe, there=True, settled=True), ""
        if asks_to_wait(status):
            settled, why = False, why or f"its answer to GET {probe} is {status}"
            if probe == PROBES[0]:  # nothing else there can be up
                break
    return Told(there=there, settled=settled), why


async def _get(client: UpstreamClient, probe: str) -> Answer:
    headers = [
        (b"host", client.upstream.authority),
        (b"user-agent", b"querylift"),
        (b"accept", b"application/json, text/html;q=0.5"),
        (b"accept-encoding", b"identity"),
    ]
    target = client.upstream.base + probe.encode()
    async with client.exchange("GET", target, headers) as response:
        body = b""
        # What has come tells enough, where the rest is cut off or never ends.
        with contextlib.suppress(TimeoutError, UpstreamError):
            async with asyncio.timeout(_BODY):
                async for chunk in response:
                    body += chunk
                    if len(body) >= _ENOUGH:
                        break
        return response.status, list(response.headers), body


def _agree(named: str, told: str) -> bool:
    return named == told or {named, told} <= _ALIKE or named == PlainDialect.name


def _wake(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
