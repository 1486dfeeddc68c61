"""What each search API answers, over a few documents: hits, pages, multi-searches, refusals."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

DOCUMENTS = {
    **{str(number): f"red lamp number {number}" for number in range(1, 6)},
    "6": "blue garden chair",
    "7": "old house with a red door",
}
GONE = "nowhere"
"""An index that is not there."""


def hits(text: str | None) -> list[str]:
    """Return the documents that hold every word of a text, all for none."""
    words = (text or "").lower().split()
    return [key for key, said in DOCUMENTS.items() if all(word in said.split() for word in words)]


def page(text: str | None, start: int, size: int) -> tuple[int, list[dict[str, str]]]:
    """Return how many documents a text finds, and one page of them."""
    found = hits(text)
    return len(found), [{"id": key, "t": DOCUMENTS[key]} for key in found[start : start + size]]


async def _json(request: Request) -> Any:
    body = await request.body()
    if request.headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return json.loads(body) if body else {}


# --- Elasticsearch and OpenSearch ---


def _text(query: Any) -> str | None:
    """Return the text of a query clause."""
    for kind, inner in query.items():
        if kind in ("match", "match_phrase"):
            [value] = inner.values()
            return value if isinstance(value, str) else str(value["query"])
        if kind in ("multi_match", "query_string", "simple_query_string", "combined_fields"):
            return str(inner["query"])
        if kind == "bool":
            return _text(next(iter(inner.get("must") or inner.get("should"))))
        if kind == "match_all":
            return None
        raise KeyError(kind)
    return None


def elastic(product: str) -> Starlette:
    """Return an app that answers as Elasticsearch or OpenSearch does."""
    elasticsearch = product == "elasticsearch"

    def answer(request: Request, body: Any, status: int = 200) -> Response:
        kind = "application/json"
        accept = request.headers.get("accept", "")
        if elasticsearch and accept.startswith("application/vnd.elasticsearch+json"):
            kind = accept.split(",")[0].replace(" ", "")
        headers = {"x-elastic-product": "Elasticsearch"} if elasticsearch else {}
        return Response(json.dumps(body), status, headers, media_type=kind)

    def found(body: Any, uri: Mapping[str, str]) -> dict[str, Any]:
        start = int(body.get("from", uri.get("from", 0)))
        size = int(body.get("size", uri.get("size", 2)))
        text = uri["q"] if "q" in uri else _text(body.get("query", {"match_all": {}}))
        if "search_after" in body:
            start = hits(text).index(str(body["search_after"][0])) + 1
        total, shown = page(text, start, size)
        rows = [
            {"_index": "shop", "_id": row["id"], "_source": row, "sort": [row["id"]]}
            for row in shown
        ]
        return {
            "took": 1,
            "timed_out": False,
            "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
            "hits": {"total": {"value": total, "relation": "eq"}, "hits": rows},
        }

    def failure(kind: str, reason: str, status: int) -> dict[str, Any]:
        cause = {"type": kind, "reason": reason}
        return {"error": {"root_cause": [cause], **cause}, "status": status}

    def missing(name: str) -> dict[str, Any]:
        return failure("index_not_found_exception", f"no such index [{name}]", 404)

    async def search(request: Request) -> Response:
        name = request.path_params.get("index", "shop")
        if name == GONE:
            return answer(request, missing(name), 404)
        if name == "secret":
            refusal = failure("security_exception", "missing authentication credentials", 401)
            return answer(request, refusal, 401)
        try:
            body = found(await _json(request), request.query_params)
        except KeyError as error:
            refusal = failure("parsing_exception", f"unknown query [{error.args[0]}]", 400)
            return answer(request, refusal, 400)
        if "scroll" in request.query_params:
            body["_scroll_id"] = "c2Nyb2xs"
        return answer(request, body)

    async def scroll(request: Request) -> Response:
        body = found({"query": {"match": {"t": "red lamp"}}, "from": 2}, {})
        return answer(request, {**body, "_scroll_id": "c2Nyb2xs"})

    async def many(request: Request) -> Response:
        raw = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            raw = gzip.decompress(raw)
        lines = raw.split(b"\n")
        assert lines.pop() == b"", "a multi-search ends with a newline"
        responses: list[dict[str, Any]] = []
        for header, body in zip(lines[::2], lines[1::2], strict=True):
            index = json.loads(header or b"{}").get("index", "shop")
            if index in (GONE, [GONE]):
                responses.append(missing(GONE))
            else:
                responses.append({**found(json.loads(body), {}), "status": 200})
        return answer(request, {"took": 1, "responses": responses})

    async def started(request: Request) -> Response:
        body = {"id": "as1", "is_partial": False, "is_running": False}
        return answer(request, {**body, "response": found(await _json(request), {})})

    async def point_in_time(request: Request) -> Response:
        return answer(request, {"id": "cGl0", "pit_id": "cGl0"})

    async def deleted(request: Request) -> Response:
        return answer(request, {"deleted": 0, "failures": [], "took": 1})

    async def counted(request: Request) -> Response:
        text = _text((await _json(request)).get("query", {"match_all": {}}))
        return answer(request, {"count": len(hits(text)), "_shards": {"total": 1}})

    async def stored(request: Request) -> Response:
        return answer(request, {"_index": "shop", "_id": "9", "result": "created"}, 201)

    async def home(request: Request) -> Response:
        version: dict[str, Any] = {"number": "9.0.0", "lucene_version": "10.1.0"}
        if not elasticsearch:
            version["distribution"] = "opensearch"
        return answer(request, {"cluster_name": "c", "version": version, "tagline": "t"})

    both = ["GET", "POST"]
    return Starlette(
        routes=[
            Route("/", home),
            Route("/_msearch", many, methods=both),
            Route("/{index}/_msearch", many, methods=both),
            Route("/_search/scroll", scroll, methods=both),
            Route("/_search", search, methods=both),
            Route("/{index}/_search", search, methods=both),
            Route("/{index}/_async_search", started, methods=["POST"]),
            Route("/{index}/_pit", point_in_time, methods=["POST"]),
            Route("/{index}/_search/point_in_time", point_in_time, methods=["POST"]),
            Route("/{index}/_delete_by_query", deleted, methods=["POST"]),
            Route("/{index}/_count", counted, methods=both),
            Route("/{index}/_doc/{id}", stored, methods=["PUT"]),
        ]
    )


# --- Solr ---


def solr() -> Starlette:
    """Return an app that answers as Solr does."""

    async def select(request: Request) -> Response:
        said = parse_qs(request.url.query)
        if request.method == "POST":
            said |= parse_qs((await request.body()).decode())
        params = {name: values[-1] for name, values in said.items()}
        query = params.get("q", "")
        if ":" in query and query != "*:*":
            error = {"msg": f"undefined field {query.split(':')[0]}", "code": 400}
            body = {"responseHeader": {"status": 400, "QTime": 0}, "error": error}
            return JSONResponse(body, 400)
        mark = params.get("cursorMark")
        start = int(params.get("start", 0)) if mark in (None, "*") else int(str(mark))
        size = int(params.get("rows", 2))
        total, rows = page(None if query == "*:*" else query, start, size)
        body = {
            "responseHeader": {"status": 0, "QTime": 0},
            "response": {"numFound": total, "start": start, "docs": rows},
        }
        if mark is not None:
            body["nextCursorMark"] = str(min(start + size, total)) if rows else mark
        return JSONResponse(body)

    async def ping(request: Request) -> Response:
        return JSONResponse({"status": "OK"})

    both = ["GET", "POST"]
    return Starlette(
        routes=[
            Route("/solr/shop/select", select, methods=both),
            Route("/solr/shop/select/", select, methods=both),
            Route("/solr/shop/admin/ping", ping, methods=both),
        ]
    )


# --- Meilisearch ---


def meilisearch() -> Starlette:
    """Return an app that answers as Meilisearch does."""

    def refusal(code: str, message: str, kind: str, status: int) -> Response:
        link = f"https://docs.meilisearch.com/errors#{code}"
        body = {"message": message, "code": code, "type": kind, "link": link}
        return JSONResponse(body, status)

    def found(query: Mapping[str, Any]) -> dict[str, Any]:
        size = int(query.get("hitsPerPage", query.get("limit", 2)))
        start = int(query.get("offset") or 0)
        if "page" in query:
            start = size * (int(query["page"]) - 1)
        total, rows = page(query.get("q"), start, size)
        return {"hits": rows, "query": "", "estimatedTotalHits": total, "offset": start}

    async def search(request: Request) -> Response:
        if request.headers.get("authorization") != "Bearer key":
            return refusal("invalid_api_key", "The provided API key is invalid.", "auth", 403)
        name = request.path_params["index"]
        if name == GONE:
            said = f"Index `{name}` not found."
            return refusal("index_not_found", said, "invalid_request", 404)
        return JSONResponse(found(await _json(request)))

    async def many(request: Request) -> Response:
        body = await _json(request)
        results = [{"indexUid": q["indexUid"], **found(q)} for q in body["queries"]]
        if body.get("federation") is None:
            return JSONResponse({"results": results})
        merged = [hit for result in results for hit in result["hits"]]
        return JSONResponse({"hits": merged, "processingTimeMs": 1})

    return Starlette(
        routes=[
            Route("/indexes/{index}/search", search, methods=["POST"]),
            Route("/multi-search", many, methods=["POST"]),
        ]
    )


# --- Typesense ---


def typesense() -> Starlette:
    """Return an app that answers as Typesense does."""

    def found(query: Mapping[str, Any]) -> dict[str, Any]:
        if query.get("collection") == GONE:
            return {"code": 404, "error": "Not found."}
        text = query.get("q")
        size = int(query.get("per_page", 2))
        total, rows = page(
            None if text == "*" else text, size * (int(query.get("page", 1)) - 1), size
        )
        return {"found": total, "hits": [{"document": row} for row in rows], "page": 1}

    def refused(request: Request) -> Response | None:
        if request.headers.get("x-typesense-api-key") != "key":
            said = "Forbidden - a valid `x-typesense-api-key` header must be sent."
            return JSONResponse({"message": said}, 401)
        return None

    async def search(request: Request) -> Response:
        if request.path_params["name"] == GONE:
            return JSONResponse({"message": "Not Found"}, 404)
        return refused(request) or JSONResponse(found(request.query_params))

    async def many(request: Request) -> Response:
        searches = (await _json(request))["searches"]
        common = dict(request.query_params)
        body = {"results": [found({**common, **search}) for search in searches]}
        return refused(request) or JSONResponse(body)

    return Starlette(
        routes=[
            Route("/collections/{name}/documents/search", search),
            Route("/multi_search", many, methods=["POST"]),
        ]
    )


# --- Algolia ---


def algolia() -> Starlette:
    """Return an app that answers as Algolia does."""

    def found(search: Mapping[str, Any]) -> dict[str, Any]:
        packed = parse_qs(search.get("params", ""))
        said = {**{name: values[-1] for name, values in packed.items()}, **search}
        number, size = int(said.get("page", 0)), int(said.get("hitsPerPage", 2))
        text = str(said.get("query", ""))
        total, rows = page(text, number * size, size)
        return {
            "index": said.get("indexName", "shop"),
            "hits": [{"objectID": row["id"], "t": row["t"]} for row in rows],
            "nbHits": total,
            "page": number,
            "nbPages": -(-total // size),
            "hitsPerPage": size,
            "processingTimeMS": 1,
            "query": "",
            "params": "",
        }

    def checked(
        answer: Callable[[Request, Any], Response],
    ) -> Callable[[Request], Any]:
        async def respond(request: Request) -> Response:
            if request.headers.get("x-algolia-api-key") != "key":
                said = {"message": "Invalid Application-ID or API key", "status": 403}
                return JSONResponse(said, 403)
            return answer(request, await _json(request))

        return respond

    def search(request: Request, body: Any) -> Response:
        if request.path_params["index"] == GONE:
            return JSONResponse({"message": f"Index {GONE} does not exist", "status": 404}, 404)
        return JSONResponse(found(body))

    def many(request: Request, body: Any) -> Response:
        searches: Sequence[Mapping[str, Any]] = body["requests"]
        return JSONResponse({"results": [found(each) for each in searches]})

    return Starlette(
        routes=[
            Route("/1/indexes/{index}/query", checked(search), methods=["POST"]),
            Route("/1/indexes/{index}/queries", checked(many), methods=["POST"]),
        ]
    )
