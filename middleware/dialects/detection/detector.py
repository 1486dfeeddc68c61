"""Asks an upstream which search API it is, while requests are forwarded to it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

from ..background import BackgroundTask
from ..plain import PlainDialect
from .client import ProbeError, SendProbe, probe_client, tls_context
from .probes import PROBES, guess_dialect
from .schedule import ProbeResult, ProbeSchedule, is_temporary

LOGGER = "querylift.detection"
"""The logger that reports what was found."""

_ALIKE = frozenset({"elasticsearch", "opensearch"})

_log = logging.getLogger(LOGGER)


class DialectDetector(BackgroundTask):
    """Finds out in a background task which dialect an upstream speaks.

    ``upstream`` is a URL, ``http(s)://host[:port][/base]``. ``use`` is called with the name of
    the dialect to use, and again if a later round identifies another one. With ``named``, the
    dialect that settings name, it is never called; a warning is logged if the upstream
    contradicts them. What is found is logged once; ``quiet`` leaves the log to another process
    that probes the same upstream. ``verify`` is True, False, or the path of a CA bundle.
    ``connect`` replaces what opens a connection for probes. ``now`` returns seconds.

    Probes are GETs without credentials, each limited to 5 s and 64 KiB, on connections of their
    own. ``ProbeSchedule`` decides when they are sent.

    Concurrency: one event loop at a time. Errors: none; an unexpected exception is logged, and
    the round repeated.
    """

    def __init__(
        self,
        upstream: str,
        use: Callable[[str], None],
        *,
        named: str | None = None,
        quiet: bool = False,
        verify: bool | str = True,
        connect: Callable[[], AbstractAsyncContextManager[SendProbe]] | None = None,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__("detection")
        self._upstream = upstream.rstrip("/")
        if connect is None:
            # Loading the CA bundle takes too long for the event loop.
            context = tls_context(verify) if self._upstream.startswith("https:") else False
            connect = partial(probe_client, self._upstream, context)
        self._connect = connect
        self._use = use
        self._named = named
        self._quiet = quiet
        self._now = now
        self._sleep = sleep
        self._schedule = ProbeSchedule()
        self._finished = self._failure_logged = False

    def start(self) -> None:
        """Start probing on the running event loop; does nothing if it runs or has finished."""
        if not self._finished:
            super().start()

    async def _run(self) -> None:
        while True:
            try:
                async with self._connect() as send:
                    result, failure = await _probe(send)
                if failure:
                    self._log_failure(failure)
                wait = self._take(result)
            except Exception:
                _log.exception("%s cannot be asked which search API it is", self._upstream)
                wait = self._schedule.take(ProbeResult(), self._now())
            if wait is None:
                self._finished = True
                return
            await self._sleep(wait)

    def _log_failure(self, failure: str) -> None:
        if self._failure_logged or self._named is not None or self._schedule.dialect is not None:
            return
        self._failure_logged = True
        _log.log(
            logging.DEBUG if self._quiet else logging.WARNING,
            "%s cannot be asked yet which search API it is: %s; until then, requests pass "
            "unchanged (dialect_unknown)",
            self._upstream,
            failure,
        )

    def _take(self, result: ProbeResult) -> float | None:
        """Use what a round found; return the seconds until the next one, ``None`` for never."""
        before = self._schedule.dialect
        wait = self._schedule.take(result, self._now())
        found = self._schedule.dialect
        if self._named is not None:
            if result.dialect is not None and not _agree(self._named, result.dialect):
                _log.warning(
                    "the dialect is set to %s, but %s speaks %s, as its answer to GET %s shows",
                    self._named,
                    self._upstream,
                    result.dialect,
                    result.probe,
                )
            return wait if found is None else None  # one answer is enough
        if found is not None and found != before:
            self._use(found)
            level = logging.DEBUG if self._quiet else logging.INFO
            if result.dialect is None:
                message = (
                    "%s is none of the known search APIs, so its dialect is %s; "
                    "set another one with --dialect"
                )
                _log.log(level, message, self._upstream, found)
            else:
                message = "%s speaks %s, as its answer to GET %s shows"
                _log.log(level, message, self._upstream, found, result.probe)
        return wait


async def _probe(send: SendProbe) -> tuple[ProbeResult, str]:
    """Send the probes until one identifies the dialect; return the result and the first failure."""
    reachable, conclusive, failure = False, True, ""
    for probe in PROBES:
        try:
            status, headers, body = await send(probe)
        except ProbeError as error:
            conclusive, failure = False, failure or str(error)
            reachable = reachable or error.reachable
            if not error.reachable or probe == PROBES[0]:
                break
            continue
        reachable = True
        name = guess_dialect(status, headers, body)
        if name is not None:
            return ProbeResult(name, probe, reachable=True, conclusive=True), ""
        if is_temporary(status):
            conclusive, failure = False, failure or f"its answer to GET {probe} is {status}"
            if probe == PROBES[0]:  # the other paths lead to the same server
                break
    return ProbeResult(reachable=reachable, conclusive=conclusive), failure


def _agree(named: str, found: str) -> bool:
    return named == found or {named, found} <= _ALIKE or named == PlainDialect.name
