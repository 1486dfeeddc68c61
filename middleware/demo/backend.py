"""A small search API over the index: the upstream of the demo's proxy."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .documents import clean
from .index import SearchIndex

_QUERY_LIMIT = 8_192  # characters
_BODY_LIMIT = 65_536  # bytes
_SIZE_LIMIT = 50
_START_LIMIT = 10_000


class _BadRequestError(Exception):
    """A request is invalid; the message is for its sender."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def build_backend(index: SearchIndex) -> Starlette:
    """Return the search application.

    ``GET /search?q=…&size=10&from=0``, or ``POST /search`` with ``query``, ``size`` and
    ``from`` in a JSON object, returns
    ``{"query", "total", "took_ms", "hits": [{"id", "title", "kind", "summary", "signature",
    "snippet", "score", "source"}]}``. A snippet is a list of ``{"text", "match"}`` in plain
    text. An invalid request gets ``{"error": {"code", "message"}}``. ``GET /healthz`` returns
    the number of documents.
    """

    async def get_search(request: Request) -> Response:
        parameters = request.query_params
        if "q" not in parameters:
            raise _BadRequestError("missing_query", 'the parameter "q" is missing')
        return await _answer(index, parameters["q"], parameters.get("size"), parameters.get("from"))

    async def post_search(request: Request) -> Response:
        content = await _json_object(request)
        if not isinstance(content.get("query"), str):
            raise _BadRequestError("missing_query", '"query" must be there and be text')
        return await _answer(index, content["query"], content.get("size"), content.get("from"))

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok", "documents": index.size})

    return Starlette(
        routes=[
            Route("/search", get_search, methods=["GET"]),
            Route("/search", post_search, methods=["POST"]),
            Route("/healthz", healthz, methods=["GET"]),
        ],
        exception_handlers={_BadRequestError: _bad_request, HTTPException: _http_error},
    )


async def _answer(index: SearchIndex, query: str, size: object, start: object) -> Response:
    if len(query) > _QUERY_LIMIT:
        raise _BadRequestError("query_too_long", f"a query has at most {_QUERY_LIMIT} characters")
    query = clean(query)
    hits = _number("size", size, 10, 1, _SIZE_LIMIT)
    first = _number("from", start, 0, 0, _START_LIMIT)
    began = time.perf_counter()
    results = await run_in_threadpool(index.search, query, size=hits, start=first)
    took_ms = round((time.perf_counter() - began) * 1_000, 2)
    shown = [asdict(hit) | {"score": round(hit.score, 4)} for hit in results.hits]
    return JSONResponse({"query": query, "total": results.total, "took_ms": took_ms, "hits": shown})


def _number(name: str, value: object, default: int, low: int, high: int) -> int:
    if value is None:
        return default
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _BadRequestError(f"bad_{name}", f'"{name}" must be a number from {low} to {high}')
    return value


async def _json_object(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_LIMIT:
            raise _BadRequestError("body_too_large", f"a body has at most {_BODY_LIMIT} bytes", 413)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _BadRequestError("bad_json", f"the body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise _BadRequestError("bad_json", "the body must be a JSON object")
    return content


async def _bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, _BadRequestError)
    return _error(error.status, error.code, str(error))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "error")
    return _error(error.status_code, code, error.detail, error.headers)


def _error(status: int, code: str, message: str, headers: Any = None) -> Response:
    return JSONResponse({"error": {"code": code, "message": clean(message)}}, status, headers)
