"""The examples of apps with a search engine or database of their own, each behind a server."""

from __future__ import annotations

import pytest

from middleware.serving.server import served_in_thread

from .conftest import CHATTY, client, load, rewritten

TARGET = f"/search?q={CHATTY.replace(' ', '+')}"


def finds_in_whole_words(name: str) -> None:
    """Run an example: the rewrite of a request in whole words finds the product."""
    app = load(name).app
    with served_in_thread(app) as base, client(base) as asking:
        assert asking.get("/search?q=please+show+me+the").json() == {"hits": []}
        assert rewritten(asking, TARGET).json() == {"hits": ["wireless headphones"]}
        shoes = asking.get("/search?q=running+shoe").json()
        assert shoes == {"hits": ["running shoes"]}
        odd = asking.get('/search?q="red+OR+(shoes')
        assert odd.status_code == 200
        assert odd.headers["query-reformulation"].startswith("skipped")


def test_sqlite() -> None:
    """Its full-text index is part of Python's own SQLite."""
    finds_in_whole_words("sqlite_fts5_app")


def test_tantivy() -> None:
    """A search engine within the process."""
    pytest.importorskip("tantivy")
    finds_in_whole_words("tantivy_app")


def test_postgres(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real database server."""
    pytest.importorskip("psycopg")
    monkeypatch.setenv("DATABASE_URL", postgres)
    finds_in_whole_words("postgres_app")
