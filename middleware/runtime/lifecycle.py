"""Starting, waiting for, and stopping what runs an engine."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from types import TracebackType
from typing import Self

from ..errors import ConfigurationError, EngineError
from .clock import Clock
from .dispatcher import Dispatcher
from .stats import Stats

LOAD_TIMEOUT = 300.0
"""Seconds that ``with`` waits for the engine; a model may have to be downloaded first."""

_log = logging.getLogger("querylift.runtime")


class Lifecycle:
    """The part of a ``Reformulator`` that starts and stops its worker; a context manager."""

    _dispatcher: Dispatcher
    _clock: Clock

    def __init__(self, load_timeout: float | None, allow_degraded_start: bool) -> None:
        if load_timeout is not None and not load_timeout > 0:
            raise ConfigurationError(f"load_timeout ({load_timeout}) is in seconds, above 0")
        self.allow_degraded_start = allow_degraded_start
        self._load_timeout = load_timeout

    @property
    def ready(self) -> bool:
        """Whether the engine is loaded, so that texts are rewritten."""
        return self._dispatcher.ready

    def start(self) -> None:
        """Start the worker without waiting for the engine; does nothing if it runs."""
        self._dispatcher.start()

    def wait_ready(self, timeout: float | None = None) -> None:
        """Start the worker and wait at most ``timeout`` seconds until the engine is loaded.

        Errors: ``EngineError`` if it cannot be loaded, or not in time.
        """
        self.start()
        self._dispatcher.wait_loaded(timeout)

    def close(self, timeout: float = 5.0) -> None:
        """Stop the worker; the memo is kept, and a later call starts the worker again.

        Waits at most ``timeout`` seconds for an engine call or a load, which may go on alone. A
        process that ends while torch is loading in it may abort.
        """
        self._dispatcher.stop(timeout)

    def abandon(self) -> None:
        """End the engine's process by force, as this process is about to end; any thread."""
        self._dispatcher.abandon()

    def __enter__(self) -> Self:
        try:
            self.wait_ready(self._load_timeout)
        except BaseException as error:
            if not self._can_do_without(error):
                self.close()
                raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self.start()
        loop = asyncio.get_running_loop()
        loaded: asyncio.Future[None] = loop.create_future()

        def wait() -> None:
            failure: EngineError | None = None
            try:
                self._dispatcher.wait_loaded(self._load_timeout)
            except EngineError as error:
                failure = error
            with suppress(RuntimeError):  # the event loop was closed meanwhile
                loop.call_soon_threadsafe(_settle, loaded, failure)

        self._clock.spawn("querylift-load-wait", wait)
        try:
            await loaded
        except asyncio.CancelledError:
            self.close(timeout=0.0)  # which also ends the thread that waits
            raise
        except BaseException as error:
            if not self._can_do_without(error):
                await asyncio.to_thread(self.close)
                raise
        return self

    def _can_do_without(self, error: BaseException) -> bool:
        """Return whether to go on without an engine that failed to load; log if so."""
        if not (self.allow_degraded_start and isinstance(error, EngineError)):
            return False
        _log.warning("texts are not rewritten: %s", error)
        return True

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)

    def stats(self) -> Stats:
        """Return a snapshot."""
        return self._dispatcher.stats()


def _settle(loaded: asyncio.Future[None], failure: EngineError | None) -> None:
    if loaded.done():  # cancelled
        return
    if failure is None:
        loaded.set_result(None)
    else:
        loaded.set_exception(failure)
