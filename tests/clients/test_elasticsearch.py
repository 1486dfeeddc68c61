"""The client of Elasticsearch; runs with version 8 or 9 of it, whichever is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .backends import GONE, elastic
from .conftest import PLAIN, World, have, world

elasticsearch = pytest.importorskip("elasticsearch", exc_type=ImportError)
KINDS = [elasticsearch.Elasticsearch, elasticsearch.AsyncElasticsearch]


@pytest.fixture(scope="module")
def api() -> Iterator[World]:
    """Run it for all tests here."""
    with world(elastic("elasticsearch"), "elasticsearch") as made:
        yield made


@pytest.fixture(params=KINDS, ids=["sync", "async"])
def play(request: pytest.FixtureRequest) -> Callable[[Callable[..., Any]], Any]:
    """Make scenarios of what is done with a client."""

    def scenario(use: Callable[..., Any], **options: Any) -> Any:
        async def run(base: str, *arguments: str) -> Any:
            client = request.param(base, retry_on_timeout=False, max_retries=0, **options)
            try:
                return plain(await have(use(client, *arguments)))
            finally:
                await have(client.close())

        return run

    return scenario


def plain(answer: Any) -> Any:
    """Return an answer's body; helpers return plain values."""
    return getattr(answer, "body", answer)


CLAUSES: list[Callable[[str], dict[str, Any]]] = [
    lambda text: {"match": {"t": text}},
    lambda text: {"match": {"t": {"query": text, "operator": "and"}}},
    lambda text: {"multi_match": {"query": text, "fields": ["t", "u^2"]}},
    lambda text: {"bool": {"must": [{"simple_query_string": {"query": text}}], "filter": []}},
    lambda text: {"query_string": {"query": text}},
]


@pytest.mark.parametrize("clause", CLAUSES)
def test_search(api: World, play: Any, clause: Callable[[str], dict[str, Any]]) -> None:
    """What is rewritten finds more; nothing else of the request is changed."""
    found = api.lifted(play(lambda c, text: c.search(index="shop", query=clause(text), size=3)))
    assert found["hits"]["total"]["value"] == 5
    assert [hit["_id"] for hit in found["hits"]["hits"]] == ["1", "2", "3"]


def test_search_by_parameter(api: World, play: Any) -> None:
    """``q`` in the URL."""
    api.lifted(play(lambda c, text: c.search(index="shop", q=text, size=2)))


def test_pages(api: World, play: Any) -> None:
    """The pages of a search fit together: each row once, by offset and by ``search_after``."""

    async def pages(client: Any, text: str) -> list[str]:
        ids: list[str] = []
        query, last = {"match": {"t": text}}, None
        for start in (0, 2, 4):
            answer = await have(client.search(index="shop", query=query, from_=start, size=2))
            ids += [hit["_id"] for hit in answer["hits"]["hits"]]
        for _ in range(3):
            more: dict[str, Any] = {"search_after": last} if last else {}
            answer = await have(client.search(index="shop", query=query, sort=["id"], **more))
            ids += [hit["_id"] for hit in answer["hits"]["hits"]]
            last = answer["hits"]["hits"][-1]["sort"]
        return ids

    assert api.lifted(play(pages)) == ["1", "2", "3", "4", "5"] * 2


def test_scroll_and_point_in_time(api: World, play: Any) -> None:
    """What goes on with an id, not with a text, passes."""

    async def scroll(client: Any, text: str) -> list[str]:
        answer = await have(client.search(index="shop", query={"match": {"t": text}}, scroll="1m"))
        ids = [hit["_id"] for hit in answer["hits"]["hits"]]
        again = await have(client.scroll(scroll_id=answer["_scroll_id"], scroll="1m"))
        pit = await have(client.open_point_in_time(index="shop", keep_alive="1m"))
        third = await have(
            client.search(pit={"id": pit["id"]}, query={"match": {"t": text}}, size=1)
        )
        return [*ids, *(hit["_id"] for a in (again, third) for hit in a["hits"]["hits"])]

    assert api.lifted(play(scroll)) == ["1", "2", "3", "4", "1"]


def test_multi_search(api: World, play: Any) -> None:
    """Each of several searches; one that fails does so in its place."""

    def searches(client: Any, text: str) -> Any:
        return client.msearch(
            searches=[
                {"index": "shop"},
                {"query": {"match": {"t": text}}, "size": 1},
                {},
                {"query": {"match_all": {}}},
                {"index": GONE},
                {"query": {"match": {"t": text}}},
            ]
        )

    answer = api.lifted(play(searches))
    assert [each["status"] for each in answer["responses"]] == [200, 200, 404]


def test_counts(api: World, play: Any) -> None:
    """What is counted is what the search beside it finds."""

    async def counts(client: Any, text: str) -> list[int]:
        query = {"match": {"t": text}}
        await have(client.search(index="shop", query=query))
        counted = await have(client.count(index="shop", query=query))
        none = await have(client.search(index="shop", query=query, size=0))
        return [counted["count"], none["hits"]["total"]["value"]]

    api.lifted(play(counts))


def test_async_search(api: World, play: Any) -> None:
    """The search that is asked for and read later."""
    api.lifted(play(lambda c, text: c.async_search.submit(index="shop", query=CLAUSES[0](text))))


ALIKE: dict[str, Callable[[Any], Any]] = {
    "unchanged": lambda c: c.search(index="shop", query={"match": {"t": PLAIN}}),
    "phrase": lambda c: c.search(index="shop", query={"match_phrase": {"t": "please show me"}}),
    "syntax": lambda c: c.search(index="shop", q="please show me red~2 lamp"),
    "no text": lambda c: c.search(index="shop", query={"match_all": {}}),
    "count alone": lambda c: c.count(index="shop", query={"match": {"t": "please show me a lamp"}}),
    "delete": lambda c: c.delete_by_query(index="shop", q="please show me red lamp"),
    "store": lambda c: c.index(index="shop", id="9", document={"t": "please show me red lamp"}),
    "info": lambda c: c.info(),
    "missing": lambda c: c.search(index=GONE, query={"match": {"t": PLAIN}}),
    "refused": lambda c: c.search(index="secret", query={"match": {"t": PLAIN}}),
    "wrong": lambda c: c.search(index="shop", query={"mtach": {"t": PLAIN}}),
}


@pytest.mark.parametrize("name", ALIKE)
def test_all_else_is_as_without_the_proxy(api: World, play: Any, name: str) -> None:
    """Orders, phrases, syntax and errors: the same bytes there, and the same answer here."""
    result = api.alike(play(ALIKE[name]))
    if name in ("missing", "refused", "wrong"):
        expected = {"missing": "NotFoundError", "refused": "AuthenticationException"}
        assert result[0] == expected.get(name, "BadRequestError")


def test_compressed_bodies_pass_as_they_are(api: World, play: Any) -> None:
    """They are not looked into."""
    search = play(lambda c: c.search(index="shop", query=CLAUSES[0](PLAIN)), http_compress=True)
    assert api.alike(search)["hits"]["total"]["value"] == 5
    assert (b"content-encoding", b"gzip") in api.recorder.requests[-1].headers


def test_the_clients_own_content_type_is_kept(api: World, play: Any) -> None:
    """The upstream is asked for the version that the client speaks."""
    api.lifted(play(lambda c, text: c.search(index="shop", query=CLAUSES[0](text))))
    major = elasticsearch.VERSION[0]
    kind = f"application/vnd.elasticsearch+json; compatible-with={major}".encode()
    assert (b"content-type", kind) in api.recorder.requests[-1].headers
