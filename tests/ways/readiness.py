"""An app behind the middleware with a prefix, and what ``/readyz`` says."""

from __future__ import annotations

import json
from typing import Any

from middleware import ReformulationMiddleware, Reformulator, SearchRule

from .driving import call, http_scope

PREFIX = "/-/querylift"
READY = f"{PREFIX}/readyz"
METRICS_PAGE = f"{PREFIX}/metrics"


def wrapped(app: Any, reformulator: Reformulator, **options: Any) -> ReformulationMiddleware:
    return ReformulationMiddleware(
        app, reformulator, rules=[SearchRule()], prefix=PREFIX, **options
    )


async def readiness(app: Any, path: str = READY, **scope: Any) -> tuple[int, dict[str, Any]]:
    client = await call(app, http_scope(path=path, **scope))
    assert client.header(b"cache-control") == [b"no-store"]
    assert client.header(b"content-type") == [b"application/json"]
    return client.status, json.loads(client.body)
