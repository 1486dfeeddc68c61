"""The client of Solr; it has a sync one only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .backends import solr
from .conftest import PLAIN, World, world

pysolr = pytest.importorskip("pysolr", exc_type=ImportError)


@pytest.fixture(scope="module")
def api() -> Iterator[World]:
    """Run it for all tests here."""
    with world(solr(), "solr") as made:
        yield made


def play(use: Callable[..., Any]) -> Any:
    """Make a scenario of what is done with a client."""

    async def run(base: str, *arguments: str) -> Any:
        client = pysolr.Solr(f"{base}/solr/shop", timeout=10)
        try:
            return use(client, *arguments)
        finally:
            client.get_session().close()

    return run


def ids(results: Any) -> list[str]:
    """Return the documents of a page."""
    return [row["id"] for row in results.docs]


def test_search(api: World) -> None:
    """Its paths end with a slash; what is rewritten finds more."""
    options = {"fq": "a:b", "defType": "edismax", "qf": "t^2 u", "rows": 3}
    found = play(lambda c, text: ids(c.search(text, **options)))
    assert api.lifted(found) == ["1", "2", "3"]
    assert api.recorder.requests[-1].target.startswith(b"/solr/shop/select/?q=red+lamp&")


def test_a_long_search_is_a_form(api: World) -> None:
    """The client sends it so from 1024 bytes on."""
    found = play(lambda c, text: ids(c.search(text, fq="a:" + "b" * 1100)))
    assert api.lifted(found) == ["1", "2"]
    assert api.recorder.requests[-1].method == "POST"


def test_pages(api: World) -> None:
    """By offset, and by the cursor that the client follows on its own."""

    def pages(client: Any, text: str) -> list[str]:
        found = [key for start in (0, 2, 4) for key in ids(client.search(text, start=start))]
        cursor = client.search(text, cursorMark="*", sort="id asc", rows=2)
        return [*found, *(row["id"] for row in cursor)]

    assert api.lifted(play(pages)) == ["1", "2", "3", "4", "5"] * 2


ALIKE: dict[str, Callable[[Any], Any]] = {
    "unchanged": lambda c: ids(c.search(PLAIN)),
    "all": lambda c: ids(c.search("*:*")),
    "wrong": lambda c: ids(c.search("titel:please show me red lamp")),
    "ping": lambda c: c.ping(),
    "missing": lambda c: ids(c.search(PLAIN, search_handler="nowhere")),
}


@pytest.mark.parametrize("name", ALIKE)
def test_all_else_is_as_without_the_proxy(api: World, name: str) -> None:
    """The same bytes there, and the same answer or error here."""
    result = api.alike(play(ALIKE[name]))
    if name in ("wrong", "missing"):
        assert result[0] == "SolrError"
