"""Serve the web page under a policy that allows no other origin, and the proxy beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..core.outcome import Outcome, Reason, Source
from .examples import Example

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

STATIC_FILES = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "view.js": "text/javascript; charset=utf-8",
    "reading.js": "text/javascript; charset=utf-8",
    "diff.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files that are served under ``/demo/``, with their media types."""

_OUTCOMES = {
    Outcome.REWRITTEN: ("Rewritten", "The backend was asked for the rewritten query."),
    Outcome.UNCHANGED: ("Left as it was", "The model found nothing to change in this query."),
    Outcome.SKIPPED: ("Not rewritten", "The query went to the backend as typed"),
    Outcome.FALLBACK: ("Sent as typed", "The query went to the backend as typed"),
}

_SOURCES = {
    Source.ENGINE: "the model, just now",
    Source.MEMO: "the memo of earlier rewrites",
    Source.SHARED: "a rewrite that another caller was waiting for",
}


def vocabulary() -> dict[str, Any]:
    """Return outcomes, reasons and sources with their descriptions."""
    return {
        "outcomes": {
            outcome.value: {"title": title, "sentence": sentence}
            for outcome, (title, sentence) in _OUTCOMES.items()
        },
        "reasons": {reason.value: reason.explanation for reason in Reason},
        "sources": {source.value: sentence for source, sentence in _SOURCES.items()},
    }


def build_app(
    proxy: ASGIApp,
    *,
    examples: Sequence[Example],
    collection: str = "",
    documents: int | None = None,
) -> ASGIApp:
    """Return an app that serves the page at ``/`` and ``/demo/…``, and the proxy elsewhere.

    ``collection`` and ``documents`` are the name and size of the corpus, for the page's header.
    Scopes other than HTTP, such as the lifespan, go to the proxy.
    """
    about = {
        "collection": collection,
        "documents": documents,
        "examples": [asdict(example) for example in examples],
    }
    routes = [
        _file("/", "page.html", "text/html; charset=utf-8"),
        *(_file(f"/demo/{name}", name, media_type) for name, media_type in STATIC_FILES.items()),
        _route("/demo/examples.json", JSONResponse(about).body, "application/json"),
        _route("/demo/vocabulary.json", JSONResponse(vocabulary()).body, "application/json"),
    ]
    page = Starlette(routes=routes, exception_handlers={404: _no_such_page})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["type"] == "http" else ""
        chosen = page if path == "/" or path.startswith("/demo/") else proxy
        await chosen(scope, receive, send)

    return app


def _file(path: str, name: str, media_type: str) -> Route:
    return _route(path, resources.files(__package__).joinpath(name).read_bytes(), media_type)


def _route(path: str, content: bytes | memoryview, media_type: str) -> Route:
    async def serve(request: Request) -> Response:
        return Response(content, media_type=media_type, headers=SECURITY_HEADERS)

    return Route(path, serve, methods=["GET"])


async def _no_such_page(request: Request, error: Exception) -> Response:
    return PlainTextResponse("no such page", 404, SECURITY_HEADERS)
