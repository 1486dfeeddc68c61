"""Serves what the settings describe, until it is told to stop."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ..core.pagination import PaginationMemory
from ..dialects.detection.detector import LOGGER
from ..engines.threads import default_threads
from ..errors import ConfigurationError, EngineError, UpstreamError
from ..runtime import snapshot
from ..runtime.clock import SYSTEM_CLOCK
from .admin import Admin, PortRouter
from .assembly import build_proxy, limited
from .server import Stop, address_of, bound_socket, serve
from .settings import Settings
from .shared_pagination import SharedPaginationMemory
from .supervisor import run_workers

__all__ = ["run_proxy"]


def run_proxy(settings: Settings) -> int:
    """Serve until interrupted, and return the exit status."""
    logging.basicConfig(
        level=settings.log.level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for noisy in ("httpx", "httpcore", "urllib3", "filelock", "huggingface_hub"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_NoTraceback())
    if settings.log.level != "error":  # what was found is told whatever else is not
        level = min(logging.getLevelNamesMapping()[settings.log.level.upper()], logging.INFO)
        logging.getLogger(LOGGER).setLevel(level)
    with ExitStack() as stack:
        bound = stack.enter_context(_sockets(settings))
        if settings.workers == 1:
            return _serve(settings, bound)
        pages = SharedPaginationMemory()
        own = settings
        if not (settings.engine.process or settings.engine.socket):  # one engine each
            threads = settings.engine.threads or default_threads(settings.workers)
            own = replace(settings, engine=replace(settings.engine, threads=threads))
        elif not settings.engine.socket:
            folder = TemporaryDirectory(prefix="querylift-", ignore_cleanup_errors=True)
            path = f"{stack.enter_context(folder)}/engine"
            own = replace(settings, engine=replace(settings.engine, socket=path))

        def work(number: int, ready: Callable[[], None]) -> int:
            with _sockets(own, number, bound) as sockets:
                snapshot_file = _numbered(own.memo.snapshot, number)
                mine = replace(own, memo=replace(own.memo, snapshot=snapshot_file))
                return _serve(mine, sockets, not number, pages, ready, own.memo.snapshot)

        return run_workers(settings.workers, work)


def _numbered(file: str, number: int) -> str:
    return f"{file}.{number}" if file and number else file


def _serve(
    settings: Settings,
    bound: list[socket.socket],
    tells: bool = True,
    pages: PaginationMemory | None = None,
    ready: Callable[[], None] = lambda: None,
    warm: str = "",
) -> int:
    """Serve on sockets until interrupted; with ``tells``, say where, and what dialect was found.

    ``warm`` is a snapshot that the memo has beside its own, which is a worker's.
    """
    proxy = build_proxy(settings, pages=pages, quiet=not tells)
    reformulator = proxy.reformulator
    assert reformulator is not None
    file = Path(settings.memo.snapshot) if settings.memo.snapshot else None
    if file is not None:
        for each in dict.fromkeys((Path(warm) if warm else file, file)):
            snapshot.load(each, reformulator.memo, now=SYSTEM_CLOCK.now())
    failures: list[EngineError] = []
    stop = Stop()

    def watch() -> None:
        try:
            reformulator.wait_ready()
        except EngineError as error:  # also minutes after the start, where a hub is slow
            if not settings.allow_degraded_start:
                failures.append(error)
                stop()

    saving = threading.Lock()

    def save() -> None:
        if file is not None and not failures:
            with saving:
                snapshot.save(file, reformulator.memo, now=SYSTEM_CLOCK.now())

    front, *admin = bound
    app = limited(proxy, settings, proxy.metrics)
    if admin:
        inner = Admin(
            reformulator,
            metrics=proxy.metrics,
            dialects=proxy.dialects,
            purged=save,  # else what was purged would be back after a crash
        )
        app = PortRouter(app, inner, admin[0].getsockname()[1])

    def announce() -> None:
        if tells:
            said = f"; admin {address_of(admin[0])}" if admin else ""
            # Flushed, as whoever started it may wait for this line in a pipe.
            print(f"querylift: {address_of(front)} -> {settings.upstream.url}{said}", flush=True)
        ready()
        SYSTEM_CLOCK.spawn("querylift-watch", watch)

    serve(
        app,
        front,
        *admin,
        started=announce,
        grace=settings.shutdown_grace,
        stopped=save,
        stop=stop,
        head_timeout=settings.head_timeout,
        send_timeout=settings.body_timeout,
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
        if settings.admin.port < 0:
            yield [front]
            return
        above = first[1].getsockname()[1] + number if len(first) > 1 else settings.admin.port
        port_of_front = front.getsockname()[1]
        while True:
            admin = opened.enter_context(
                bound_socket(settings.admin.host, above, option="--admin-port", shared=shared)
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
            bound_socket(settings.admin.host, port, shared=True).close()
    except ConfigurationError:
        return False
    return True


class _NoTraceback(logging.Filter):
    """Leaves out what the server says of an answer that the upstream cut off: it is told before."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], UpstreamError))
