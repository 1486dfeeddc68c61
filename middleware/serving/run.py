"""``querylift serve``: runs the proxy, in one process or with workers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ..core.pagination import PaginationMemory
from ..core.printable import printable
from ..dialects.detection.detector import LOGGER
from ..engines.process.shared import end_shared
from ..engines.threads import default_threads
from ..errors import ConfigurationError, EngineError
from ..runtime import snapshot
from ..runtime.clock import SYSTEM_CLOCK
from .admin import admin_app, hashed_scope, plain_scope, route_by_port
from .assembly import build_proxy, limited
from .own_address import refuse_own_address
from .process import raise_file_limit, set_up_logging
from .server import address_of, bound_socket, serve
from .settings import Settings
from .shared_pagination import SharedPaginationMemory
from .supervisor import run_workers


def run_proxy(settings: Settings) -> int:
    """Serve until a signal or an interrupt, and return the exit status."""
    set_up_logging(settings.log.level, LOGGER)
    raise_file_limit(settings.max_requests + settings.upstream.max_connections)
    with ExitStack() as stack:
        bound = stack.enter_context(_sockets(settings))
        if settings.upstream.url:
            refuse_own_address(settings.upstream.url, bound)
        if settings.workers == 1:
            return _serve(settings, bound)
        pages = SharedPaginationMemory()
        shared = settings
        if not (
            settings.engine.process or settings.engine.socket
        ):  # each worker has its own engine
            threads = settings.engine.threads or default_threads(settings.workers)
            shared = replace(settings, engine=replace(settings.engine, threads=threads))
        elif not settings.engine.socket:
            folder = TemporaryDirectory(prefix="querylift-", ignore_cleanup_errors=True)
            path = f"{stack.enter_context(folder)}/engine"
            stack.callback(end_shared, path)  # at once, and also if it is stopped
            shared = replace(settings, engine=replace(settings.engine, socket=path))

        def work(number: int, ready: Callable[[], None]) -> int:
            file = shared.memo.snapshot
            own_file = f"{file}.{number}" if file and number else file
            own = replace(shared, memo=replace(shared.memo, snapshot=own_file))
            with _sockets(shared, number, bound) as sockets:
                return _serve(
                    own, sockets, pages=pages, ready=ready, first=not number, first_snapshot=file
                )

        return run_workers(settings.workers, work)


def _serve(
    settings: Settings,
    bound: list[socket.socket],
    *,
    pages: PaginationMemory | None = None,
    ready: Callable[[], None] = lambda: None,
    first: bool = True,
    first_snapshot: str = "",
) -> int:
    """Serve on the sockets until a signal or an interrupt, and return the exit status.

    The ``first`` worker prints the addresses and logs the detected dialect. The others load the
    first one's snapshot and then their own. ``ready`` is called once requests are accepted.
    """
    proxy = build_proxy(settings, pages=pages, quiet=not first)
    reformulator = proxy.reformulator
    assert reformulator is not None
    file = Path(settings.memo.snapshot) if settings.memo.snapshot else None
    if file is not None:
        for each in dict.fromkeys((Path(first_snapshot or file), file)):
            snapshot.load(each, reformulator.memo, now=SYSTEM_CLOCK.now())
    failures: list[EngineError] = []
    stop = threading.Event()

    def watch() -> None:
        try:
            reformulator.wait_ready()
        except EngineError as error:  # perhaps minutes after the start, if a hub is slow
            # An engine that is closed while it loads says so, too.
            if not (stop.is_set() or settings.allow_degraded_start):
                failures.append(error)
                stop.set()

    saving = threading.Lock()

    def save() -> bool:
        """Write the snapshot, if there is one; return whether it holds what the memo holds."""
        if file is None:
            return True
        with saving:
            return not failures and snapshot.save(file, reformulator.memo, now=SYSTEM_CLOCK.now())

    front, *admin = bound
    app = limited(proxy, settings, proxy.metrics)
    if admin:
        inner = admin_app(
            reformulator,
            metrics=proxy.metrics,
            dialects=proxy.dialects,
            purged=save,  # otherwise a purged rewrite would be back after a crash
            scope_of=hashed_scope if settings.tenant_header else plain_scope,
        )
        app = route_by_port(app, inner, admin[0].getsockname()[1])

    def announce() -> None:
        if first:
            admin_at = f"; admin {address_of(admin[0])}" if admin else ""
            line = f"querylift: {address_of(front)} -> {settings.upstream.url}{admin_at}"
            print(printable(line), flush=True)  # a parent process may wait for this line in a pipe
        ready()
        SYSTEM_CLOCK.spawn("querylift-watch", watch)

    serve(
        app,
        front,
        *admin,
        started=announce,
        grace=settings.shutdown_grace,
        stopped=save,
        ended=reformulator.abandon,
        stop=stop,
        head_timeout=settings.head_timeout,
        send_timeout=settings.body_timeout,
        keepalive_timeout=settings.keepalive_timeout,
    )
    if failures:
        raise failures[0]
    return 0


@contextmanager
def _sockets(
    settings: Settings, number: int = 0, first: Sequence[socket.socket] = ()
) -> Iterator[list[socket.socket]]:
    """Yield the socket for searches and, unless it is turned off, the one for the admin endpoints.

    Workers share the search port. Each has its own admin port: that of the ``first`` sockets plus
    its number. The ``first`` sockets were bound before the workers started, to find free ports.
    """
    shared = settings.workers > 1
    with ExitStack() as opened:
        port = first[0].getsockname()[1] if first else settings.port
        front = opened.enter_context(bound_socket(settings.host, port, shared=shared))
        if settings.admin.port < 0:
            yield [front]
            return
        wanted = first[1].getsockname()[1] + number if len(first) > 1 else settings.admin.port
        search_port = front.getsockname()[1]
        while True:
            admin = opened.enter_context(
                bound_socket(settings.admin.host, wanted, option="--admin-port", shared=shared)
            )
            # Requests are told apart by port, even if the two hosts differ.
            ports = range(found := admin.getsockname()[1], found + settings.workers - number)
            if search_port not in ports and (wanted or _free(settings, ports[1:])):
                break
            if wanted:
                raise ConfigurationError(
                    f"port {search_port} is one of the admin ports, {ports[0]} to {ports[-1]}; "
                    "choose another --port or --admin-port"
                )
        yield [front, admin]


def _free(settings: Settings, ports: Iterable[int]) -> bool:
    """Return whether the admin ports of the other workers are free."""
    try:
        for port in ports:
            bound_socket(settings.admin.host, port, shared=True).close()
    except ConfigurationError:
        return False
    return True
