"""An upstream that records what reaches it, and a proxy in front of it, on real sockets."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from middleware import Reformulator, ReverseProxy, SearchRule
from middleware.dialects.registry import load_dialect
from middleware.serving.server import served_in_thread
from middleware.testing import ScriptedEngine

CHATTY = "please show me red lamp"
"""Finds nothing as it is, and ``PLAIN`` instead where it is rewritten."""
PLAIN = "red lamp"

# What differs from one request to the next, or between two connections.
_PASSING = frozenset(
    {b"host", b"connection", b"content-length"}
    | {b"x-algolia-request-id", b"request-id", b"x-opaque-id"}
)


@dataclass(frozen=True)
class Seen:
    """A request as the upstream saw it."""

    method: str
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


@dataclass
class Recorder:
    """Keeps every request that passes to an app."""

    app: ASGIApp
    requests: list[Seen] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Keep a request whole, and give it to the app."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        target = scope["raw_path"]
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        headers = tuple(line for line in scope["headers"] if line[0] not in _PASSING)
        self.requests.append(Seen(scope["method"], target, headers, body))

        async def replay() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)


Scenario = Callable[[str], Awaitable[Any]]
"""What a client does with a base URL, and what it has of that."""


@dataclass
class World:
    """An upstream, a proxy in front of it, and what the upstream saw."""

    direct: str
    proxied: str
    recorder: Recorder
    engine: ScriptedEngine

    def past(self, scenario: Scenario) -> tuple[Any, list[Seen]]:
        """Play a scenario without the proxy."""
        return self._play(scenario, self.direct)

    def through(self, scenario: Scenario) -> tuple[Any, list[Seen]]:
        """Play a scenario through the proxy."""
        return self._play(scenario, self.proxied)

    def alike(self, scenario: Scenario) -> Any:
        """Play a scenario both ways; the upstream and the client see the same each time."""
        past, seen_past = self.past(scenario)
        through, seen_through = self.through(scenario)
        assert seen_through == seen_past
        assert through == past
        return through

    def lifted(self, scenario: Callable[[str, str], Awaitable[Any]]) -> Any:
        """Play a scenario with a text that is rewritten.

        The client has what it would have for the rewrite, and the upstream sees, byte for byte,
        what the client would have sent it with that.
        """
        past, seen_past = self.past(lambda base: scenario(base, CHATTY))
        through, seen_through = self.through(lambda base: scenario(base, CHATTY))
        plain, seen_plain = self.past(lambda base: scenario(base, PLAIN))
        assert through == plain != past
        assert seen_through == seen_plain != seen_past
        return through

    def _play(self, scenario: Scenario, base: str) -> tuple[Any, list[Seen]]:
        self.recorder.requests.clear()

        async def play() -> Any:
            try:
                return await scenario(base)
            except Exception as error:
                return type(error).__name__, str(error).replace(base, "BASE")

        result = asyncio.run(play())
        return result, list(self.recorder.requests)


async def have(value: Any) -> Any:
    """Return what a sync client returned, or what an async one's answer resolves to."""
    return await value if inspect.isawaitable(value) else value


@contextmanager
def world(app: ASGIApp, dialect: str) -> Iterator[World]:
    """Run an upstream and a proxy that rewrites one text."""
    recorder, engine = Recorder(app), ScriptedEngine({CHATTY: PLAIN})
    found = load_dialect(dialect)
    with (
        served_in_thread(recorder) as direct,
        Reformulator(engine, budget=10.0) as reformulator,
        served_in_thread(
            ReverseProxy(
                direct,
                reformulator=reformulator,
                rules=[SearchRule(path, dialect=found) for path in found.paths],
            )
        ) as proxied,
    ):
        yield World(direct, proxied, recorder, engine)


@pytest.fixture(autouse=True)
def _no_other_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the clients from proxies that the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
