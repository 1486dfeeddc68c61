"""The loop of an engine process: answers the calls of its clients with one engine."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, cast

from ...core.outcome import Mode
from ...errors import EngineError
from ...policy.acceptance import Acceptance
from ..base import Engine, Loadable
from ..judging import EngineResult, verdicts_of
from .peer import is_trusted_client
from .wire import encode, error_message, identity, receive, send

_BATCH = 8  # texts of several clients that are put into one engine call
_READ_EVERY = 0.002  # seconds between reads of messages while the engine works


@dataclass(eq=False, slots=True)
class _Call:
    """One call of one client; ``cancelled`` holds indexes of texts that nobody waits for."""

    client: Connection
    texts: list[str]
    modes: list[Mode] | None
    cancelled: set[int] = field(default_factory=set)


class Host:
    """Loads an engine and runs it for all its clients.

    ``parts`` returns what makes the engine, and the acceptance to judge by, if any. ``clients``
    are connected from the start; others come in by ``listener``, a listening local socket.
    ``loaded`` is called before any of them is told.

    Invariants: a client has at most one open call. Concurrency: one thread does everything.
    While the engine works, messages are read whenever it asks whether a text was cancelled.
    """

    def __init__(
        self,
        parts: Callable[[], tuple[Callable[[], Engine], Acceptance | None]],
        *,
        clients: Iterable[Connection] = (),
        listener: socket.socket | None = None,
        loaded: Callable[[], None] = lambda: None,
    ) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = listener
        if listener is not None:
            self._selector.register(listener, selectors.EVENT_READ)
        self._clients: dict[Connection, _Call | None] = {}  # with the open call of each
        self._queue: deque[_Call] = deque()
        self._next_read = 0.0
        self._engine: Engine | None = None
        self._acceptance: Acceptance | None = None
        self.failure: Exception | None = None
        """Why the engine could not be loaded; each client is told."""
        try:
            make, self._acceptance = parts()
            self._engine = make()
            if isinstance(self._engine, Loadable):
                self._engine.load()
        except Exception as error:
            self.failure = error
        loaded()
        for client in clients:
            self._admit(client)

    def serve(self, idle_timeout: float) -> None:
        """Answer calls until there has been no client for ``idle_timeout`` seconds."""
        while self._clients or self.read(idle_timeout):
            if self._queue:
                self._answer(self._next_calls())
            else:
                self.read(None)

    def read(self, timeout: float | None) -> bool:
        """Take in clients and messages, after waiting for the first; return whether any came.

        ``timeout`` is in seconds; ``None`` waits without limit.
        """
        if timeout is None and self._listener is None:
            # The only client is waited for by receiving from it, which is quicker.
            self._receive(next(iter(self._clients)))
            return True
        ready = self._selector.select(timeout)
        for key, _ in ready:
            if isinstance(key.fileobj, socket.socket):
                with suppress(OSError):  # the client has left meanwhile
                    accepted = key.fileobj.accept()[0]
                    if is_trusted_client(accepted):
                        self._admit(Connection(accepted.detach()))
                    else:
                        accepted.close()
            else:
                self._receive(cast(Connection, key.fileobj))
        return bool(ready)

    def _admit(self, client: Connection) -> None:
        """Take in a client and tell it that the engine is loaded, or why it is not."""
        self._clients[client] = None
        self._selector.register(client, selectors.EVENT_READ)
        if self._engine is None or self.failure is not None:
            message = error_message(self.failure or EngineError("the engine was not loaded"))
        else:
            policy = None if self._acceptance is None else self._acceptance.revision
            message = {"ready": os.getpid(), "engine": identity(self._engine), "policy": policy}
        with suppress(OSError):  # it has left
            send(client, message)

    def _receive(self, client: Connection) -> None:
        try:
            message = receive(client)
            if "texts" in message:
                modes = message["modes"] and [Mode(mode) for mode in message["modes"]]
                call = self._clients[client] = _Call(client, message["texts"], modes)
                self._queue.append(call)
            elif (running := self._clients[client]) is not None:  # else it has been answered
                running.cancelled.update(message["cancel"])
        except (OSError, EOFError, ValueError):
            self._selector.unregister(client)
            client.close()
            if (left := self._clients.pop(client)) is not None:
                left.cancelled.update(range(len(left.texts)))

    def _next_calls(self) -> list[_Call]:
        calls = [self._queue.popleft()]
        while self._queue and sum(len(call.texts) for call in calls) < _BATCH:
            calls.append(self._queue.popleft())
        return calls

    def _answer(self, calls: list[_Call]) -> None:
        """Answer calls by one call of the engine, or one by one if that fails."""
        try:
            results = self._run(calls)
        except Exception as error:
            if len(calls) == 1:
                self._reply(calls[0], error_message(error))
            else:  # one of the calls may have spoilt it for all
                for call in calls:
                    self._answer([call])
            return
        for call, mine in zip(calls, results, strict=True):
            self._reply(call, {"results": list(map(encode, mine))})

    def _run(self, calls: list[_Call]) -> list[Sequence[EngineResult]]:
        places = [(call, index) for call in calls for index in range(len(call.texts))]
        self._next_read = time.monotonic() + _READ_EVERY

        def cancelled(place: int) -> bool:
            if time.monotonic() >= self._next_read:
                self.read(0)
                self._next_read = time.monotonic() + _READ_EVERY
            call, index = places[place]
            return index in call.cancelled

        assert self._engine is not None
        answers = self._engine.generate([call.texts[index] for call, index in places], cancelled)
        if len(answers) != len(places):
            raise EngineError(f"{len(answers)} answers for {len(places)} texts")
        results: list[Sequence[EngineResult]] = []
        for call in calls:
            mine, answers = answers[: len(call.texts)], answers[len(call.texts) :]
            if call.modes is None or self._acceptance is None:
                results.append(mine)
            else:
                results.append(verdicts_of(call.texts, call.modes, mine, self._acceptance))
        return results

    def _reply(self, call: _Call, message: dict[str, Any]) -> None:
        if call.client not in self._clients:
            return
        self._clients[call.client] = None
        try:
            send(call.client, message)
        except OSError:
            return  # the client has left
