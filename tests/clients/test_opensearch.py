"""The client of OpenSearch, sync and async."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .backends import GONE, elastic
from .conftest import PLAIN, World, have, world

opensearch = pytest.importorskip("opensearchpy", exc_type=ImportError)
KINDS = [opensearch.OpenSearch, opensearch.AsyncOpenSearch]


@pytest.fixture(scope="module")
def api() -> Iterator[World]:
    """Run it for all tests here."""
    with world(elastic("opensearch"), "opensearch") as made:
        yield made


@pytest.fixture(params=KINDS, ids=["sync", "async"])
def play(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Make scenarios of what is done with a client."""

    def scenario(use: Callable[..., Any], **options: Any) -> Any:
        async def run(base: str, *arguments: str) -> Any:
            client = request.param(base, max_retries=0, **options)
            try:
                return await have(use(client, *arguments))
            finally:
                await have(client.close())

        return run

    return scenario


def match(text: str, **more: Any) -> dict[str, Any]:
    """Return a search's body."""
    return {"query": {"match": {"t": {"query": text}}}, **more}


def test_search(api: World, play: Any) -> None:
    """What is rewritten finds more; nothing else of the request is changed."""
    found = api.lifted(play(lambda c, text: c.search(index="shop", body=match(text, size=3))))
    assert [hit["_id"] for hit in found["hits"]["hits"]] == ["1", "2", "3"]
    api.lifted(play(lambda c, text: c.search(index="shop", params={"q": text})))


def test_pages(api: World, play: Any) -> None:
    """The pages of a search fit together, by offset, ``search_after``, scroll and a snapshot."""

    async def pages(client: Any, text: str) -> list[str]:
        answers = [
            await have(client.search(index="shop", body=match(text, size=2, **{"from": start})))
            for start in (0, 2, 4)
        ]
        after = match(text, sort=["id"], search_after=["2"])
        answers.append(await have(client.search(index="shop", body=after)))
        first = await have(client.search(index="shop", body=match(text), scroll="1m"))
        answers.append(await have(client.scroll(scroll_id=first["_scroll_id"], scroll="1m")))
        pit = await have(client.create_pit(index="shop", params={"keep_alive": "1m"}))
        answers.append(
            await have(client.search(body=match(text, size=1, pit={"id": pit["pit_id"]})))
        )
        return [hit["_id"] for answer in answers for hit in answer["hits"]["hits"]]

    assert api.lifted(play(pages)) == ["1", "2", "3", "4", "5", "3", "4", "3", "4", "1"]


def test_multi_search(api: World, play: Any) -> None:
    """Each of several searches; one that fails does so in its place."""

    def searches(client: Any, text: str) -> Any:
        lines = [{"index": "shop"}, match(text, size=1), {"index": GONE}, match(text)]
        return client.msearch(body=lines)

    answer = api.lifted(play(searches))
    assert [each["status"] for each in answer["responses"]] == [200, 404]


def test_counts(api: World, play: Any) -> None:
    """What is counted is what the search beside it finds."""

    async def counts(client: Any, text: str) -> int:
        await have(client.search(index="shop", body=match(text)))
        return int((await have(client.count(index="shop", body=match(text))))["count"])

    api.lifted(play(counts))


ALIKE: dict[str, Callable[[Any], Any]] = {
    "unchanged": lambda c: c.search(index="shop", body=match(PLAIN)),
    "no text": lambda c: c.search(index="shop", body={"query": {"match_all": {}}}),
    "count alone": lambda c: c.count(index="shop", body=match("please show me a lamp")),
    "delete": lambda c: c.delete_by_query(index="shop", body=match("please show me red lamp")),
    "store": lambda c: c.index(index="shop", id="9", body={"t": "please show me red lamp"}),
    "info": lambda c: c.info(),
    "missing": lambda c: c.search(index=GONE, body=match(PLAIN)),
    "refused": lambda c: c.search(index="secret", body=match(PLAIN)),
    "wrong": lambda c: c.search(index="shop", body={"query": {"mtach": {"t": PLAIN}}}),
}


@pytest.mark.parametrize("name", ALIKE)
def test_all_else_is_as_without_the_proxy(api: World, play: Any, name: str) -> None:
    """Orders and errors: the same bytes there, and the same answer here."""
    result = api.alike(play(ALIKE[name]))
    errors = {
        "missing": "NotFoundError",
        "refused": "AuthenticationException",
        "wrong": "RequestError",
    }
    if name in errors:
        assert result[0] == errors[name]


def test_compressed_bodies_pass_as_they_are(api: World, play: Any) -> None:
    """They are not looked into."""
    search = play(lambda c: c.search(index="shop", body=match(PLAIN)), http_compress=True)
    assert api.alike(search)["hits"]["total"]["value"] == 5
    assert (b"content-encoding", b"gzip") in api.recorder.requests[-1].headers
