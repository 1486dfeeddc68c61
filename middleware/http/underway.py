"""Searches that are being decided about, for requests that belong to them and come meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ..core.pagination import PaginationKey

_Place = tuple[asyncio.AbstractEventLoop, PaginationKey]


class SearchesUnderway:
    """Lets a count or a later page wait until the search beside it is decided about and remembered.

    A page sends both at once, and the count would not know the search's query yet.

    Invariants: holds no more than the texts of requests in progress. Concurrency: any event loop;
    requests wait for those of their own loop only. A cancelled search ends the wait as well.
    """

    def __init__(self) -> None:
        self._decided: dict[_Place, asyncio.Event] = {}

    def __bool__(self) -> bool:
        """Return whether there is any search to wait for."""
        return bool(self._decided)

    def begin(self, keys: Sequence[PaginationKey]) -> Callable[[], None]:
        """Hold a search underway, until the function that is returned is called."""
        loop, decided = asyncio.get_running_loop(), asyncio.Event()
        for key in keys:
            self._decided[loop, key] = decided

        def end() -> None:
            decided.set()
            for key in keys:  # a second search with the same text may have taken the place
                if self._decided.get((loop, key)) is decided:
                    del self._decided[loop, key]

        return end

    async def wait(self, keys: Sequence[PaginationKey], seconds: float) -> None:
        """Wait for the first of the searches that is underway, for some seconds at most."""
        loop = asyncio.get_running_loop()
        for key in keys:
            decided = self._decided.get((loop, key))
            if decided is not None:
                try:
                    async with asyncio.timeout(seconds):
                        await decided.wait()
                except TimeoutError:
                    pass
                return
