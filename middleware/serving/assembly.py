"""Builds the reverse proxy and its decision path from the settings."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import partial
from typing import Any

from starlette.types import ASGIApp

from ..core.breaker import Breaker
from ..core.memo import Memo
from ..core.pagination import PaginationMemory
from ..core.rate_limit import RateLimiter
from ..core.slow_calls import SlowCallDetector
from ..core.typing_ahead import TypingAhead
from ..dialects.base import Dialect
from ..dialects.detection.detector import DialectDetector
from ..dialects.detection.pending import PendingDialect
from ..dialects.detection.probes import GUESSABLE
from ..dialects.fields.fields import Fields
from ..dialects.fields.reader import SchemaReader
from ..dialects.fields.schemas import Schemas
from ..dialects.plain import PlainDialect
from ..dialects.registry import load_dialect
from ..engines.base import Engine
from ..engines.process import ProcessEngine
from ..engines.registry import load_engine
from ..engines.unavailable import UnavailableEngine
from ..errors import ConfigurationError, EngineError, MissingExtraError
from ..http.client_keys import by_address, by_browser, by_header, by_tenant
from ..http.clients import Clients
from ..http.control import trusting
from ..http.limits import BodyTimeoutMiddleware, RequestLimitMiddleware
from ..http.matching import SearchRule
from ..instrumentation.logs import LogObserver
from ..instrumentation.metrics import Metrics
from ..instrumentation.record import Observer
from ..proxy import BackgroundService, ReverseProxy
from ..runtime.clock import SYSTEM_CLOCK, Clock
from ..runtime.limits import Limits
from ..runtime.reformulator import Reformulator
from ..upstream.client import UpstreamClient
from ..upstream.headers import Forwarding
from ..upstream.limits import ConnectionLimits, Timeouts
from .settings import Settings

_LOOP_ID = f"querylift-{secrets.token_hex(8)}"
"""Names this service; its workers are forked and share it."""


def build_proxy(
    settings: Settings, *, pages: PaginationMemory | None = None, quiet: bool = False
) -> ReverseProxy:
    """Return the reverse proxy for the settings; the model is not loaded yet.

    ``pages`` is the pagination memory that several processes share. If no dialect is named, the
    running proxy asks the upstream, and forwards requests unchanged until the dialect is known;
    with ``quiet``, another process logs it. Errors: ``QueryliftError`` with what to do.
    """
    if not settings.upstream.url:
        raise ConfigurationError(
            "no upstream to forward to; give one with --upstream http://host:port, "
            "QUERYLIFT_UPSTREAM, or url in the table [upstream]"
        )
    client = UpstreamClient(
        settings.upstream.url,
        timeouts=Timeouts(
            connect=settings.upstream.connect_timeout,
            read=settings.upstream.read_timeout,
            write=settings.upstream.read_timeout,
            total=settings.upstream.total_timeout or None,
            pool=settings.upstream.pool_timeout,
        ),
        limits=ConnectionLimits(
            max_connections=settings.upstream.max_connections,
            max_waiting=settings.upstream.max_waiting,
            max_buffered=int(settings.upstream.max_buffered_mib * 2**20),
        ),
        verify=settings.upstream.ca or True,
    )
    observers: list[Observer] = [
        LogObserver(
            queries=settings.log.queries, redact=settings.log.redact, sample=settings.log.sample
        )
    ]
    reformulator, metrics = build_reformulator(settings, observers)
    schemas = Schemas()
    fields = Fields(settings.field, settings.not_field, schemas)
    rules = partial(_rules, settings, PlainDialect(settings.param, settings.json_pointer), fields)
    named = settings.named_dialect
    proxy = ReverseProxy(
        client,
        rules=rules(named),
        reformulator=reformulator,
        forwarding=Forwarding(
            preserve_host=settings.upstream.preserve_host,
            forwarded=settings.upstream.forwarded,
            loop_id=_LOOP_ID,
        ),
        trust_control=settings.trust_control or trusting(settings.trusted_networks),
        expose_query=settings.expose_query,
        server_timing=settings.server_timing,
        max_body=settings.max_body_kib * 1024,
        prefix=settings.prefix or None,
        metrics=metrics,
        clients=build_clients(settings, pages),
    )
    proxy.set_rules(rules(named), guessed=named is None)
    # Only the dialects that can be recognized are checked against the upstream.
    if named is None or named in GUESSABLE:
        verify = settings.upstream.ca or True
        detector = DialectDetector(
            str(client.upstream),
            lambda found: proxy.set_rules(rules(found), guessed=True),
            named=named,
            quiet=quiet,
            verify=verify,
        )
        authorization = settings.upstream.authorization
        reader = SchemaReader(
            str(client.upstream), schemas, authorization=authorization, verify=verify, quiet=quiet
        )
        proxy.background = Services(detector, reader)
    return proxy


def limited(app: ASGIApp, settings: Settings, metrics: Metrics | None) -> ASGIApp:
    """Return the app behind the limits on requests at a time and on upload time."""
    on_error = None if metrics is None else metrics.failed
    app = BodyTimeoutMiddleware(app, settings.body_timeout, on_error)
    return RequestLimitMiddleware(app, settings.max_requests, on_error)


class Services:
    """Several background services as one."""

    def __init__(self, *services: BackgroundService) -> None:
        self._services = services

    def start(self) -> None:
        """Start all of them."""
        for service in self._services:
            service.start()

    async def stop(self) -> None:
        """Stop them one after the other."""
        for service in self._services:
            await service.stop()


def _rules(
    settings: Settings, plain: PlainDialect, fields: Fields, name: str | None
) -> list[SearchRule]:
    """Return the rules of a dialect, or those that apply until it is known."""
    dialect: Dialect
    if name is None:
        dialect = PendingDialect()
    else:
        known = {"fields": fields} if name in GUESSABLE else {}
        dialect = plain if name == plain.name else load_dialect(name, **known)
    paths = settings.path or dialect.paths
    return [SearchRule(path, settings.method, dialect) for path in paths]


def build_reformulator(
    settings: Settings, observers: Iterable[Observer]
) -> tuple[Reformulator, Metrics | None]:
    """Return the decision path for the settings, and its metrics if they are on."""
    metrics = Metrics() if settings.admin.metrics else None
    reformulator = Reformulator(
        _engine(settings),
        budget=settings.budget_ms / 1000,
        mode=settings.mode,
        memo=Memo(
            max_entries=settings.memo.max_entries,
            max_bytes=int(settings.memo.max_mib * 2**20),
            ttl=settings.memo.ttl,
        ),
        breaker=Breaker(
            cooldown=settings.engine.breaker_cooldown,
            slow_calls=SlowCallDetector(above=settings.budget_ms / 1000),
        ),
        limits=Limits(foreground=settings.engine.max_queue),
        observers=[*observers, *([] if metrics is None else [metrics])],
        allow_degraded_start=settings.allow_degraded_start,
    )
    if metrics is not None:
        metrics.watch(reformulator)
    return reformulator, metrics


def _engine(settings: Settings) -> Engine:
    options: dict[str, Any] = (
        {"threads": settings.engine.threads} if settings.engine.threads else {}
    )
    if settings.words:
        options["words"] = settings.words
    make = partial(load_engine, settings.engine.name, settings.model, **options)
    try:
        if not (settings.engine.process or settings.engine.socket):
            return make()
        place = settings.engine.socket or None
        return ProcessEngine(make, place, hang_timeout=settings.engine.hang_timeout)
    except (EngineError, MissingExtraError) as error:
        if not settings.allow_degraded_start:
            raise
        return UnavailableEngine(settings.engine.name, error)


def build_clients(
    settings: Settings, pages: PaginationMemory | None, clock: Clock = SYSTEM_CLOCK
) -> Clients:
    """Return how clients are told apart, and what is remembered of each."""
    typing = TypingAhead(window=settings.typing_ms / 1000) if settings.typing_ms else None
    client_key = by_header(settings.client_header) if settings.client_header else None
    typing_key = by_browser(settings.client_header)
    rate_limiter = RateLimiter(settings.client_rate) if settings.client_rate else None
    return Clients(
        pages=pages,
        typing=typing,
        rate_limiter=rate_limiter,
        client_key=client_key,
        typing_key=typing_key,
        rate_limit_key=by_address(settings.client_header),
        tenant_of=by_tenant(settings.tenant_header) if settings.tenant_header else None,
        clock=clock,
    )
