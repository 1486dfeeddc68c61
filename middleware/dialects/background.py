"""A task that asks an upstream while requests are forwarded to it."""

from __future__ import annotations

import asyncio
import contextlib


class BackgroundTask:
    """Runs ``_run`` in a task of this name; subclasses define it.

    Concurrency: one event loop at a time.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start on the running event loop; does nothing if it runs."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Stop, and return once the task has ended; ``start`` may be called again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        raise NotImplementedError
