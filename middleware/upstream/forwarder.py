"""A transparent streaming reverse proxy as an ASGI application.

What arrives goes on as it came (see ``target`` and ``headers`` for the few exceptions),
what the upstream answers goes back as it comes, chunk by chunk. It knows nothing of rewriting:
whatever wraps it may have changed the scope's query string, headers and body before.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from ..http.extensions import RETRY_SAFE
from .answers import answer
from .client import UpstreamClient
from .errors import RequestRefusedError
from .exchange import WRONG_LENGTH, Exchange, Upload
from .headers import RequestHeaders, add_framing
from .target import Upstream

__all__ = ["Forwarder"]


class Forwarder:
    """Forwards every HTTP request to one upstream.

    ``client`` is an ``UpstreamClient``, an ``Upstream`` or a URL. ``preserve_host`` sends
    the client's ``Host`` instead of the upstream's authority; ``forwarded`` appends this hop to
    ``Forwarded`` and the ``X-Forwarded-`` lists; ``via`` is a pseudonym for a ``Via`` line (None:
    no such line); ``server_timing`` appends ``Server-Timing: upstream;dur=<ms>``, the time to the
    response's head, as a line of its own. ``clock`` gives seconds.

    A wrapping application may set ``scope["extensions"][RETRY_SAFE] = True`` for a
    request that is safe to repeat whatever its method (a search by POST).

    Run the server in front without its own ``Date`` and ``Server`` lines, as the upstream's are
    relayed. With uvicorn that is ``date_header=False, server_header=False``.

    Other scope types: ``websocket`` is refused before it is accepted (the client sees 403),
    ``lifespan`` closes the client at shutdown, and anything else is ignored.

    ``failed`` is told each failure of the upstream: its kind, and the phase of a timeout.

    Errors: an upstream that is down is answered with 502, a slow one with 504, one without a free
    connection with 503 and Retry-After, a request that can't be forwarded safely with 400 or 501,
    each with a short JSON body. Once the response has
    started there is no honest answer left, so the error is raised and the server in front cuts
    the connection. (An HTTP/1.0 client that was sent no length can't tell that from the end.)

    Concurrency: holds no state of a request; any number may run at once. When a client leaves, its
    upstream exchange is cancelled.
    """

    def __init__(
        self,
        client: UpstreamClient | Upstream | str,
        *,
        preserve_host: bool = False,
        forwarded: bool = False,
        via: str | None = None,
        server_timing: bool = True,
        failed: Callable[[str, str], None] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._failed = failed
        self.client = client if isinstance(client, UpstreamClient) else UpstreamClient(client)
        self._upstream = self.client.upstream
        self._headers = RequestHeaders(
            self._upstream.authority,
            preserve_host=preserve_host,
            forwarded=forwarded,
            via=via,
        )
        self._server_timing = server_timing
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            await self._forward(scope, receive, send)
        elif kind == "websocket":
            if (await receive())["type"] == "websocket.connect":
                await send({"type": "websocket.close", "code": 1000, "reason": ""})
        elif kind == "lifespan":
            await self._lifespan(receive, send)

    async def aclose(self) -> None:
        """Close the upstream connections; for applications whose lifespan never runs."""
        await self.client.aclose()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.client.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = await receive()
        if first["type"] != "http.request":
            return  # the client left before its request was read
        body: bytes = first.get("body", b"")
        more: bool = first.get("more_body", False)
        try:
            target = self._upstream.request_target(scope)
            lines, framing, length = self._headers.build(scope)
            if framing == "none" and (body or more):
                # An HTTP/2 server delivers bodies that were never declared.
                framing, length = ("chunked", 0) if more else ("length", len(body))
            elif framing == "length" and not more and len(body) != length:
                raise RequestRefusedError(WRONG_LENGTH)
        except RequestRefusedError as refusal:
            await answer(send, refusal.status, "request_refused", refusal.detail, close=True)
            return
        add_framing(lines, framing, length)

        exchange = Exchange(
            receive, send, self._clock if self._server_timing else None, self._failed
        )
        content: bytes | Upload = body
        if more:
            content = Upload(receive, body, length if framing == "length" else None, exchange.watch)
        else:
            exchange.watch()
        await exchange.run(
            self.client.exchange(
                scope["method"],
                target,
                lines,
                content,
                retry_safe=(scope.get("extensions") or {}).get(RETRY_SAFE),
            )
        )
