"""A transparent streaming reverse proxy as an ASGI application.

Requests go on as they came (``target`` and ``headers`` list the few exceptions), and the responses
of the upstream go back as they come, chunk by chunk. Nothing here knows about rewriting: an
application around this one may have changed the scope's query string, headers and body.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from starlette.types import Receive, Scope, Send

from ..errors import RequestRefusedError
from ..http.extensions import OFFER_IGNORED, RETRY_SAFE
from ..http.limits import OnError
from ..http.responses import answer_nobody, error_response
from .client import UpstreamClient
from .exchange import WRONG_LENGTH, Exchange, Upload
from .headers import Forwarding, RequestHeaders, add_framing
from .target import Upstream, request_target


class Forwarder:
    """Forwards every HTTP request to one upstream.

    ``client`` is an ``UpstreamClient``, an ``Upstream`` or a URL. ``server_timing`` appends
    ``Server-Timing: upstream;dur=<ms>``, the time to the response's head, as a line of its own.
    ``kept`` are names of headers that ``Connection`` cannot take off, in lower case.
    ``on_error`` is called for each failure of the upstream.
    ``clock`` returns seconds.

    A wrapping application may set ``scope["extensions"][RETRY_SAFE] = True`` for a request that is
    safe to repeat whatever its method (a search by POST).

    Run the server in front without its own ``Date`` and ``Server`` lines, as the upstream's are
    passed on. With uvicorn that is ``date_header=False, server_header=False``.

    Other scope types: ``websocket`` is refused before it is accepted (the client sees 403),
    ``lifespan`` closes the client at shutdown, and anything else is ignored.

    Errors: an unreachable upstream is answered with 502, a slow one with 504, one without a free
    connection with 503 and Retry-After, a request that cannot be forwarded safely with 400 or 501,
    each with a short JSON body. Once the response has started, the error is raised, so that the
    server cuts the connection. (An HTTP/1.0 client that was sent no length takes that for the end.)

    Concurrency: holds no state of a request. When a client leaves, its exchange with the upstream
    is cancelled.
    """

    def __init__(
        self,
        client: UpstreamClient | Upstream | str,
        *,
        forwarding: Forwarding | None = None,
        kept: Iterable[str] = (),
        server_timing: bool = True,
        on_error: OnError | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.client = client if isinstance(client, UpstreamClient) else UpstreamClient(client)
        self._base = self.client.upstream.base
        self._headers = RequestHeaders(
            self.client.upstream.authority,
            forwarding or Forwarding(),
            frozenset(name.lower().encode("latin-1") for name in kept),
        )
        self._on_error = on_error
        self._clock = clock if server_timing else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] != "http":
            await self._other_scope(scope, receive, send)
            return
        first = await receive()
        if first["type"] != "http.request":  # the client left before its request was read
            await answer_nobody(send)
            return
        body: bytes = first.get("body", b"")
        more: bool = first.get("more_body", False)
        try:
            target = request_target(scope, self._base)
            lines, framing, length = self._headers.build(scope)
            if framing == "none" and (body or more):
                # An HTTP/2 server delivers bodies that were never declared.
                framing, length = ("chunked", 0) if more else ("length", len(body))
            elif framing == "length" and not more and len(body) != length:
                raise RequestRefusedError(WRONG_LENGTH)
            elif framing == "chunked" and not (more or body) and _offers_upgrade(scope):
                # uvicorn with httptools stops to read at the offer (RFC 9110, 7.8).
                raise RequestRefusedError("the body is lost, as the server took an offered upgrade")
            if scope["method"] == "CONNECT":
                raise RequestRefusedError("no tunnels are served", status=501)
        except RequestRefusedError as refusal:
            response = error_response(refusal.status, "request_refused", refusal.detail, close=True)
            await response(scope, receive, send)
            return
        if framing != "none":
            add_framing(lines, framing, length)
        exchange = Exchange(scope, receive, send, self._clock, self._on_error)
        content: bytes | Upload = body
        if more:
            content = Upload(receive, body, length if framing == "length" else None, exchange.watch)
        retry_safe = (scope.get("extensions") or {}).get(RETRY_SAFE)
        await exchange.run(
            self.client.exchange(scope["method"], target, lines, content, retry_safe=retry_safe),
            uploads=more,
        )

    async def aclose(self) -> None:
        """Close the upstream connections; for applications whose lifespan never runs."""
        await self.client.aclose()

    async def _other_scope(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            if (await receive())["type"] == "websocket.connect":
                await send({"type": "websocket.close", "code": 1000, "reason": ""})
        elif scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await self.client.aclose()
            await send({"type": "lifespan.shutdown.complete"})


def _offers_upgrade(scope: Scope) -> bool:
    if OFFER_IGNORED in scope:
        return False
    return any(name == b"upgrade" for name, _ in scope["headers"])
