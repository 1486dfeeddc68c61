"""From settings to a running reverse proxy."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from starlette.types import ASGIApp

from middleware.admin import Admin, Sides
from middleware.clients import Clients, by_header, by_person, by_tenant
from middleware.control import trusting
from middleware.core.allowance import Allowance
from middleware.core.breaker import Breaker
from middleware.core.memo import Memo
from middleware.core.pace import Pace
from middleware.core.pages import Pages
from middleware.core.shared_pages import SharedPages
from middleware.core.typing_ahead import TypingAhead
from middleware.dialects.base import Dialect
from middleware.dialects.plain import PlainDialect
from middleware.dialects.probe import GUESSABLE
from middleware.dialects.registry import default_paths, load_dialect
from middleware.dialects.undecided import UndecidedDialect
from middleware.engines.base import Engine
from middleware.engines.process import ProcessEngine
from middleware.engines.registry import load_engine
from middleware.engines.shared import SharedEngine
from middleware.engines.threads import default_threads
from middleware.engines.unavailable import UnavailableEngine
from middleware.errors import ConfigurationError, EngineError, MissingExtraError
from middleware.instrumentation.logs import LogObserver
from middleware.instrumentation.metrics import Metrics
from middleware.instrumentation.record import Observer
from middleware.proxy import ReverseProxy
from middleware.recognition import LOGGER, Recognition
from middleware.rules import SearchRule
from middleware.runtime import snapshot
from middleware.runtime.clock import SYSTEM_CLOCK
from middleware.runtime.lanes import Limits
from middleware.runtime.reformulator import Reformulator
from middleware.serving import Stop, address_of, bound_socket, serve
from middleware.settings import Settings
from middleware.upstream.client import UpstreamClient
from middleware.upstream.errors import UpstreamError
from middleware.workers import run_workers

__all__ = ["build_proxy", "build_reformulator", "run_proxy"]


def build_proxy(
    settings: Settings, *, pages: Pages | None = None, quiet: bool = False
) -> ReverseProxy:
    """Return the reverse proxy that the settings describe; reads no weights yet.

    ``pages`` are what first pages were sent with, where several processes have that in common.
    Where no dialect is named, the upstream is asked once the proxy runs, and requests pass as they
    came until it has told; ``quiet`` leaves to another process to log what it told.
    Errors: :class:`~middleware.errors.QueryliftError` with what is wrong and how to mend it.
    """
    if not settings.upstream:
        raise ConfigurationError(
            "no upstream to forward to; give one with --upstream http://host:port, the setting "
            "'upstream', or QUERYLIFT_UPSTREAM"
        )
    client = UpstreamClient(
        settings.upstream,
        verify=settings.upstream_ca or True,
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        write_timeout=settings.read_timeout,
        total_timeout=settings.total_timeout or None,
        pool_timeout=settings.wait_timeout,
        max_connections=settings.connections,
        max_waiting=settings.waiting,
    )
    observers: list[Observer] = [
        LogObserver(
            queries=settings.log_queries, redact=settings.log_redact, sample=settings.log_sample
        )
    ]
    reformulator, metrics = build_reformulator(settings, observers)
    rules = partial(_rules, settings, PlainDialect(settings.param, settings.json_pointer))
    named = settings.named_dialect
    proxy = ReverseProxy(
        client,
        reformulator=reformulator,
        trust_control=settings.trust_control or trusting(settings.control_from),
        expose_query=settings.expose_query,
        server_timing=settings.server_timing,
        max_body=settings.max_body_kib * 1024,
        prefix=settings.prefix or None,
        scope_of=by_tenant(settings.tenant_header) if settings.tenant_header else None,
        metrics=metrics,
        clients=_clients(settings, pages),
        degraded=settings.start_degraded,
        preserve_host=settings.preserve_host,
        forwarded=settings.forwarded,
        max_requests=settings.max_requests,
        body_timeout=settings.body_timeout,
    )
    proxy.search_by(rules(named), guessed=named is None)
    # An app may speak anything, and so may what a package adds: only what tells is asked.
    if named is None or named in GUESSABLE:
        proxy.beside = Recognition(
            settings.upstream,
            lambda found: proxy.search_by(rules(found), guessed=True),
            named=named,
            quiet=quiet,
            verify=settings.upstream_ca or True,
        )
    return proxy


def _rules(settings: Settings, plain: PlainDialect, name: str | None) -> list[SearchRule]:
    """Return the rules of a dialect, or those until one is known."""
    dialect: Dialect
    if name is None:
        dialect = UndecidedDialect()
    else:
        dialect = plain if name == plain.name else load_dialect(name)
    paths = settings.path or default_paths(dialect)
    return [SearchRule(path, settings.method, dialect) for path in paths]


def build_reformulator(
    settings: Settings, observers: Iterable[Observer]
) -> tuple[Reformulator, Metrics | None]:
    """Return the decision path that the settings describe, and what counts its decisions."""
    metrics = Metrics() if settings.metrics else None
    reformulator = Reformulator(
        _engine(settings),
        budget=settings.budget_ms / 1000,
        mode=settings.mode,
        memo=Memo(
            max_entries=settings.memo_entries,
            max_bytes=int(settings.memo_mib * 2**20),
            ttl=settings.memo_ttl,
        ),
        breaker=Breaker(rest=settings.breaker_rest, pace=Pace(above=settings.budget_ms / 1000)),
        limits=Limits(live=settings.queue),
        observers=[*observers, *([] if metrics is None else [metrics])],
    )
    if metrics is not None:
        metrics.watch(reformulator)
    return reformulator, metrics


def _engine(settings: Settings) -> Engine:
    options: dict[str, Any] = {"threads": settings.threads} if settings.threads else {}
    if settings.words:
        options["words"] = settings.words
    make = partial(load_engine, settings.engine, settings.model, **options)
    try:
        if settings.engine_socket:
            return SharedEngine(make, settings.engine_socket)
        return ProcessEngine(make) if settings.engine_process else make()
    except (EngineError, MissingExtraError) as error:
        if not settings.start_degraded:
            raise
        return UnavailableEngine(settings.engine, error)


def _clients(settings: Settings, pages: Pages | None) -> Clients:
    typing = TypingAhead(window=settings.typing_ms / 1000) if settings.typing_ms else None
    client_of = by_header(settings.client_header) if settings.client_header else None
    typist_of = by_person(settings.client_header)
    allowance = Allowance(settings.client_rate) if settings.client_rate else None
    return Clients(
        pages=pages,
        typing=typing,
        allowance=allowance,
        client_of=client_of,
        typist_of=typist_of,
    )


def run_proxy(settings: Settings) -> int:
    """Serve until interrupted, and return the exit status."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for noisy in ("httpx", "httpcore", "urllib3", "filelock", "huggingface_hub"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_NoTraceback())
    if settings.log_level != "error":  # what was found is told whatever else is not
        level = min(logging.getLevelNamesMapping()[settings.log_level.upper()], logging.INFO)
        logging.getLogger(LOGGER).setLevel(level)
    with ExitStack() as stack:
        bound = stack.enter_context(_sockets(settings))
        if settings.workers == 1:
            return _serve(settings, bound)
        pages = SharedPages()
        own = settings
        if not (settings.engine_process or settings.engine_socket):  # one engine each
            threads = settings.threads or default_threads(settings.workers)
            own = replace(settings, threads=threads)
        elif not settings.engine_socket:
            folder = TemporaryDirectory(prefix="querylift-", ignore_cleanup_errors=True)
            own = replace(settings, engine_socket=f"{stack.enter_context(folder)}/engine")

        def work(number: int, ready: Callable[[], None]) -> int:
            with _sockets(own, number, bound) as sockets:
                mine = replace(own, memo_snapshot=_numbered(own.memo_snapshot, number))
                return _serve(mine, sockets, not number, pages, ready, own.memo_snapshot)

        return run_workers(settings.workers, work)


def _numbered(file: str, number: int) -> str:
    return f"{file}.{number}" if file and number else file


def _serve(
    settings: Settings,
    bound: list[socket.socket],
    tells: bool = True,
    pages: Pages | None = None,
    ready: Callable[[], None] = lambda: None,
    warm: str = "",
) -> int:
    """Serve on sockets until interrupted; with ``tells``, say where, and what dialect was found.

    ``warm`` is a snapshot that the memo has beside its own, which is a worker's.
    """
    proxy = build_proxy(settings, pages=pages, quiet=not tells)
    reformulator = proxy.reformulator
    assert reformulator is not None
    file = Path(settings.memo_snapshot) if settings.memo_snapshot else None
    if file is not None:
        for each in dict.fromkeys((Path(warm) if warm else file, file)):
            snapshot.load(each, reformulator.memo, now=SYSTEM_CLOCK.now())
    failures: list[EngineError] = []
    stop = Stop()

    def watch() -> None:
        try:
            reformulator.wait_ready()
        except EngineError as error:  # also minutes after the start, where a hub is slow
            if not settings.start_degraded:
                failures.append(error)
                stop()

    def stopped() -> None:
        if file is not None and not failures:
            snapshot.save(file, reformulator.memo, now=SYSTEM_CLOCK.now())

    front, *admin = bound
    app: ASGIApp = proxy
    if admin:
        inner = Admin(
            reformulator,
            metrics=proxy.metrics,
            degraded=settings.start_degraded,
            dialects=proxy.dialects,
        )
        app = Sides(proxy, inner, admin[0].getsockname()[1])

    def announce() -> None:
        if tells:
            said = f"; admin {address_of(admin[0])}" if admin else ""
            # Flushed, as whoever started it may wait for this line in a pipe.
            print(f"querylift: {address_of(front)} -> {settings.upstream}{said}", flush=True)
        ready()
        SYSTEM_CLOCK.spawn("querylift-watch", watch)

    serve(
        app,
        front,
        *admin,
        started=announce,
        grace=settings.shutdown_grace,
        stopped=stopped,
        stop=stop,
        head_limit=settings.head_timeout,
    )
    if failures:
        raise failures[0]
    return 0


@contextmanager
def _sockets(
    settings: Settings, number: int = 0, first: Sequence[socket.socket] = ()
) -> Iterator[list[socket.socket]]:
    """Give the socket for searches, and the one for the admin endpoints if there is to be one.

    Workers share the port for searches, and have one each for the others: that of the ``first``
    sockets, which were bound to find out what is free, and as many above it as their number.
    """
    shared = settings.workers > 1
    with ExitStack() as opened:
        port = first[0].getsockname()[1] if first else settings.port
        front = opened.enter_context(bound_socket(settings.host, port, shared=shared))
        if settings.admin_port < 0:
            yield [front]
            return
        above = first[1].getsockname()[1] + number if len(first) > 1 else settings.admin_port
        port_of_front = front.getsockname()[1]
        while True:
            admin = opened.enter_context(
                bound_socket(settings.admin_host, above, option="--admin-port", shared=shared)
            )
            # Two addresses may have a free port in common; it is the port that tells them apart.
            ports = range(found := admin.getsockname()[1], found + settings.workers - number)
            if port_of_front not in ports and (above or _free(settings, ports[1:])):
                break
            if above:
                raise ConfigurationError(
                    f"port {port_of_front} is one of the admin ports, {ports[0]} to {ports[-1]}; "
                    "give another --port or --admin-port"
                )
        yield [front, admin]


def _free(settings: Settings, ports: Iterable[int]) -> bool:
    """Tell whether the ports that further workers' admin endpoints get are free."""
    try:
        for port in ports:
            bound_socket(settings.admin_host, port, shared=True).close()
    except ConfigurationError:
        return False
    return True


class _NoTraceback(logging.Filter):
    """Leaves out what the server says of an answer that the upstream cut off: it is told before."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], UpstreamError))
