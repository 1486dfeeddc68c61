"""The client of Meilisearch; the official one is sync."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .backends import GONE
from .backends import meilisearch as backend
from .conftest import PLAIN, World, world

meilisearch = pytest.importorskip("meilisearch", exc_type=ImportError)


@pytest.fixture(scope="module")
def api() -> Iterator[World]:
    """Run it for all tests here."""
    with world(backend(), "meilisearch") as made:
        yield made


def play(use: Callable[..., Any], key: str = "key") -> Any:
    """Make a scenario of what is done with a client."""

    async def run(base: str, *arguments: str) -> Any:
        return use(meilisearch.Client(base, key), *arguments)

    return run


def ids(answer: Any) -> list[str]:
    """Return the documents of a page."""
    return [hit["id"] for hit in answer["hits"]]


def test_search(api: World) -> None:
    """What is rewritten finds more; nothing else of the request is changed."""
    options = {"limit": 3, "filter": "a = b", "attributesToSearchOn": ["t"]}
    found = play(lambda c, text: ids(c.index("shop").search(text, options)))
    assert api.lifted(found) == ["1", "2", "3"]


def test_pages(api: World) -> None:
    """By offset, and by number."""

    def pages(client: Any, text: str) -> list[str]:
        search = client.index("shop").search
        asked = [{"offset": start, "limit": 2} for start in (0, 2, 4)]
        asked += [{"page": number, "hitsPerPage": 2} for number in (1, 2, 3)]
        return [key for options in asked for key in ids(search(text, options))]

    assert api.lifted(play(pages)) == ["1", "2", "3", "4", "5"] * 2


def test_multi_search(api: World) -> None:
    """Each of several searches, and one over several indexes."""

    def searches(client: Any, text: str) -> list[list[str]]:
        queries = [
            {"indexUid": "shop", "q": text, "limit": 1},
            {"indexUid": "shop", "q": "old house"},
            {"indexUid": "shop", "q": None, "limit": 1},
        ]
        apart = [ids(result) for result in client.multi_search(queries)["results"]]
        return [*apart, ids(client.multi_search(queries[:2], {"limit": 5}))]

    assert api.lifted(play(searches)) == [["1"], ["7"], ["1"], ["1", "7"]]


ALIKE: dict[str, Callable[[Any], Any]] = {
    "unchanged": lambda c: ids(c.index("shop").search(PLAIN)),
    "empty": lambda c: ids(c.index("shop").search("")),
    "null": lambda c: ids(c.index("shop").search(None)),
    "missing": lambda c: c.index(GONE).search(PLAIN),
}


@pytest.mark.parametrize("name", ALIKE)
def test_all_else_is_as_without_the_proxy(api: World, name: str) -> None:
    """The same bytes there, and the same answer or error here."""
    result = api.alike(play(ALIKE[name]))
    if name == "missing":
        assert result[0] == "MeilisearchApiError"


def test_a_wrong_key(api: World) -> None:
    """The refusal is the upstream's own."""
    kind, said = api.alike(play(lambda c: c.index("shop").search(PLAIN), key="no"))
    assert kind == "MeilisearchApiError"
    assert "invalid_api_key" in said
