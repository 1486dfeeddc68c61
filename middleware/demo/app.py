"""Combine the page and the proxy: two ASGI applications under one address."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from .examples import Example
from .page import build_page

__all__ = ["build_app"]


def build_app(
    proxy_app: ASGIApp,
    *,
    examples: Sequence[Example],
    collection: str = "",
    documents: int | None = None,
) -> ASGIApp:
    """Return an app that serves the page at ``/`` and ``/demo/…``, and the proxy elsewhere.

    Scopes other than HTTP, such as the lifespan, go to the proxy.
    """
    page = build_page(examples, collection=collection, documents=documents)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        chosen = page if path == "/" or path.startswith("/demo/") else proxy_app
        await chosen(scope, receive, send)

    return app
