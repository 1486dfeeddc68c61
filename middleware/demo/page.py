"""Serve the web page and its data under a policy that allows no other origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ..core.outcome import Outcome, Reason, Source
from .examples import Example

__all__ = ["SECURITY_HEADERS", "STATIC_FILES", "build_page", "vocabulary"]

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


def build_page(
    examples: Sequence[Example], *, collection: str = "", documents: int | None = None
) -> Starlette:
    """Return the application that serves ``/`` and ``/demo/…``.

    ``collection`` and ``documents`` are the name and size of the corpus, for the page's header.
    """
    about = {
        "collection": collection,
        "documents": documents,
        "examples": [asdict(example) for example in examples],
    }
    words = vocabulary()
    routes = [
        _file("/", "page.html", "text/html; charset=utf-8"),
        *(_file(f"/demo/{name}", name, media_type) for name, media_type in STATIC_FILES.items()),
        _data("/demo/examples.json", about),
        _data("/demo/vocabulary.json", words),
    ]
    return Starlette(routes=routes, exception_handlers={404: _no_such_page})


def _file(path: str, name: str, media_type: str) -> Route:
    content = resources.files(__package__).joinpath(name).read_bytes()

    async def serve(request: Request) -> Response:
        return Response(content, media_type=media_type, headers=SECURITY_HEADERS)

    return Route(path, serve, methods=["GET"])


def _data(path: str, content: dict[str, Any]) -> Route:
    async def serve(request: Request) -> Response:
        return JSONResponse(content, headers=SECURITY_HEADERS)

    return Route(path, serve, methods=["GET"])


async def _no_such_page(request: Request, error: Exception) -> Response:
    return PlainTextResponse("no such page", 404, SECURITY_HEADERS)
