"""Asks an upstream in the background which fields of its indices hold prose."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial

from ...errors import ConfigurationError
from ..background import BackgroundTask
from ..detection.client import ProbeError, SendProbe, probe_client, tls_context
from . import elasticsearch, solr
from .documents import MAX_ANSWER
from .schemas import Place, Schema, Schemas

_APIS: Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, bytes]], Schema | None]]] = {
    "elasticsearch": (elasticsearch.QUESTIONS, elasticsearch.schema),
    "solr": (solr.QUESTIONS, solr.schema),
}
_BETWEEN = 0.1  # seconds between two places
_FAILED = 5.0  # seconds after an unexpected exception
_IN_HEADER = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
_REFUSED = frozenset({401, 403})

_log = logging.getLogger("querylift.fields")

Connect = Callable[[], AbstractAsyncContextManager[SendProbe]]
"""Opens a connection for questions, which are GETs."""


class SchemaReader(BackgroundTask):
    """A background task that reads the schemas which searches wanted.

    ``upstream`` is a URL, ``verify`` True, False, or the path of a CA bundle. ``connect`` replaces
    what opens a connection. ``authorization`` is a header's value that is sent with each question;
    without it, none is: credentials of clients are never used. ``quiet`` leaves the log to another
    process that reads the same upstream.

    At most one place is read at a time, in a connection of its own, with a time-out of 5 s and
    1 MiB for each answer. A place of which nothing is told is asked about again after some minutes.

    Concurrency: one event loop at a time. Errors: ``ConfigurationError`` for an ``authorization``
    that no header can hold; any later failure is logged.
    """

    def __init__(
        self,
        upstream: str,
        schemas: Schemas,
        *,
        authorization: str = "",
        quiet: bool = False,
        verify: bool | str = True,
        connect: Connect | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not _IN_HEADER.fullmatch(authorization):  # it is not shown, as it is a secret
            raise ConfigurationError(
                "upstream.authorization has a line break, a character that is not ASCII, or blanks "
                "around it, which no header may have; write it like 'ApiKey abc='"
            )
        super().__init__("fields")
        self._upstream = upstream.rstrip("/")
        self._schemas = schemas
        self._headers = {"authorization": authorization} if authorization else {}
        self._verify = verify
        self._connect = connect
        self._sleep = sleep
        self._level = logging.DEBUG if quiet else logging.WARNING
        self._refusal_logged = False

    async def _run(self) -> None:
        wanted = asyncio.Event()
        self._schemas.wake = wanted.set
        while True:
            place = self._schemas.next_wanted()
            if place is None:
                wanted.clear()
                await wanted.wait()
                continue
            schema = None
            try:
                schema = await self._read(place)
            except Exception:
                _log.exception("the fields of %s%s cannot be read", self._upstream, place.path)
                await self._sleep(_FAILED)
            self._schemas.store(place, schema)
            await self._sleep(_BETWEEN)

    async def _read(self, place: Place) -> Schema | None:
        questions, schema = _APIS[place.api]
        if self._connect is None:
            context: ssl.SSLContext | bool = False
            if self._upstream.startswith("https:"):
                context = await asyncio.to_thread(tls_context, self._verify)
            self._connect = partial(
                probe_client, self._upstream, context, max_body=MAX_ANSWER, headers=self._headers
            )
        answers: dict[str, bytes] = {}
        async with self._connect() as send:
            for question in questions:
                try:
                    status, _, body = await send(place.path + question)
                except ProbeError as error:
                    _log.debug("%s%s: %s", place.path, question, error)
                    break
                if status == 200 and len(body) < MAX_ANSWER:
                    answers[question] = body
                    if place.api == "solr" and question == questions[0]:
                        break
                elif status in _REFUSED:
                    self._log_refusal(status, place.path + question)
                    break
        return await asyncio.to_thread(schema, answers)

    def _log_refusal(self, status: int, target: str) -> None:
        if not self._refusal_logged:
            self._refusal_logged = True
            _log.log(
                self._level,
                "%s answers %d to GET %s, so the names of fields tell which hold prose; give "
                "upstream.authorization, or field and not_field",
                self._upstream,
                status,
                target,
            )
