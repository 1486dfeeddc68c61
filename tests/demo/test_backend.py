"""The search API: its contract, its errors, and a real socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from middleware.demo.backend import build_backend
from middleware.demo.documents import CorpusDocument
from middleware.demo.index import SearchIndex
from middleware.serving.server import served_in_thread

pytestmark = pytest.mark.anyio


@pytest.fixture
def backend(index: SearchIndex) -> Starlette:
    """The application over the handful of documents."""
    return build_backend(index)


@pytest.fixture
async def client(backend: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """A client that calls the application directly."""
    transport = httpx.ASGITransport(app=backend)
    async with httpx.AsyncClient(transport=transport, base_url="http://backend") as opened:
        yield opened


async def test_get_and_post_give_the_same_answer(client: httpx.AsyncClient) -> None:
    """Both ways carry the query, the total, the time and hits with every promised field."""
    got = (await client.get("/search", params={"q": "json string", "size": 2})).json()
    posted = (await client.post("/search", json={"query": "json string", "size": 2})).json()
    assert {**got, "took_ms": 0} == {**posted, "took_ms": 0}
    assert got["query"] == "json string"
    assert got["total"] == 3
    assert got["took_ms"] >= 0
    assert [hit["id"] for hit in got["hits"]] == ["json.dumps", "json.decoder.JSONDecoder"]
    assert set(got["hits"][0]) == {
        *("id", "title", "kind", "summary", "signature", "snippet", "score", "source")
    }
    assert {"text": "JSON", "match": True} in got["hits"][0]["snippet"]


async def test_pages_begin_where_they_are_told(client: httpx.AsyncClient) -> None:
    """``from`` leaves out the first hits and nothing else."""
    whole = (await client.get("/search?q=json+string")).json()["hits"]
    rest = (await client.get("/search?q=json+string&from=1")).json()["hits"]
    assert rest == whole[1:]


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/search", "missing_query"),
        ("/search?q=x&size=0", "bad_size"),
        ("/search?q=x&size=51", "bad_size"),
        ("/search?q=x&size=ten", "bad_size"),
        ("/search?q=x&size=%D9%A3", "bad_size"),
        ("/search?q=x&size=" + "9" * 5_000, "bad_size"),
        ("/search?q=x&from=-1", "bad_from"),
        ("/search?q=" + "x" * 8_193, "query_too_long"),
    ],
)
async def test_wrong_parameters_are_told(client: httpx.AsyncClient, target: str, code: str) -> None:
    """A request that cannot be answered gets 400 and a code in JSON."""
    answer = await client.get(target)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_json"),
        (b"{", 400, "bad_json"),
        (b"\xff\xfe", 400, "bad_json"),
        (b"[" * 60_000, 400, "bad_json"),
        (b"[]", 400, "bad_json"),
        (b"{}", 400, "missing_query"),
        (b'{"query": 5}', 400, "missing_query"),
        (b'{"query": "x", "size": true}', 400, "bad_size"),
        (b'{"query": "x", "size": 1e400}', 400, "bad_size"),
        (b'{"query": "x", "from": null, "size": []}', 400, "bad_size"),
        (b" " * 65_537, 413, "body_too_large"),
    ],
)
async def test_wrong_bodies_are_told(
    client: httpx.AsyncClient, body: bytes, status: int, code: str
) -> None:
    """A body that is not the wanted object gets its code in JSON; a large one is cut off."""
    answer = await client.post("/search", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_other_paths_and_methods_are_told_in_json(client: httpx.AsyncClient) -> None:
    """What is not there and what is not allowed are errors of the same form."""
    lost, put = await client.get("/nowhere"), await client.put("/search")
    assert (lost.status_code, lost.json()["error"]["code"]) == (404, "not_found")
    assert (put.status_code, put.json()["error"]["code"]) == (405, "method_not_allowed")


async def test_health_tells_the_size(client: httpx.AsyncClient) -> None:
    """The health check answers with the number of documents."""
    assert (await client.get("/healthz")).json() == {"status": "ok", "documents": 7}


async def test_lone_surrogates_and_nul_are_answered(client: httpx.AsyncClient) -> None:
    """Text that UTF-8 cannot carry, and NUL, are replaced and not stumbled over."""
    body = b'{"query": "json \\ud800 \\u0000 string"}'
    answer = await client.post("/search", content=body)
    assert answer.status_code == 200
    assert answer.json()["query"] == "json \ufffd \ufffd string"
    assert answer.json()["total"] == 3


async def test_markup_comes_back_as_data(client: httpx.AsyncClient) -> None:
    """A query that is markup is answered as JSON and echoed as it was."""
    query = "<img src=x onerror=alert(1)>"
    answer = await client.get("/search", params={"q": query})
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["query"] == query


_INDEX: list[SearchIndex] = []


def _standing_index() -> SearchIndex:
    if not _INDEX:
        _INDEX.append(SearchIndex([CorpusDocument("a", "a", "text", "json", "json text", "a:1")]))
    return _INDEX[0]


async def _ask(query: str, raw: bytes) -> list[httpx.Response]:
    transport = httpx.ASGITransport(app=build_backend(_standing_index()))
    async with httpx.AsyncClient(transport=transport, base_url="http://backend") as client:
        return [
            await client.get("/search", params={"q": query.encode("utf-8", "replace")}),
            await client.post("/search", content=json.dumps({"query": query})),
            await client.post("/search", content=raw),
        ]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=200), st.binary(max_size=200))
def test_any_text_is_answered(query: str, raw: bytes) -> None:
    """Any text as a query, and any bytes as a body, give 200 or a 400 that is JSON."""
    import anyio

    for answer in anyio.run(_ask, query, raw):
        content: dict[str, Any] = answer.json()
        assert answer.status_code in (200, 400)
        assert ("hits" in content) == (answer.status_code == 200)


@pytest.mark.net
async def test_it_serves_on_a_real_socket(backend: Starlette) -> None:
    """Behind a real server the API answers, also to bytes that are not UTF-8."""
    with served_in_thread(backend) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            found = await client.get("/search?q=json+decoder")
            odd = await client.get("/search?q=json%E9%zz&q=ignored")
    assert found.json()["hits"][0]["title"] == "json.decoder.JSONDecoder"
    assert odd.status_code == 200
