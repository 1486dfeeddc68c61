"""A response of the pool: its connection while the answer arrives, and what a slow reader left.

A client that takes its answer slowly must not keep a connection from others. What it has not taken
is buffered within bounds, so that the upstream is done early. While others wait for a connection,
that of an answer which has arrived is handed on, and a client that takes nothing loses its answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..errors import SlowReaderError, UpstreamError
from .connection import Connection
from .response import UpstreamResponse
from .response_parser import STEP, ResponseParser

_MOST = 2 * 2**20  # bytes that the buffer of one answer may grow to
_PATIENCE = 0.5  # seconds that a client may take nothing while others wait
_PATIENCE_WITH_READERS = 5.0  # with one that went on to read after it had taken nothing for a while
_WHILE = 0.02  # seconds
_SIGHTINGS = 3  # in so many sweeps, because after a long turn of the event loop all look stalled


class BufferBudget:
    """Memory for what slow clients have not taken, shared by the answers of a pool, in bytes.

    The first ``STEP`` of each answer that is being received is not counted.
    """

    __slots__ = ("free",)

    def __init__(self, most: int) -> None:
        self.free = most

    def extend(self, answer: ResponseParser) -> bool:
        """Let the buffer of an answer grow by a step; return whether it may.

        One that cannot be buffered as a whole gets nothing, as its connection would not be free.
        """
        if max(answer.length, answer.allowed + STEP) > _MOST or not self.take(answer, STEP):
            return False
        answer.allowed += STEP
        return True

    def take(self, answer: ResponseParser, size: int) -> bool:
        """Count bytes for an answer; return whether there is room for them."""
        if size > self.free:
            return False
        self.free -= size
        answer.charged += size
        return True

    def settle(self, answer: ResponseParser) -> None:
        """Give back all that was counted for an answer."""
        self.free += answer.charged
        answer.charged, answer.allowed = 0, STEP


class Lease(UpstreamResponse):
    """A response, and its connection until it is released; releasing it again does nothing.

    Invariants: as long as it holds a connection, ``free`` has not been called. Afterwards
    ``_answer`` has the unread rest, if the connection was handed on, and ``_error`` is what reading
    raises, if the answer was given up.
    """

    __slots__ = (
        "_answer", "_budget", "_connection", "_error", "_free", "_in_hand", "_patience", "_read_at",
        "_sightings",
    )  # fmt: skip

    def __init__(
        self, connection: Connection, budget: BufferBudget, free: Callable[[Connection], None]
    ) -> None:
        super().__init__(connection.response.status, connection.response.headers)
        self._connection: Connection | None = connection
        self._budget = budget
        self._free = free
        self._answer: ResponseParser | None = None
        self._error: UpstreamError | None = None
        self._in_hand = 0  # bytes that the reader was given last
        self._read_at = time.monotonic()
        self._sightings = 0
        self._patience = _PATIENCE

    @property
    def uploading(self) -> bool:
        return self._connection is not None and self._connection.uploading

    async def read(self) -> bytes:
        connection = self._connection
        if connection is not None:
            if time.monotonic() - self._read_at > _WHILE:
                self._patience = _PATIENCE_WITH_READERS
            data = await connection.read()
            self._in_hand, self._sightings, self._read_at = len(data), 0, time.monotonic()
            return data
        if self._error is not None:
            raise self._error
        return b"" if self._answer is None else self._answer.take()

    async def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._free(connection)
        elif self._answer is not None:
            self._budget.settle(self._answer)
            self._answer = None

    def hand_on(self) -> bool:
        """Free the connection if the answer has arrived and may be kept; return whether it did."""
        connection = self._connection
        if connection is None or not connection.response.complete:
            return False
        answer = connection.response
        if not self._budget.take(answer, max(0, answer.buffered + self._in_hand - answer.charged)):
            return False
        self._answer, self._connection = connection.hand_over(), None
        self._free(connection)
        return True

    def stalled(self) -> float:
        """Return for how many seconds the client has taken nothing; 0 if it is not to be given up.

        Only what is relayed to a client is given up. Call it in each sweep.
        """
        connection = self._connection
        if self.abandon is None or connection is None or connection.awaited:
            return 0.0
        self._sightings += 1
        seconds = time.monotonic() - self._read_at
        return seconds if seconds >= self._patience and self._sightings >= _SIGHTINGS else 0.0

    def give_up(self) -> None:
        """Free the connection in the middle of the answer, and tell whoever relays it."""
        connection, self._connection = self._connection, None
        self._error = SlowReaderError()
        if connection is not None:
            self._free(connection)
        if self.abandon is not None:
            self.abandon()
