"""The proxy behind uvicorn, in front of an upstream that records: what its tests share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from middleware import PlainDialect, Reformulator, ReverseProxy, SearchRule
from tests.upstream.wire import (
    Answer,
    RawUpstream,
    front,
    get,
    split,
    upstream,
)

from .driving import RESULT, parsed, said

RULES = [SearchRule("/search", dialect=PlainDialect(["q"], ["/query"]))]
HEAD = [b"Host: front.test", b"Connection: close"]
FORM = b"Content-Type: application/x-www-form-urlencoded"
JSON = b"Content-Type: application/json; charset=utf-8"


@contextlib.asynccontextmanager
async def proxied(
    reformulator: Reformulator | None,
    answer: Answer | None = None,
    http: str = "h11",
    **options: Any,
) -> AsyncIterator[tuple[RawUpstream, int]]:
    """Run the proxy behind uvicorn and an upstream behind the proxy; gives both."""
    options.setdefault("rules", RULES)
    async with upstream(answer) as raw:
        proxy = ReverseProxy(raw.url, reformulator=reformulator, **options)
        async with front(proxy, http) as port:
            yield raw, port


def outcome(response: bytes) -> str:
    """Return what the response's one result header says, without the duration."""
    _, lines, _ = split(response)
    (value,) = [value for name, value in lines if name == RESULT]
    return said(parsed(value))


def post(target: bytes, body: bytes, *lines: bytes) -> bytes:
    return get(target, *lines, b"Content-Length: %d" % len(body), method=b"POST") + body
