"""The client of Algolia, sync and async."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from .backends import GONE, algolia
from .conftest import PLAIN, World, have, world

client_module = pytest.importorskip("algoliasearch.search.client", exc_type=ImportError)


@pytest.fixture(scope="module")
def api() -> Iterator[World]:
    """Run it for all tests here."""
    with world(algolia(), "algolia") as made:
        yield made


@pytest.fixture(params=["SearchClientSync", "SearchClient"])
def play(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Make scenarios of what is done with a client."""
    from algoliasearch.http.hosts import Host, HostsCollection
    from algoliasearch.search.config import SearchConfig

    kind = getattr(client_module, request.param)

    def scenario(use: Callable[..., Any], key: str = "key") -> Any:
        async def run(base: str, *arguments: str) -> Any:
            config = SearchConfig("APP", key)
            where = urlsplit(base)
            config.hosts = HostsCollection([Host(str(where.hostname), "http", where.port)])
            client = kind.create_with_config(config)
            try:
                answer = await have(use(client, *arguments))
                return answer.to_dict() if hasattr(answer, "to_dict") else answer
            finally:
                await have(client.close())

        return run

    return scenario


def ids(answer: Any) -> list[str]:
    """Return the documents of a page."""
    return [hit["objectID"] if isinstance(hit, dict) else hit.object_id for hit in answer]


def test_search(api: World, play: Any) -> None:
    """What is rewritten finds more; nothing else of the request is changed."""
    found = api.lifted(
        play(
            lambda c, text: c.search_single_index(
                "shop", {"query": text, "hitsPerPage": 3, "filters": "a:b"}
            )
        )
    )
    assert ids(found["hits"]) == ["1", "2", "3"]


def test_search_with_packed_parameters(api: World, play: Any) -> None:
    """``params`` is a URL-encoded string within JSON, as the browser client sends it."""

    async def search(client: Any, text: str) -> list[str]:
        packed = {"params": f"hitsPerPage=2&query={quote(text)}&filters=a%3Ab"}
        answer = await have(client.search_single_index("shop", packed))
        return ids(answer.hits)

    assert api.lifted(play(search)) == ["1", "2"]


def test_pages(api: World, play: Any) -> None:
    """By number."""

    async def pages(client: Any, text: str) -> list[str]:
        found: list[str] = []
        for number in (0, 1, 2):
            asked = {"query": text, "page": number, "hitsPerPage": 2}
            found += ids((await have(client.search_single_index("shop", asked))).hits)
        return found

    assert api.lifted(play(pages)) == ["1", "2", "3", "4", "5"]


def test_multi_search(api: World, play: Any) -> None:
    """Several searches in one request."""
    found = api.lifted(
        play(
            lambda c, text: c.search(
                {
                    "requests": [
                        {"indexName": "shop", "query": text, "hitsPerPage": 1},
                        {"indexName": "shop", "query": "", "hitsPerPage": 1},
                        {"indexName": "shop", "query": "old house"},
                    ]
                }
            )
        )
    )
    assert [ids(each["hits"]) for each in found["results"]] == [["1"], ["1"], ["7"]]


ALIKE: dict[str, Callable[[Any], Any]] = {
    "unchanged": lambda c: c.search_single_index("shop", {"query": PLAIN}),
    "empty": lambda c: c.search_single_index("shop", {"query": ""}),
    "missing": lambda c: c.search_single_index(GONE, {"query": PLAIN}),
}


@pytest.mark.parametrize("name", ALIKE)
def test_all_else_is_as_without_the_proxy(api: World, play: Any, name: str) -> None:
    """The same bytes there, and the same answer or error here."""
    result = api.alike(play(ALIKE[name]))
    if name == "missing":
        assert result[0] == "RequestException"


def test_a_wrong_key(api: World, play: Any) -> None:
    """The refusal is the upstream's own."""
    kind, said = api.alike(
        play(lambda c: c.search_single_index("shop", {"query": PLAIN}), key="no")
    )
    assert kind == "RequestException"
    assert "Invalid Application-ID" in said
