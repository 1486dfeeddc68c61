"""The client of Typesense, sync and async."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .backends import GONE
from .backends import typesense as backend
from .conftest import PLAIN, World, have, world

typesense = pytest.importorskip("typesense", exc_type=ImportError)
# It warns of old parts of its own, whether they are used or not.
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated on v30:DeprecationWarning")


@pytest.fixture(scope="module")
def api() -> Iterator[World]:
    """Run it for all tests here."""
    with world(backend(), "typesense") as made:
        yield made


@pytest.fixture(params=["Client", "AsyncClient"])
def play(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Make scenarios of what is done with a client."""
    from typesense.async_.client import AsyncClient

    kind = {"Client": typesense.Client, "AsyncClient": AsyncClient}[request.param]

    def scenario(use: Callable[..., Any], key: str = "key") -> Any:
        async def run(base: str, *arguments: str) -> Any:
            options = {"nodes": [base], "api_key": key, "connection_timeout_seconds": 10}
            client = kind({**options, "num_retries": 0})
            try:
                return await have(use(client, *arguments))
            finally:
                close = getattr(client.api_call, "aclose", None) or client.api_call.close
                await have(close())

        return run

    return scenario


def search(client: Any, text: str, collection: str = "shop", **more: Any) -> Any:
    """Search one collection."""
    documents = client.collections[collection].documents
    return documents.search({"q": text, "query_by": "t", "filter_by": "a:=b", **more})


def ids(answer: Any) -> list[str]:
    """Return the documents of a page."""
    return [hit["document"]["id"] for hit in answer["hits"]]


def test_search(api: World, play: Any) -> None:
    """What is rewritten finds more; nothing else of the request is changed."""
    assert ids(api.lifted(play(lambda c, text: search(c, text, per_page=3)))) == ["1", "2", "3"]


def test_pages(api: World, play: Any) -> None:
    """By number."""

    async def pages(client: Any, text: str) -> list[str]:
        answers = [await have(search(client, text, page=n, per_page=2)) for n in (1, 2, 3)]
        return [key for answer in answers for key in ids(answer)]

    assert api.lifted(play(pages)) == ["1", "2", "3", "4", "5"]


def test_multi_search(api: World, play: Any) -> None:
    """Each of several searches, with a text of its own or the one in common."""

    async def searches(client: Any, text: str) -> list[Any]:
        own = [
            {"collection": "shop", "q": text, "per_page": 1},
            {"collection": "shop", "q": "*", "per_page": 1},
            {"collection": GONE, "q": text},
        ]
        first = await have(client.multi_search.perform({"searches": own}, {"query_by": "t"}))
        both = {"searches": [{"collection": "shop", "per_page": 1}]}
        second = await have(client.multi_search.perform(both, {"q": text, "query_by": "t"}))
        return [*first["results"], *second["results"]]

    found = api.lifted(play(searches))
    assert [ids(each) if "hits" in each else each["code"] for each in found] == [
        ["1"],
        ["1"],
        404,
        ["1"],
    ]


ALIKE: dict[str, Callable[[Any], Any]] = {
    "unchanged": lambda c: search(c, PLAIN),
    "all": lambda c: search(c, "*"),
    "missing": lambda c: search(c, PLAIN, GONE),
}


@pytest.mark.parametrize("name", ALIKE)
def test_all_else_is_as_without_the_proxy(api: World, play: Any, name: str) -> None:
    """The same bytes there, and the same answer or error here."""
    result = api.alike(play(ALIKE[name]))
    if name == "missing":
        assert result[0] == "ObjectNotFound"


def test_a_wrong_key(api: World, play: Any) -> None:
    """The refusal is the upstream's own."""
    kind, said = api.alike(play(lambda c: search(c, PLAIN), key="no"))
    assert kind == "RequestUnauthorized"
    assert "Forbidden" in said
