"""The package's own answers: errors, readiness, metrics."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Send

from ..instrumentation.metrics import Metrics
from ..runtime.reformulator import Reformulator

_NOT_STORED = {"cache-control": "no-store"}


def error_response(
    status: int,
    kind: str,
    detail: str,
    *,
    phase: str = "",
    retry_after: int | None = None,
    close: bool = False,
) -> Response:
    """Return an error in a shape that the clients of every search API read.

    Elasticsearch's and OpenSearch's look for ``error.type``, ``error.reason`` and
    ``error.root_cause``, Solr's for ``error.msg``, Meilisearch's for ``message`` and ``code``,
    Typesense's and Algolia's for ``message``. ``phase`` is that of a timeout. ``close`` has the
    server close the connection, as more of the request may follow.
    """
    cause = {"type": kind, "reason": detail}
    error: dict[str, Any] = {**cause, "msg": detail, "code": status, "root_cause": [cause]}
    if phase:
        error["phase"] = phase
    headers = {}
    if retry_after is not None:
        headers["retry-after"] = str(retry_after)
    if close:
        headers["connection"] = "close"
    body = {"error": error, "status": status, "code": kind, "message": detail}
    return JSONResponse(body, status, headers)


async def answer_nobody(send: Send) -> None:
    """Answer a request whose client has left, with the status that nginx logs for it.

    No client sees it. Middleware of others outside needs some answer: Starlette's
    ``BaseHTTPMiddleware`` takes none for an error of the application.
    """
    with suppress(OSError):  # by ASGI's HTTP specification 2.4, sending to nobody may raise
        await send(
            {"type": "http.response.start", "status": 499, "headers": [(b"content-length", b"0")]}
        )
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def status_routes(
    reformulator: Reformulator,
    *,
    prefix: str = "",
    metrics: Metrics | None = None,
    details: Callable[[], dict[str, Any]] | None = None,
) -> list[Route]:
    """Return the routes ``/readyz`` and, with ``metrics``, ``/metrics`` below a prefix.

    ``/readyz`` answers 200 once texts are rewritten and 503 before; if the reformulator may start
    degraded, also 200 once the model could not be loaded. It starts the worker, as whoever waits
    for it may send no search before. ``details`` are for operators: with it, the body also tells
    the engine, the breaker, why the model could not be loaded, and what ``details`` returns.
    """

    async def readyz(request: Request) -> Response:
        reformulator.start()
        stats, engine = reformulator.stats(), reformulator.engine
        degraded = reformulator.allow_degraded_start
        failed = "degraded" if degraded else "failed"
        body: dict[str, Any] = {
            "status": "ready" if stats.ready else failed if stats.failure else "loading"
        }
        if details is not None:
            body["engine"], body["revision"] = engine.name, engine.revision
            body["breaker"] = stats.breaker.value
            if stats.failure:
                body["failure"] = stats.failure
            body.update(details())
        serves = stats.ready or (degraded and stats.failure is not None)
        return JSONResponse(body, 200 if serves else 503, _NOT_STORED)

    async def counts(request: Request) -> Response:
        assert metrics is not None
        media_type, page = metrics.page()
        return Response(page, 200, {**_NOT_STORED, "content-type": media_type})

    routes = [Route(f"{prefix}/readyz", readyz)]
    if metrics is not None:
        routes.append(Route(f"{prefix}/metrics", counts))
    return routes
