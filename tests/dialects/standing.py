"""An upstream on a socket that keeps what reaches it, and a proxy in front of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic, sleep

import httpx
from starlette.types import Receive, Scope, Send

from middleware import ReverseProxy
from middleware.serving.server import served_in_thread

CHATTY = "please show me red lamp"
PLAIN = "red lamp"
Answers = Callable[[str, dict[str, str]], tuple[int, bytes]]
"""Returns status and body for a target that is no search, and its headers."""


@dataclass
class StandIn:
    """Answers searches with an empty object and anything else by ``answers``; keeps all."""

    answers: Answers = lambda target, headers: (404, b"{}")
    searches: list[tuple[str, bytes]] = field(default_factory=list)
    questions: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    held: threading.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        target = scope["raw_path"].decode() + "?" + scope["query_string"].decode()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status, answer = 200, b"{}"
        if headers.get("user-agent") == "querylift":
            self.questions.append((target, headers))
            if self.held is not None:
                await asyncio.to_thread(self.held.wait, 30)
            status, answer = self.answers(target, headers)
        else:
            self.searches.append((target, body))
        kind = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": kind})
        await send({"type": "http.response.body", "body": answer})


@dataclass
class Standing:
    """A client of the proxy, and what the upstream behind it saw."""

    upstream: StandIn
    client: httpx.Client

    def sent(
        self,
        target: str,
        body: bytes | str = b"",
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> tuple[str, str, str]:
        """Search; return the target and the body that arrived, and the result's header."""
        asked = {"content-type": kind, **(headers or {})}
        answer = self.client.request("POST" if body else "GET", target, content=body, headers=asked)
        assert answer.status_code == 200, answer.text
        reached, came = self.upstream.searches[-1]
        return reached, came.decode(), answer.headers["query-reformulation"]

    def until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        """Wait until something holds."""
        end = monotonic() + seconds
        while not holds():
            assert monotonic() < end, "it never came to hold"
            sleep(0.02)


@contextmanager
def standing(upstream: StandIn, make: Callable[[str], ReverseProxy]) -> Iterator[Standing]:
    """Serve an upstream, and the proxy that ``make`` returns for its URL."""
    with (
        served_in_thread(upstream) as url,
        served_in_thread(make(url)) as base,
        httpx.Client(base_url=base, trust_env=False, timeout=30) as client,
    ):
        yield Standing(upstream, client)
